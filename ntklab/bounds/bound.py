"""A bound: its number, what it is made of, what it rests on, and what it bounds as measured.

A number is computed only after the assumptions have been checked (`conclude`), so a bound whose
assumption fails has no value at all, rather than one that looks like an answer.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal, Self

Form = Literal["paper", "mended", "sharper"]
Direction = Literal["upper", "lower"]

# Relative slack in `holds`: bounds that are equalities must not fail by the last digits.
ROUNDING = 1e-9


@dataclass(frozen=True)
class Assumption:
    """One thing that a bound rests on.

    Attributes:
        statement: the assumption, in words.
        holds: True or False where it was checked, None where nothing here can check it.
        how_checked: the evidence, or why there is none.
    """

    statement: str
    holds: bool | None
    how_checked: str


@dataclass(frozen=True, kw_only=True, repr=False)
class Bound:
    """A bound beside what it bounds. Make one with `conclude`.

    Attributes:
        name: what a table calls it.
        equation: number(s) in the paper, such as "15/20", or "" for bounds that it lacks.
        form: "paper" as printed, "mended" with the constants that a proof gives, "sharper" where
            better is known.
        bounds: what it bounds, in words.
        value: the number, or None where an assumption fails; then `reason` says which.
        ingredients: named numbers that the value was computed from.
        assumptions: each with how it was checked.
        direction: "upper" or "lower".
        trivial: what holds without any bound (1 for an error rate); None if there is no such.
        refusal: why `value` is None.
        measured: the quantity bounded, where it was given.
    """

    name: str
    equation: str
    form: Form
    bounds: str
    value: float | None
    ingredients: Mapping[str, float] = field(default_factory=dict)
    assumptions: tuple[Assumption, ...] = ()
    direction: Direction = "upper"
    trivial: float | None = None
    refusal: str | None = None
    measured: float | None = None

    def __post_init__(self) -> None:
        if (self.value is None) != (self.refusal is not None):
            raise ValueError(f"bound '{self.name}': a value or a refusal, exactly one of them")
        if self.value is not None and any(a.holds is False for a in self.assumptions):
            raise ValueError(f"bound '{self.name}' has a value although an assumption fails")
        object.__setattr__(self, "ingredients", MappingProxyType(dict(self.ingredients)))

    def __repr__(self) -> str:
        """One line: its name, what it bounds, its value, and what was measured.

        Example:
            >>> conclude(lambda: 0.5, name="trace", equation="18", form="mended", bounds="R_S",
            ...          measured=0.3)
            Bound trace (eq 18, mended): R_S ≤ 0.5, measured 0.3
        """
        place = f"eq {self.equation}, {self.form}" if self.equation else self.form
        head = f"Bound {self.name} ({place}): {self.bounds}"
        if self.value is None:
            return f"{head} has none: {self.refusal}"
        sign = "≤" if self.direction == "upper" else "≥"
        beside = "" if self.measured is None else f", measured {self.measured:.4g}"
        broken = " and it FAILS" if self.holds is False else ""
        vacuous = ", vacuous" if self.vacuous else ""
        return f"{head} {sign} {self.value:.4g}{vacuous}{beside}{broken}"

    @property
    def vacuous(self) -> bool:
        """Whether it says nothing: no value, or one no better than what holds anyway."""
        if self.value is None:
            return True
        if self.trivial is None:
            return False
        upper = self.direction == "upper"
        return self.value >= self.trivial if upper else self.value <= self.trivial

    @property
    def reason(self) -> str | None:
        """Why it is vacuous; None if it is not."""
        if self.refusal is not None or not self.vacuous:
            return self.refusal
        side = "at least" if self.direction == "upper" else "at most"
        return f"{self.value:.3g} is {side} {self.trivial:.3g}, which holds without any bound"

    @property
    def holds(self) -> bool | None:
        """Whether the measured quantity is on the right side; None if either is missing."""
        if self.value is None or self.measured is None:
            return None
        slack = ROUNDING * max(abs(self.value), abs(self.measured))
        if self.direction == "upper":
            return self.measured <= self.value + slack
        return self.measured >= self.value - slack

    @property
    def assumptions_hold(self) -> bool | None:
        """False if one fails, None if one is unchecked, else True."""
        answers = [assumption.holds for assumption in self.assumptions]
        if False in answers:
            return False
        return None if None in answers else True

    def beside(self, measured: float | None) -> Self:
        """The same bound with the measured quantity."""
        return replace(self, measured=measured)

    def row(self) -> dict[str, Any]:
        """A flat row of text, numbers, booleans and nulls; ingredients get a prefix.

        Example:
            >>> row = conclude(lambda: 0.5, name="half", equation="18", form="paper",
            ...                bounds="nothing much", ingredients={"trace": 4.0}).row()
            >>> row["value"], row["vacuous"], row["holds"], row["ingredient_trace"]
            (0.5, False, None, 4.0)
        """
        sentences = [f"{_WORD[a.holds]}: {a.statement} ({a.how_checked})" for a in self.assumptions]
        return {
            "name": self.name,
            "equation": self.equation,
            "form": self.form,
            "bounds": self.bounds,
            "direction": self.direction,
            "value": self.value,
            "trivial": self.trivial,
            "vacuous": self.vacuous,
            "reason": self.reason,
            "measured": self.measured,
            "holds": self.holds,
            "assumptions_hold": self.assumptions_hold,
            "assumptions": "; ".join(sentences),
            **{f"ingredient_{key}": number for key, number in self.ingredients.items()},
        }


_WORD = {True: "holds", False: "FAILS", None: "not checked"}


def conclude(
    compute: Callable[[], float],
    *,
    name: str,
    equation: str,
    form: Form,
    bounds: str,
    ingredients: Mapping[str, float] | None = None,
    assumptions: Sequence[Assumption] = (),
    direction: Direction = "upper",
    trivial: float | None = None,
    measured: float | None = None,
) -> Bound:
    """Compute a bound if every assumption that was checked holds; otherwise say why not.

    Args:
        compute: returns the value; called only if no assumption fails. A result that is not
            finite becomes a refusal.
        name: see `Bound`, as for the rest.
        equation: number(s) in the paper.
        form: "paper", "mended" or "sharper".
        bounds: what it bounds, in words.
        ingredients: named numbers.
        assumptions: those with `holds=False` prevent the computation.
        direction: "upper" or "lower".
        trivial: what holds without any bound.
        measured: the quantity bounded.

    Example:
        >>> singular = Assumption("λ_min > 0", False, "rank 3 of 4")
        >>> bound = conclude(lambda: 1 / 0, name="demo", equation="19", form="paper",
        ...                  bounds="R_S", assumptions=[singular])
        >>> bound.value, bound.vacuous, bound.reason
        (None, True, 'λ_min > 0 fails: rank 3 of 4')
    """
    failed = [a for a in assumptions if a.holds is False]
    value, refusal = None, "; ".join(f"{a.statement} fails: {a.how_checked}" for a in failed)
    if not failed:
        try:
            value = float(compute())
        except OverflowError:
            value = math.inf
        if not math.isfinite(value):
            value, refusal = None, "its value is no finite number in float64"
    return Bound(
        name=name,
        equation=equation,
        form=form,
        bounds=bounds,
        value=value,
        ingredients=ingredients or {},
        assumptions=tuple(assumptions),
        direction=direction,
        trivial=trivial,
        refusal=refusal or None,
        measured=measured,
    )


def rests_on(*bounds: Bound) -> tuple[Assumption, ...]:
    """The assumptions of the bounds that another is made from, and that each has a value."""
    inherited = [assumption for bound in bounds for assumption in bound.assumptions]
    # An inherited failure must not be listed beside its consequence twice.
    missing = [
        Assumption(f"the bound '{bound.name}' has a value", False, bound.refusal)
        for bound in bounds
        if bound.refusal is not None
    ]
    return tuple(missing or inherited)
