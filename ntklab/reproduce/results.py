"""The five main results of `ntklab reproduce`, a line each, computed from its records."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ntklab.records import Record


def main_results(records: Path) -> list[str]:
    """A line for each main result whose record is there.

    Args:
        records: folder of records.
    """
    from ntklab.records import Record

    paths = {name: records / name for name in RESULTS if (records / name / "record.json").exists()}
    read = {name: Record.read(path) for name, path in paths.items()}
    return [line(record) for name, record in read.items() for line in RESULTS[name]]


def smallest_eigenvalue(record: "Record") -> str:
    """Eq. 13 at equal scale on noisy images: λ_min over the mean eigenvalue, seed by seed."""
    from ntklab.records import shown
    from ntklab.statistics import sign_test

    rows = [row for row in record.results if row["data_condition"] == "noisy"]
    test = sign_test(rows, "lambda_min_over_mean", "tensorguide", "lora")
    seeds = test["wins"] + test["losses"] + test["ties"]
    return (
        f"Kernel: λ_min over the mean eigenvalue is larger for TensorGuide than for LoRA at "
        f"{test['wins']} of {seeds} seeds, smaller at {test['losses']} "
        f"(sign test p = {shown(test['p_value'])})."
    )


def accuracy(record: "Record") -> str:
    """Table 1, trained alike: TensorGuide less LoRA in points of test accuracy."""
    from ntklab.experiments.training.table import comparisons, difference_of

    rows = comparisons(record, "lora")
    wanted = {"settings": "matched", "variant": "tensorguide"}
    pairs = [row for row in rows if all(row[key] == value for key, value in wanted.items())]
    if not pairs:
        return "Training: the record has no TensorGuide trained as LoRA is."
    d = difference_of(pairs[0])
    ends = "" if d.mean_low is None else f" [{100 * d.mean_low:+.1f}, {100 * d.mean_high:+.1f}]"  # type: ignore[operator]
    says = {-1: "less accurate", 0: "undecided", 1: "more accurate"}[d.decided]
    return (
        f"Training: TensorGuide less LoRA, trained alike, is {100 * d.mean:+.1f} points of test "
        f"accuracy{ends} over {d.seeds} seeds: {says}."
    )


def regime(record: "Record") -> str:
    """Whether the runs of Table 1 stayed in the NTK regime."""
    judged = [row for row in record.results if row.get("ntk_regime") is not None]
    inside = sum(bool(row["ntk_regime"]) for row in judged)
    return (
        f"Kernel regime: {inside} of {len(judged)} trained heads stay where the kernel at the "
        "start predicts them."
    )


def bounds(record: "Record") -> str:
    """How many bounds say anything, and how many of those with a measurement hold."""
    from ntklab.figures.bounds import bounds_table

    rows = [row for row in bounds_table(record) if row["direction"] == "upper"]
    saying = [row for row in rows if not row["vacuous"]]
    beside = [row for row in rows if None not in (row["value"], row["measured"])]
    holding = [row for row in beside if row["measured"] <= row["value"] * (1 + 1e-9)]
    return (
        f"Bounds: {len(saying)} of {len(rows)} upper bounds say something (the rest are vacuous); "
        f"{len(holding)} of {len(beside)} that have a measurement beside them hold."
    )


def width(record: "Record") -> str:
    """Eq. 7: how fast the error falls with the width, on a target of known Barron constant."""
    from ntklab.figures.approximation import slope

    measured = slope(record, "dense")
    if measured is None:
        return "Width: one width says nothing of how the error falls with it."
    widths = record.config["widths"]
    return (
        f"Width: a trained dense head's error falls as M^{measured:.2f} from M = {min(widths)} to "
        f"{max(widths)}; the bound of eq. 7 falls as M^-0.50."
    )


#: Record → the lines that it gives.
RESULTS: dict[str, tuple[Callable[["Record"], str], ...]] = {
    "spectrum-ntk": (smallest_eigenvalue,),
    "pairs-table1": (accuracy, regime),
    "bounds": (bounds,),
    "approximation": (width,),
}
