"""Two methods at equal seeds: a marker a seed, and a line that joins a pair."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ntklab.display import axes_or_new
from ntklab.errors import InputError
from ntklab.figures.style import method_style
from ntklab.statistics import by_seed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_APART = 0.16  # from the middle of a group to either method
_BELOW = 30.0  # exact zeros stand so many times below the least positive value


def draw_pairs(
    rows: Iterable[Mapping[str, Any]],
    figure: str,
    methods: tuple[str, str],
    *,
    across: str,
    axes: "Axes | None" = None,
) -> "Axes":
    """One quantity of two methods on a logarithmic axis, a group of pairs for each setting.

    A rising line is a seed at which the second method is larger. An exact zero has no logarithm:
    zeros stand in a grey band at the foot of the panel.

    Args:
        rows: with `method`, `seed`, the quantity and the setting; a row a method, setting, seed.
        figure: the column of the quantity, at least 0.
        methods: left and right of every pair.
        across: the column of the setting, such as "preset".
        axes: where to draw; new ones if None.

    Returns:
        The axes.

    Raises:
        InputError: if no row has both a method of the two and the quantity, or a seed occurs twice.

    Example:
        >>> import matplotlib
        >>> matplotlib.use("Agg")
        >>> rows = [{"method": m, "seed": s, "preset": "ntk", "rank": s + len(m)}
        ...         for m in ("lora", "tensorguide") for s in (0, 1)]
        >>> axes = draw_pairs(rows, "rank", ("lora", "tensorguide"), across="preset")
        >>> [label.get_text() for label in axes.get_xticklabels()]
        ['ntk']
    """
    rows = [row for row in rows if row["method"] in methods and row.get(figure) is not None]
    if not rows:
        raise InputError(f"no row has '{figure}' of {' or '.join(methods)}.")
    axes = axes_or_new(axes)
    groups = list(dict.fromkeys(row[across] for row in rows))
    positive = [row[figure] for row in rows if row[figure] > 0]
    floor = min(positive, default=1.0) / _BELOW
    for place, group in enumerate(groups):
        own = [row for row in rows if row[across] == group]
        values = [by_seed(own, figure, method=method) for method in methods]
        _group(axes, place, [{s: max(v, floor) for s, v in one.items()} for one in values], methods)
    if len(positive) < len(rows):
        axes.axhspan(floor / 2, floor * 2, color="#F0F0F0", linewidth=0, zorder=0)
        axes.annotate(
            "exactly zero", (-0.45, floor), va="center", fontsize="x-small", color="#606060"
        )
    axes.set(yscale="log", xlim=(-0.5, len(groups) - 0.5))
    axes.set_xticks(range(len(groups)), [str(group) for group in groups])
    axes.grid(visible=False, axis="x")
    return axes


def _group(
    axes: "Axes", place: int, values: list[dict[int, float]], methods: tuple[str, str]
) -> None:
    left, right = values
    spots = (place - _APART, place + _APART)
    for seed in left.keys() & right.keys():
        axes.plot(spots, [left[seed], right[seed]], color="#BDBDBD", linewidth=0.7, zorder=1)
    for spot, points, method in zip(spots, values, methods, strict=True):
        style = method_style(method)
        axes.plot(
            np.full(len(points), spot), list(points.values()), label="_" if place else style.label,
            color=style.colour, marker=style.marker, markersize=4.5, linestyle="none",
            markeredgecolor="white", markeredgewidth=0.3,
        )  # fmt: skip
