"""How figures look: sizes of the venues, one colour and one marker a method.

Colours are those of Okabe and Ito (2008), which people with any common colour vision tell apart;
markers say the same a second time, for print without colour.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ntklab.adapters.registry import METHODS as REGISTERED
from ntklab.errors import unknown


@dataclass(frozen=True)
class MethodStyle:
    """How one method is drawn, wherever it is drawn."""

    label: str
    colour: str
    marker: str
    line: Any = "-"  # a matplotlib line style


_DASHED = (0, (4, 1.5))
# Colour, marker and line of the methods in their order in the registry.
_LOOKS: tuple[tuple[str, str, Any], ...] = (
    ("#0072B2", "o", "-"),
    ("#009E73", "s", "-"),
    ("#D55E00", "^", "-"),
    ("#CC79A7", "D", "-"),
    ("#E69F00", "v", "-"),
    ("#404040", "x", _DASHED),
)

METHODS: dict[str, MethodStyle] = {
    method: MethodStyle(REGISTERED.label(method), *looks)
    for method, looks in zip(REGISTERED, _LOOKS, strict=False)
}
_OTHERS = ("#56B4E9", "#882255", "#999933", "#6699CC")  # for methods that users register
_OTHER_MARKERS = ("P", "*", "h", "<")

#: Short names of the venues, and what tueplots calls the style of the year that they stand for.
VENUES: dict[str, str] = {
    "neurips": "neurips2024",
    "iclr": "iclr2024",
    "icml": "icml2024",
    "icml-wide": "icml2024_full",
    "aistats": "aistats2025",
    "cvpr": "cvpr2024",
    "jmlr": "jmlr2001",
    "tmlr": "tmlr2023",
}
_PARTS = ("_half", "_full")  # one column or both, of venues that print in two

#: Sizes, seeds or ranks of one method differ in a number: one colour map, dark is small.
_SCALE = "viridis"
_SCALE_MARKERS = ("o", "s", "^", "D", "v", "P", "*", "X")


def method_style(method: str) -> MethodStyle:
    """The style of a method; one that is not ours gets a colour and a marker from its name.

    Example:
        >>> method_style("tensorguide").label
        'TensorGuide'
        >>> method_style("my-adapter") == method_style("my-adapter")
        True
    """
    if method in METHODS:
        return METHODS[method]
    place = sum(method.encode()) % len(_OTHERS)
    return MethodStyle(method, _OTHERS[place], _OTHER_MARKERS[place])


def scale_styles(labels: Sequence[str]) -> dict[str, MethodStyle]:
    """Styles for variants of one method, in their order: dark to light, a marker each.

    Example:
        >>> styles = scale_styles(["1,2,1", "1,4,1"])
        >>> styles["1,2,1"].colour, styles["1,2,1"].marker
        ('#440154', 'o')
    """
    import matplotlib as mpl

    shades = mpl.colormaps[_SCALE]
    last = max(len(labels) - 1, 1)
    return {
        label: MethodStyle(
            label,
            mpl.colors.to_hex(shades(0.85 * place / last)),
            _SCALE_MARKERS[place % len(_SCALE_MARKERS)],
        )
        for place, label in enumerate(labels)
    }


def venue_names() -> list[str]:
    """Every name that `venue_style` knows: the short ones, and those of tueplots with their year.

    Example:
        >>> {"neurips", "neurips2024", "icml2024_half", "tmlr2023"} <= set(venue_names())
        True
    """
    from tueplots import figsizes, fontsizes

    sizes = [name for name in dir(figsizes) if hasattr(fontsizes, _without_part(name))]
    sizes = [name for name in sizes if name[0] != "_" and any(map(str.isdigit, name))]
    return list(dict.fromkeys([*VENUES, *map(_without_part, sizes), *sizes]))


def venue_style(
    venue: str = "neurips", *, columns: int = 1, height_to_width: float = 0.62
) -> dict[str, Any]:
    """matplotlib's rcParams for one venue: its text width, its font sizes, embedded fonts.

    Where a venue prints in two columns, one panel takes a column and several take both, unless
    the name says which (`icml2024_half`).

    Args:
        venue: a name from `venue_names`, such as `neurips`, `icml2024` or `tmlr2023`.
        columns: panels side by side.
        height_to_width: of one panel.

    Returns:
        A dict for `matplotlib.rc_context`. Fonts are matplotlib's own (STIX, close to Times), so
        a figure looks the same on every machine and needs no TeX.

    Raises:
        InputError: for an unknown venue; the nearest name is proposed.

    Example:
        >>> venue_style("neurips")["figure.figsize"][0]
        5.5
        >>> [venue_style("icml2024", columns=n)["figure.figsize"][0] for n in (1, 2)]
        [3.25, 6.75]
    """
    if venue not in VENUES and venue not in (known := venue_names()):
        raise unknown("venue", venue, known)
    from tueplots import axes, figsizes, fontsizes

    name = VENUES.get(venue, venue)
    if not hasattr(figsizes, name):
        name += _PARTS[columns > 1]
    size = getattr(figsizes, name)(ncols=columns, height_to_width_ratio=height_to_width)
    fonts = getattr(fontsizes, _without_part(name))
    return {
        **size,
        **fonts(),
        **axes.lines(base_width=0.6, line_base_ratio=2.0),
        "font.family": "STIXGeneral",
        "mathtext.fontset": "stix",
        "pdf.fonttype": 42,  # TrueType: text stays text, as venues demand
        "ps.fonttype": 42,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.grid.which": "major",
        "axes.axisbelow": True,
        "grid.color": "#E4E4E4",
        "grid.linewidth": 0.5,
        "legend.frameon": False,
        "savefig.dpi": 300,
    }


@contextmanager
def drawing(
    venue: str = "neurips", *, columns: int = 1, height_to_width: float = 0.62
) -> Iterator[None]:
    """Inside this block matplotlib draws in the style of a venue (see `venue_style`)."""
    import matplotlib as mpl

    style: Any = venue_style(venue, columns=columns, height_to_width=height_to_width)
    with mpl.rc_context(style):
        yield


def _without_part(name: str) -> str:
    for part in _PARTS:
        name = name.removesuffix(part)
    return name
