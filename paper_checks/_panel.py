"""Records of the prompt task as claims read them, and how claims say where they end."""

from collections.abc import Mapping
from typing import Any

from ntklab.claims import Effort, Measured, Sample
from ntklab.experiments.training.panel import Panel
from ntklab.records import Record

NO_GPU = "not yet measured on GPU"
#: The margin within which two accuracies count as the same: two points.
MARGIN = 0.02


def sample(words: str) -> Sample:
    """A claim that is decided on the runs of a record."""
    return Sample(words, by="record")


def read(effort: Effort, name: str) -> tuple[Panel | None, dict[str, Any]]:
    """The panel of a record, and where it was made; None where there is no record."""
    record = effort.record(name)
    if record is None:
        return None, {"recorded": False, "gpu": NO_GPU}
    return Panel.of(record), {"recorded": True, **_made(record)}


def absent(values: dict[str, Any]) -> Measured:
    """The measurement to report while there is no record."""
    return Measured(values)


def setting_text(values: Mapping[str, Any]) -> str:
    """On what the runs were made."""
    return (
        f"Runs: {values['model']}, {values['shots']} shots a class, {values['recorded_seeds']} "
        f"seeds, {values['device']}; GPU: {values['gpu']}."
    )


def points(share: float | None) -> str:
    """A share as points of a hundred, with a sign.

    >>> points(0.0123), points(None)
    ('+1.2', 'none')
    """
    return "none" if share is None else f"{100 * share:+.1f}"


def _made(record: Record) -> dict[str, Any]:
    device = str(record.provenance.get("device", "unknown"))
    first = record.results[0] if record.results else {}
    config = record.config
    return {
        "model": str(config.get("model") or first.get("model") or "unknown model"),
        "shots": config.get("shots") or first.get("shots"),
        "recorded_seeds": len({row.get("seed") for row in record.results}),
        "device": device,
        "gpu": "yes" if device.startswith("cuda") else NO_GPU,
    }


LABELS = {
    "variants": "variants in the record",
    "recorded_seeds": "seeds in the record",
    "model": "model",
    "shots": "shots a class",
    "device": "device of the record",
    "gpu": "GPU",
}
