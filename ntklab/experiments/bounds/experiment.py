"""`ntklab bounds` as an experiment: cells, columns, what a record says of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from ntklab.experiments.bounds.cell import run_bounds_cell
from ntklab.experiments.bounds.config import BoundsConfig
from ntklab.experiments.run import Experiment, Plan, fixed
from ntklab.experiments.spectrum import experiment as spectrum
from ntklab.experiments.spectrum import previews
from ntklab.experiments.spectrum.config import SpectrumConfig
from ntklab.records import Cell, Record
from ntklab.tables import Column, Columns

COLUMNS: Columns = {
    "method": "method",
    "data_condition": "data",
    "seed": "seed",
    "name": "bound",
    "equation": "eq",
    "form": Column("form", 1),
    "sign": "is",
    "value": "value",
    "measured": "measured",
    "holds": "holds",
    "vacuous": "vacuous",
    "reason": "reason",
}
_SIGNS = {"upper": "≤", "lower": "≥"}
GAUGES: Columns = {
    "method": "method",
    "data_condition": "data",
    "seed": "seed",
    "given": "as given",
    "equal_norm": "equal-norm",
    "canonical": "canonical",
    "best": "best",
    "gap": "gap",
    "reason": "reason",
}


def kernels(configs: Sequence[BoundsConfig]) -> list[SpectrumConfig]:
    """Of which kernels the bounds are."""
    return [config.kernel for config in configs]


def shared(configs: Sequence[BoundsConfig]) -> dict[str, Any]:
    """The settings that all cells of a folder share."""
    return {**fixed(configs), **spectrum.shared(kernels(configs))}


def described(configs: Sequence[BoundsConfig]) -> dict[str, Any]:
    """The configuration of the record."""
    return {**fixed(configs), **spectrum.described(kernels(configs))}


def plan(configs: Sequence[BoundsConfig]) -> Plan:
    """Shapes, counts and costs of the kernels."""
    return spectrum.plan(kernels(configs))


def threads(configs: Sequence[BoundsConfig]) -> int:
    """As many as the largest kernel deserves."""
    return spectrum.threads(kernels(configs))


def rows(cell: Cell) -> list[dict[str, Any]]:
    """A row a bound; the cell's own row only counts them."""
    return cell.flat_parts


def bound_table(record: Record) -> list[dict[str, Any]]:
    """The rows of bounds as a table shows them.

    Returns:
        Every bound with its sign, ≤ for one from above and ≥ for one from below; where the measured
        value breaks it, the assumptions that nobody checked as its reason.
    """
    rows = [row for row in record.results if row.get("kind") == "bound"]
    return [
        row | {"sign": _SIGNS.get(str(row.get("direction"))), "reason": _reason(row)}
        for row in rows
    ]


def _reason(row: Mapping[str, Any]) -> Any:
    return row.get("assumptions") if row.get("holds") is False else row.get("reason")


def gauge_table(record: Record) -> list[dict[str, Any]]:
    """One row a method and seed: λ_min over the mean as given, in two gauges, and the best of all.

    Returns:
        Rows with method, seed, given, equal_norm, canonical, best (attained by bond scalings, or
        per-core rates), gap (the optimum is at most best + gap).
    """
    table: dict[str, dict[str, Any]] = {}
    for row in record.results:
        if row.get("kind") != "gauge":
            continue
        names = ("method", "data_condition", "seed", "best", "gap")
        line = table.setdefault(row["cell"], {name: row.get(name) for name in names})
        if row["gauge"] is not None and row["gauge"] != "best-scaling":
            line[row["gauge"].replace("-", "_")] = row.get("lambda_min_over_mean")
        if row.get("reason"):
            line["reason"] = row["reason"]
    return list(table.values())


BOUNDS = Experiment(
    name="bounds",
    config=BoundsConfig,
    cell=run_bounds_cell,
    columns=COLUMNS,
    described=described,
    shared=shared,
    rows=rows,
    check=lambda configs: previews(kernels(configs), rows=True),
    plan=plan,
    threads=threads,
)
