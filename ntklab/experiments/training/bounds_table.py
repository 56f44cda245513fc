"""Generalization bounds of pairs as Markdown, each with how often it is vacuous."""

from collections.abc import Mapping, Sequence
from typing import Any

from ntklab.tables import in_markdown

_KERNEL = {
    "fit_bound": "R_S, closed form",
    "rademacher": "R_S, sampled",
    "fit_risk_bound": "risk by the closed form",
    "rademacher_risk_bound": "risk by sampling",
}
_NOTE = (
    "Complexity R_S of the ball through the linearized fit and the bounds on the risk of its "
    "clipped loss (95 %), then Occam's bound on the error of the *trained* head after writing its "
    "P_eff gauge-fixed coordinates in few bits each. Vacuous: no better than 1, or, for R_S, "
    "inside a risk bound that is; in brackets of how many seeds. Guessing one of two classes errs "
    "at one half. Medians over seeds."
)


def bounds_markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """A table of the bounds of `pair_table` rows; empty without any.

    Example:
        >>> row = {"variant": "lora", "fit_bound": 3.0, "fit_bound_vacuous": "2 of 2"}
        >>> bounds_markdown([row]).splitlines()[-1]
        '| lora | 3 (2 of 2 vacuous) | – | – | – | – | – | – |'
    """
    names = (*_KERNEL, "compression_bound")
    if not any(row.get(name) is not None for row in rows for name in names):
        return ""
    headings = ["variant", *_KERNEL.values(), "P_eff × bits", "error by counting"]
    headings.append("rounded head, train / test error")
    cells = [
        [
            *(row["variant"], *(_judged(row, name) for name in _KERNEL)),
            *(_times(row), _judged(row, "compression_bound"), _rounded(row)),
        ]
        for row in rows
    ]
    return f"Generalization bounds. {_NOTE}\n\n{in_markdown(headings, cells)}".rstrip("\n")


def _judged(row: Mapping[str, Any], name: str) -> str:
    value, count = row.get(name), row.get(f"{name}_vacuous")
    if value is None:
        return "–"
    return f"{value:.3g}" + (f" ({count} vacuous)" if count else "")


def _times(row: Mapping[str, Any]) -> str:
    if row.get("effective_parameters") is None:
        return "–"
    return f"{row['effective_parameters']:.0f} × {row['compression_bits']:.3g}"


def _rounded(row: Mapping[str, Any]) -> str:
    errors = [row.get(f"compressed_{part}_error") for part in ("train", "test")]
    shares = ["–" if error is None else f"{100 * error:.1f} %" for error in errors]
    return " / ".join(shares) if any(error is not None for error in errors) else "–"
