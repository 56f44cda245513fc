"""Several bounds together: a table in a notebook, a frame, one plot of their ratios."""

import math
from typing import TYPE_CHECKING

from ntklab.bounds.bound import Bound
from ntklab.display import axes_or_new, frame_of, html_rows
from ntklab.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


class Bounds(list[Bound]):
    """A list of bounds that shows itself as a table.

    Example:
        >>> import torch
        >>> from ntklab.bounds import side_by_side
        >>> bounds = side_by_side(torch.eye(4), torch.ones(4))
        >>> bounds.named("rademacher-trace").holds, len(bounds.to_frame()) == len(bounds)
        (True, True)
    """

    def __repr__(self) -> str:
        """One line a bound."""
        return "\n".join(repr(bound) for bound in self) or "no bounds"

    def _repr_html_(self) -> str:
        head = ("bound", "equation", "bounds", "value", "measured", "says something")
        return html_rows(f"{len(self)} bounds", head, (_cells(bound) for bound in self))

    def named(self, name: str) -> Bound:
        """The bound of that name.

        Raises:
            InputError: no bound has it.
        """
        for bound in self:
            if bound.name == name:
                return bound
        raise InputError(f"no bound is named '{name}': {', '.join(b.name for b in self)}.")

    def to_frame(self) -> "pd.DataFrame":
        """One row a bound, with the columns of `Bound.row`."""
        return frame_of(bound.row() for bound in self)

    def plot(self, axes: "Axes | None" = None) -> "Axes":
        """value/measured of every bound that has both: 1 is tight, below 1 an upper bound fails.

        Bounds of different quantities have no common axis; their ratios do. Hollow markers are
        vacuous.

        Args:
            axes: where to draw; new ones if None.

        Returns:
            The axes.
        """
        axes = axes_or_new(axes)
        shown = [(b, ratio) for b in self if (ratio := _ratio(b)) is not None]
        for place, (bound, ratio) in enumerate(shown):
            face = "none" if bound.vacuous else None
            axes.plot([ratio], [place], "o", color="C0", markerfacecolor=face or "C0")
        axes.axvline(1.0, color="#404040", linewidth=0.8)
        axes.set_yticks(range(len(shown)), [bound.name for bound, _ in shown])
        axes.set(xscale="log", xlabel="bound / measured", ylim=(len(shown) - 0.5, -0.5))
        return axes


def _ratio(bound: Bound) -> float | None:
    if bound.value is None or bound.measured is None or bound.measured <= 0 or bound.value <= 0:
        return None
    ratio = bound.value / bound.measured
    return ratio if math.isfinite(ratio) else None


def _cells(bound: Bound) -> list[str]:
    value = bound.refusal if bound.value is None else f"{bound.value:.4g}"
    measured = "" if bound.measured is None else f"{bound.measured:.4g}"
    said = f"no: {bound.reason}" if bound.vacuous and bound.value is not None else ""
    answer = said or ("no" if bound.vacuous else "yes")
    return [bound.name, bound.equation, bound.bounds, value or "", measured, answer]
