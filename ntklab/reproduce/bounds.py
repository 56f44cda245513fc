"""The steps of `ntklab reproduce` about bounds: eqs 10 and 15–22, and the curves of eqs 7–9."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ntklab.records import shown
from ntklab.tables import in_markdown

if TYPE_CHECKING:
    from ntklab.reproduce.setting import Setting

_BOUNDS = {
    "method": "method", "name": "bound", "equation": "eq.", "value": "value",
    "measured": "measured", "vacuous": "vacuous",
}  # fmt: skip
_GAUGES = {
    "method": "method", "seed": "seed", "given": "as given", "equal_norm": "equal norms",
    "canonical": "canonical", "best": "best", "gap": "gap",
}  # fmt: skip
_TRUNCATED = {
    "target": "target", "width": "M", "tt_ranks": "TT-ranks", "relative_error": "ε_TT/‖w‖",
    "function_error": "‖f − f̂‖", "function_bound": "eq. 8", "sum_bound": "eq. 9",
    "adapter_error": "trained adapter", "accuracy_before": "accuracy before",
    "accuracy_after": "after",
}  # fmt: skip


def all_bounds(setting: "Setting") -> str:
    """Every bound of every method beside what it bounds, and the gauges of the same functions."""
    from ntklab.experiments.bounds import gauge_table
    from ntklab.figures import draw_plate, plate
    from ntklab.figures.bounds import bounds_table

    record = setting.make("bounds")
    draw_plate(plate("bounds"), setting.records, setting.folder / "figures")
    return "\n".join(
        [
            "## Bounds beside what they bound\n",
            "![bounds](figures/bounds.png)\n",
            f"{record.config['task']}, N = {record.config['samples']}. Medians over seeds; a dash "
            "is a bound without a value because an assumption fails, or nothing measured.\n",
            _table(bounds_table(record), _BOUNDS),
            "λ_min over the mean eigenvalue of one and the same function in several gauges; no "
            "bond scaling or per-core learning rate exceeds best + gap.\n",
            _table(gauge_table(record), _GAUGES),
        ]
    )


def approximation(setting: "Setting") -> str:
    """Curves over width and TT-rank."""
    from ntklab.figures import draw_plate, plate
    from ntklab.figures.approximation import approximation_caption

    record = setting.make("approximation", jobs=-1)
    draw_plate(plate("approximation"), setting.records, setting.folder / "figures")
    truncated = [row for row in record.results if row["kind"] == "truncation"]
    return "\n".join(
        [
            "## Approximation over width and TT-rank\n",
            "![approximation](figures/approximation.png)\n",
            approximation_caption(record) + "\n",
            _table(truncated, _TRUNCATED),
        ]
    )


def _table(rows: Sequence[Mapping[str, Any]], headings: Mapping[str, str]) -> str:
    cells = [[shown(row.get(name)) for name in headings] for row in rows]
    return in_markdown(list(headings.values()), cells)
