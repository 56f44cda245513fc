"""Does a figure of the kernel rank methods by what fine-tuning gives? Rows and their outcome."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ntklab.claims import Effort, Verdict
from ntklab.experiments.training.panel import LEAST_METHODS, LEAST_SEEDS, Panel
from ntklab.statistics import SIGNIFICANT, association, detectable_correlation, holm

#: A correlation below this explains less than a quarter of the ranks: no strong association.
STRONG = 0.5
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
    "methods": "variants",
    "groups": "methods",
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
    "possible": "of them with enough methods and seeds",
    "ranked": "methods ranked, most",
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
    each: bool = False,
) -> list[dict[str, Any]]:
    """One row a figure and target: ρ over methods, partial for log P, Holm over all these rows.

    Fewer than `LEAST_METHODS` methods or `LEAST_SEEDS` seeds give no correlation.

    Args:
        panel: rows of a record.
        figures: of the kernel, with the expected sign.
        targets: measured, with the sign of what is better.
        effort: how many resamples.
        family: word by which the rows are known later.
        each: whether every variant stands for itself; else the variants of a method are one group.
    """
    rows = []
    groups = {name: name for name in panel.variants} if each else panel.methods
    resamples = 4000 if effort.full else 400
    for figure, (words, sign) in figures.items():
        for target, (named, better) in targets.items():
            x, y = panel.table(figure), panel.table(target)
            control = None if figure == "log_params" else panel.table("log_params")
            shared = [name for name in x if name in y]
            row = {"family": family, "figure": words, "target": named, "sign": sign * better}
            counts = {"methods": len(shared), "groups": len({groups[name] for name in shared})}
            reason = _too_few(counts["groups"], len(panel.seeds))
            if reason:
                rows.append(row | counts | {"seeds": len(panel.seeds)} | _empty(reason))
                continue
            result = association(x, y, control=control, groups=groups, resamples=resamples).as_row()
            rows.append(row | {"undefined": result.pop("reason"), "possible": True} | result)
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
    if not row["possible"]:
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
    methods = max((row["groups"] for row in own), default=0)
    defined = [r for r in rows if r["rho"] is not None and r["target"].startswith("test accuracy")]
    best = max(defined, key=lambda row: row["sign"] * row["rho"], default=None)
    return {
        "tests": len(own),
        "possible": sum(row["possible"] for row in own),
        "ranked": methods,
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
    parts, wanting = [], dict[str, dict[str, None]]()
    for row in rows:
        if not row["possible"]:
            wanting.setdefault(row["undefined"], {})[row["target"]] = None
            continue
        if row["rho"] is None:
            parts.append(f"{row['figure']} with {row['target']}: {row['undefined']}")
            continue
        ends = "" if row["low"] is None else f" [{row['low']:.2f}, {row['high']:.2f}]"
        parts.append(
            f"{row['figure']} with {row['target']}: {row['rho']:+.2f}{ends}, p = "
            f"{row['p_holm']:.2g}" + _partial_text(row)
        )
    parts += [
        f"no test with {', with '.join(targets)}, since {reason}"
        for reason, targets in wanting.items()
    ]
    return "; ".join(parts)


def brief(values: Mapping[str, Any]) -> str:
    """The outcome in a clause."""
    if not values["possible"]:
        return f"no test yet: {values['ranked']} of at least {LEAST_METHODS} methods measured"
    waiting = values["tests"] - values["possible"]
    return f"{values['standing']} of {values['tests']} tests stand, {values['falling']} fall" + (
        f", {waiting} wait" if waiting else ""
    )


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
    if not values["possible"]:
        return (
            f"No ranking is stated of fewer than {LEAST_METHODS} methods (sizes of one count once) "
            f"and {LEAST_SEEDS} seeds."
        )
    return (
        f"With {values['ranked']} methods a single test of this family sees a correlation of "
        f"{values['detectable']:.2f} in 80 % of cases."
    )


def _partial_text(row: Mapping[str, Any]) -> str:
    return "" if row["partial"] is None else f" (without P {row['partial']:+.2f})"


def _too_few(methods: int, seeds: int) -> str | None:
    if methods < LEAST_METHODS:
        return f"only {methods} of at least {LEAST_METHODS} methods have both"
    if seeds < LEAST_SEEDS:
        return f"only {seeds} of at least {LEAST_SEEDS} seeds are in the record"
    return None


def _empty(reason: str) -> dict[str, Any]:
    names = ("rho", "low", "high", "p", "partial", "partial_low", "partial_high", "partial_p")
    return {"detectable": 1.0, "undefined": reason, "possible": False} | dict.fromkeys(names)


def _correct(rows: list[dict[str, Any]], name: str, corrected: str) -> None:
    known = [row for row in rows if row[name] is not None]
    for row in rows:
        row[corrected] = None
    for row, p in zip(known, holm([row[name] for row in known]), strict=True):
        row[corrected] = p
