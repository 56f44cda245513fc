"""Does a figure of the kernel rank methods by what fine-tuning gives? Rows and their outcome."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ntklab.claims import Effort, Verdict
from ntklab.experiments.training.panel import Panel
from ntklab.statistics import SIGNIFICANT, association, detectable_correlation, holm

#: A correlation below this explains less than a quarter of the ranks: no strong association.
STRONG = 0.5
LEAST_METHODS = 5
STANDS, FALLS, OPEN, NONE = "stands", "falls", "undecided", "undefined"

#: Figure -> its words, and the sign of its correlation with accuracy that would be expected.
OTHERS: Mapping[str, tuple[str, int]] = {
    "condition_nonzero": ("λ_max over the smallest nonzero eigenvalue", -1),
    "effective_dimension": ("effective dimension", 1),
    "label_alignment": ("alignment of the labels", 1),
    "kernel_target_alignment": ("kernel-target alignment", 1),
    "log_params": ("number of parameters", 1),
    "predicted_accuracy": ("accuracy that the kernel predicts", 1),
}
#: Measured figure -> its words, and whether more of it is better.
TARGETS: Mapping[str, tuple[str, int]] = {
    "accuracy_adam": ("test accuracy, Adam", 1),
    "accuracy_sgd": ("test accuracy, SGD", 1),
    "speed_adam": ("speed of training, Adam", 1),
    "speed_sgd": ("speed of training, SGD", 1),
}

COLUMNS = {
    "figure": "figure of the kernel",
    "target": "measured",
    "methods": "methods",
    "rho": "Spearman",
    "low": "95 %, low",
    "high": "95 %, high",
    "p_holm": "p (Holm)",
    "partial": "without P",
    "partial_low": "its 95 %, low",
    "partial_high": "its 95 %, high",
    "partial_p_holm": "its p (Holm)",
    "says": "says",
}
LABELS = {
    "tests": "tests of the claim",
    "standing": "of them that stand",
    "falling": "of them that fall",
    "standing_without_params": "that stand also without the number of parameters",
    "detectable": "least correlation that such a test sees in 80 % of cases",
    "best": "figure that ranks accuracy best",
    "best_rho": "its Spearman correlation",
}


def ranked(
    panel: Panel,
    figures: Mapping[str, tuple[str, int]],
    targets: Mapping[str, tuple[str, int]],
    effort: Effort,
    *,
    family: str,
) -> list[dict[str, Any]]:
    """One row a figure and target: ρ over methods, partial for log P, Holm over all these rows.

    Args:
        panel: rows of a record.
        figures: of the kernel, with the expected sign.
        targets: measured, with the sign of what is better.
        effort: how many resamples.
        family: word by which the rows are known later.
    """
    rows = []
    for figure, (words, sign) in figures.items():
        for target, (named, better) in targets.items():
            x, y = panel.table(figure), panel.table(target)
            control = None if figure == "log_params" else panel.table("log_params")
            shared = [name for name in x if name in y]
            row = {"family": family, "figure": words, "target": named, "sign": sign * better}
            if len(shared) < LEAST_METHODS:
                rows.append(row | _empty(len(shared)))
                continue
            resamples = 4000 if effort.full else 400
            result = association(x, y, control=control, resamples=resamples).as_row()
            rows.append(row | {"undefined": result.pop("reason")} | result)
    _correct(rows, "p", "p_holm")
    _correct(rows, "partial_p", "partial_p_holm")
    for row in rows:
        row["says"] = outcome(row)
        row["says_without_params"] = outcome(row, "partial")
    return rows


def outcome(row: Mapping[str, Any], kind: str = "rho") -> str:
    """The word of a row on an association of the expected sign.

    "stands" if the interval is on the right side of zero and p (Holm) below 0.05; "falls" if the
    interval lies below `STRONG` in the expected direction, so that no strong association is left;
    "undefined" where the figure is the same for all methods; else "undecided".
    """
    names = ("low", "high", "p_holm")
    if kind == "partial":
        names = ("partial_low", "partial_high", "partial_p_holm")
    low, high, p = (row.get(name) for name in names)
    if row["methods"] < LEAST_METHODS:
        return OPEN
    if row.get(kind) is None:
        return NONE
    if low is None or high is None or p is None:
        return OPEN
    if row["sign"] < 0:
        low, high = -high, -low
    if low > 0 and p < SIGNIFICANT:
        return STANDS
    return FALLS if high < STRONG else OPEN


def summary(rows: Sequence[Mapping[str, Any]], family: str) -> dict[str, Any]:
    """Counts of outcomes in one family, the power, and which figure ranks accuracy best."""
    own = [row for row in rows if row["family"] == family]
    methods = max((row["methods"] for row in own), default=0)
    defined = [r for r in rows if r["rho"] is not None and r["target"].startswith("test accuracy")]
    best = max(defined, key=lambda row: row["sign"] * row["rho"], default=None)
    return {
        "tests": len(own),
        "standing": sum(row["says"] == STANDS for row in own),
        "falling": sum(row["says"] in (FALLS, NONE) for row in own),
        "standing_without_params": sum(
            row["says"] == row["says_without_params"] == STANDS for row in own
        ),
        "detectable": detectable_correlation(methods, level=SIGNIFICANT / max(len(own), 1)),
        "best": best and f"{best['figure']}, {best['target']}",
        "best_rho": best and best["rho"],
    }


def verdict(values: Mapping[str, Any]) -> Verdict:
    """OK if every test stands, also without P; FALSE if all fall; REGIME if some stand; else DATA.

    A test that stands only while the number of parameters is left in is decided by that number.
    """
    if values["tests"] and values["standing_without_params"] == values["tests"]:
        return Verdict.OK
    if values["standing"]:
        return Verdict.REGIME
    return Verdict.FALSE if values["falling"] == values["tests"] > 0 else Verdict.DATA


def rows_text(rows: Iterable[Mapping[str, Any]]) -> str:
    """Correlations in words: figure, target, ρ with interval and corrected p."""
    parts = []
    for row in rows:
        if row["rho"] is None:
            parts.append(f"{row['figure']} with {row['target']}: {row['undefined']}")
            continue
        ends = "" if row["low"] is None else f" [{row['low']:.2f}, {row['high']:.2f}]"
        parts.append(
            f"{row['figure']} with {row['target']}: {row['rho']:+.2f}{ends}, p = "
            f"{row['p_holm']:.2g}" + _partial_text(row)
        )
    return "; ".join(parts)


def standing_text(rows: Iterable[Mapping[str, Any]]) -> str:
    """The figures that stand, with whether the number of parameters alone explains them."""
    return "; ".join(
        f"{row['figure']} by {row['target']}"
        + ("" if row["says_without_params"] == STANDS else ", not without P")
        for row in rows
        if row["says"] == STANDS
    )


def power_text(values: Mapping[str, Any]) -> str:
    """The smallest correlation that the test is likely to see."""
    return (
        f"With so many methods a single test of this family sees a correlation of "
        f"{values['detectable']:.2f} in 80 % of cases."
    )


def _partial_text(row: Mapping[str, Any]) -> str:
    return "" if row["partial"] is None else f" (without P {row['partial']:+.2f})"


def _empty(methods: int) -> dict[str, Any]:
    names = ("rho", "low", "high", "p", "partial", "partial_low", "partial_high", "partial_p")
    reason = f"only {methods} methods have both"
    return {"methods": methods, "seeds": 0, "detectable": 1.0, "undefined": reason} | dict.fromkeys(
        names
    )


def _correct(rows: list[dict[str, Any]], name: str, corrected: str) -> None:
    known = [row for row in rows if row[name] is not None]
    for row in rows:
        row[corrected] = None
    for row, p in zip(known, holm([row[name] for row in known]), strict=True):
        row[corrected] = p
