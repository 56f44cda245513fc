"""Drawing tensor networks: tensors as nodes, contracted indices as bonds, open ones as legs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Point = tuple[float, float]

RADIUS = 0.33
FROZEN = "#D9D9D9"
_INK = "#303030"
_BOND = 1.1
_DARK = 0.5  # luminance below which a label is white


@dataclass(frozen=True)
class Pen:
    """Where and how large a network is written.

    Attributes:
        axes: with equal units, in which a node has radius 0.33.
        colour: of trained tensors.
        large: font size of names, in points.
        small: font size of dimensions, in points.
    """

    axes: "Axes"
    colour: str
    large: float
    small: float

    def node(self, at: Point, name: str, *, trained: bool = True, shape: str = "circle") -> None:
        """A tensor: coloured if trained, grey if frozen; a diamond is a diagonal matrix."""
        from matplotlib.patches import Circle, Polygon, Rectangle

        x, y = at
        face = self.colour if trained else FROZEN
        style: dict[str, Any] = {
            "facecolor": face,
            "edgecolor": _INK,
            "linewidth": 0.7,
            "zorder": 3,
        }
        r = RADIUS
        if shape == "circle":
            self.axes.add_patch(Circle(at, r, **style))
        elif shape == "square":
            self.axes.add_patch(Rectangle((x - 0.9 * r, y - 0.9 * r), 1.8 * r, 1.8 * r, **style))
        else:
            tips = [(x, y + 1.2 * r), (x + 1.2 * r, y), (x, y - 1.2 * r), (x - 1.2 * r, y)]
            self.axes.add_patch(Polygon(tips, closed=True, **style))
        self.write(at, name, size=self.large, colour=_text_on(face))

    def bar(self, left: float, right: float, y: float, name: str, *, frozen: bool = True) -> None:
        """A tensor that many indices meet: grey if frozen and random, white if it is generated."""
        from matplotlib.patches import FancyBboxPatch

        height = 0.52
        self.axes.add_patch(
            FancyBboxPatch(
                (left, y - height / 2), right - left, height,
                boxstyle="round,pad=0,rounding_size=0.13", linewidth=0.7, edgecolor=_INK,
                facecolor=FROZEN if frozen else "white", zorder=3,
                linestyle="-" if frozen else (0, (3, 1.5)),
            )
        )  # fmt: skip
        self.write(((left + right) / 2, y), name, size=self.small + 0.5)

    def line(self, start: Point, end: Point, size: int | str, *, side: str = "above") -> None:
        """An index between two points, its dimension beside it; dotted and grey if that is 1."""
        trivial = size == 1
        (x0, y0), (x1, y1) = start, end
        self.axes.plot(
            [x0, x1], [y0, y1], color="#A0A0A0" if trivial else _INK,
            linewidth=0.8 if trivial else _BOND, linestyle=(0, (1, 1.5)) if trivial else "-",
            solid_capstyle="round", zorder=2,
        )  # fmt: skip
        middle = ((x0 + x1) / 2, (y0 + y1) / 2)
        shift = {"above": (0, 0.17), "right": (0.09, 0), "top": (0, 0)}[side]
        place = (x1, y1 + 0.05) if side == "top" else (middle[0] + shift[0], middle[1] + shift[1])
        self.write(
            place, str(size), size=self.small, colour="#808080" if trivial else _INK,
            ha="left" if side == "right" else "center", va="bottom" if side == "top" else "center",
        )  # fmt: skip

    def brace(self, left: float, right: float, y: float, name: str) -> None:
        """A bracket above indices that together make one."""
        self.axes.plot(
            [left, left, right, right], [y - 0.09, y, y, y - 0.09], color=_INK, linewidth=0.7
        )
        self.write(((left + right) / 2, y + 0.07), name, size=self.small, va="bottom")

    def write(
        self, at: Point, text: str, *, size: float, colour: str = _INK, ha: str = "center",
        va: str = "center", weight: str = "normal",
    ) -> None:  # fmt: skip
        """Text at a point."""
        self.axes.text(
            *at, text, fontsize=size, color=colour, ha=ha, va=va, zorder=4, fontweight=weight
        )


def train(
    pen: Pen, at: Point, cores: Sequence[tuple[int, int, int, int]], names: Sequence[str],
    *, step: float = 1.06, up: float = 0.95, down: float = 0.95, side: str = "right",
) -> tuple[float, float]:  # fmt: skip
    """A tensor train from left to right.

    Args:
        pen: how.
        at: centre of the first core.
        cores: (r_{k-1}, n_k, m_k, r_k) of each.
        names: of the cores.
        step: distance of two cores.
        up: length of the legs m_k, 0 for none.
        down: length of the legs n_k, 0 for none.
        side: where m_k stands, "right" of its leg or on "top" of it.

    Returns:
        The x of the first and of the last core.
    """
    x0, y = at
    for k, ((left, n, m, _), name) in enumerate(zip(cores, names, strict=True)):
        x = x0 + k * step
        if k:
            pen.line((x - step + RADIUS, y), (x - RADIUS, y), left)
        if up:
            pen.line((x, y + RADIUS), (x, y + up), m, side=side)
        if down:
            pen.line((x, y - RADIUS), (x, y - down), n, side="right")
        pen.node((x, y), name)
    return x0, x0 + (len(cores) - 1) * step


def _text_on(face: str) -> str:
    red, green, blue = (int(face[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return "white" if 0.299 * red + 0.587 * green + 0.114 * blue < _DARK else _INK
