"""Records of the prompt task as claims read them, and how claims say where they end."""

from collections.abc import Mapping
from typing import Any

from ntklab.claims import Effort, Measured, Sample
from ntklab.experiments.training.panel import (
    LEAST_METHODS,
    LEAST_SEEDS,
    OPTIMIZERS,
    Panel,
    whole_count,
)
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
    whole = {"whole_variants": whole_count(name)}
    return Panel.of(record), {"recorded": True, **whole, **_made(record)}


def absent(values: dict[str, Any]) -> Measured:
    """The measurement to report while there is no record."""
    return Measured(values)


def enough(values: Mapping[str, Any]) -> bool:
    """Whether the record has the seeds that a conclusion needs."""
    return bool(values["recorded_seeds"] >= LEAST_SEEDS)


def setting_text(values: Mapping[str, Any]) -> str:
    """On what the runs were made, how much of the panel that is, and which rates may be wanting."""
    few = values["recorded_variants"] < values["whole_variants"]
    whole = f"{values['recorded_variants']} of the panel's {values['whole_variants']} variants, "
    text = (
        f"Runs: {whole if few else ''}{values['model']}, {values['shots']} shots a class, "
        f"{values['recorded_seeds']} seeds, {values['device']}; GPU: {values['gpu']}."
    )
    if not enough(values):
        text += f" Nothing is concluded from fewer than {LEAST_SEEDS} seeds."
    if values["at_end"]:
        text += f" A better rate may lie beyond those that were tried for {_few(values['at_end'])}."
    if values["cut_off"]:
        text += f" Still gaining at their last epoch were {_few(values['cut_off'])}."
    return text


def wide(values: Mapping[str, Any]) -> bool:
    """Whether the record has the methods that a verdict on all methods needs."""
    return bool(values["recorded_methods"] >= LEAST_METHODS)


def width_text(values: Mapping[str, Any]) -> str:
    """That a verdict on all methods waits, where it does."""
    if wide(values):
        return ""
    return (
        f"A verdict on all methods waits for {LEAST_METHODS} of them; "
        f"{values['recorded_methods']} are measured. "
    )


def _few(names: str) -> str:
    """The first three of some names, and how many more there are.

    >>> _few("a, b"), _few("a, b, c, d, e")
    ('a, b', 'a, b, c and 2 more')
    """
    first, rest = names.split(", ")[:3], names.split(", ")[3:]
    return ", ".join(first) + (f" and {len(rest)} more" if rest else "")


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
        "recorded_variants": len({row.get("variant") for row in record.results}),
        "recorded_methods": len({row.get("method") for row in record.results}),
        "at_end": ", ".join(_at_end(record)),
        "cut_off": ", ".join(_cut_off(record)),
        "device": device,
        "gpu": "yes" if device.startswith("cuda") else NO_GPU,
    }


def _at_end(record: Record) -> list[str]:
    """Variants whose search chose the first or last of all rates that it tried."""
    return list(
        dict.fromkeys(
            f"{row['variant']} ({optimizer})"
            for optimizer in OPTIMIZERS
            for row in record.results
            if row.get(f"lr_at_end_{optimizer}")
        )
    )


def _cut_off(record: Record) -> list[str]:
    """Variants most of whose runs ended by their epochs, while they still gained."""
    panel = Panel.of(record)
    return [
        f"{name} ({optimizer})"
        for optimizer in OPTIMIZERS
        for name in panel.variants
        if panel.cut_off(name, optimizer)
    ]


LABELS = {
    "variants": "variants in the record",
    "whole_variants": "variants of the whole panel",
    "cut_off": "variants that still gained at their last epoch",
    "at_end": "variants whose rate ends what was tried",
    "recorded_seeds": "seeds in the record",
    "model": "model",
    "shots": "shots a class",
    "device": "device of the record",
    "gpu": "GPU",
}
