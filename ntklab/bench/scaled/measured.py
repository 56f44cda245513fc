"""Measurements on a GPU of the cases that `ntklab.bench.scaled.roofline` counts on paper."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ntklab.bench.cases import Case
from ntklab.bench.inside.models import PASSES
from ntklab.bench.training import OURS
from ntklab.jacobians import ENGINES
from ntklab.records import Record

#: Where a first measurement would stand.
NOT_MEASURED = "not yet measured"

Row = Mapping[str, Any]


def measured_text(case: Case, records: Path | None) -> str:
    """Milliseconds of what the roofline counts, with the machine; or that nothing is measured.

    Args:
        case: of the bench.
        records: folder of records, in which `bench-<case>-gpu` is looked for. The quick form does
            not count, and neither does a trial on a CPU: the roofline is of the real size.

    Example:
        >>> from ntklab.bench.cases import cases_named
        >>> measured_text(cases_named(["lora-64"])[0], None)
        'not yet measured'
    """
    place = None if records is None else records / f"bench-{case.name}-gpu"
    if place is None or not (place / "record.json").is_file():
        return NOT_MEASURED
    record = Record.read(place)
    if record.provenance["device"] == "cpu" or record.config["quick"]:
        return NOT_MEASURED
    seconds = _seconds([row for row in record.results if row.get("seconds")])
    return NOT_MEASURED if seconds is None else f"{1e3 * seconds:.3g} ({record.config['machine']})"


def _seconds(rows: Sequence[Row]) -> float | None:
    """Of the work that is counted: the fastest engine, a curve's last point, all steps, passes."""
    chosen = (_of_kind(kind, rows, choose) for kind, choose in _CHOSEN.items())
    row = next((one for one in chosen if one is not None), None)
    return None if row is None else float(row.get("seconds_whole") or row["seconds"])


def _of_kind(kind: str, rows: Sequence[Row], choose: Callable[[list[Row]], Row]) -> Row | None:
    own = [row for row in rows if row["kind"] == kind and row["contender"] in _CONTENDERS[kind]]
    return choose(own) if own else None


def _fastest(rows: list[Row]) -> Row:
    return min(rows, key=lambda row: float(row["seconds"]))


_CHOSEN: dict[str, Callable[[list[Row]], Row]] = {
    **dict.fromkeys(("kernel", "spectrum", "training", "model"), _fastest),
    "point": lambda rows: rows[-1],
}
_CONTENDERS = {
    **dict.fromkeys(("kernel", "spectrum", "point"), frozenset(ENGINES)),
    **{"model": frozenset({PASSES}), "training": frozenset({OURS})},
}
