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
    from ntklab.adapters import METHODS
    from ntklab.experiments.bounds import BOUNDS, BoundsConfig, gauge_table
    from ntklab.experiments.grid import Grid
    from ntklab.figures import draw_plate, plate
    from ntklab.figures.bounds import bounds_table

    setting.note("bounds")
    axes = {"method": tuple(METHODS), "seed": range(1 if setting.quick else 5)}
    cells = Grid(BoundsConfig, {**setting.given, "gauge": True}, axes).cells()
    record = setting.run("bounds", BOUNDS, cells)
    draw_plate(plate("bounds"), setting.folder / "records", setting.folder / "figures")
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
    """Curves over width and TT-rank; their sizes grow with the samples of the setting."""
    from ntklab.experiments.approximation import APPROXIMATION, curve_cells
    from ntklab.figures import draw_plate, plate
    from ntklab.figures.approximation import approximation_caption

    setting.note("approximation curves")
    samples = setting.size.samples
    steps = (6 if setting.quick else 20) * samples
    shared: dict[str, Any] = {
        "quick": setting.quick,
        "widths": setting.size.widths,
        "seeds": range(1 if setting.quick else 3),
    }
    barron = {"samples": 64 * samples, "steps": steps}
    heads = {"samples": samples}
    if setting.size.images is not None:
        heads["images"] = setting.size.images
    cells = [
        *curve_cells(barron, targets=["barron"], **shared),
        *curve_cells(heads, targets=["dense-head"], **shared),
    ]
    record = setting.run("approximation", APPROXIMATION, cells, jobs=-1)
    draw_plate(plate("approximation"), setting.folder / "records", setting.folder / "figures")
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
