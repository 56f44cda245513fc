"""The spectra of several kernels in one panel."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ntklab.display import axes_or_new
from ntklab.errors import unknown
from ntklab.figures.draw.panels import legend_beside
from ntklab.figures.style import METHODS, MethodStyle, method_style, scale_styles
from ntklab.spectra import Spectrum
from ntklab.spectra.values import corners

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: What eigenvalues are divided by → the label of their axis.
OVER = {
    "": r"NTK eigenvalue $\lambda_i$",
    "mean": r"$\lambda_i\,/\,\overline{\lambda}$",
    "max": r"$\lambda_i\,/\,\lambda_{\max}$",
}


def draw_spectra(
    spectra: Mapping[str, Spectrum | Sequence[Spectrum]],
    axes: "Axes | None" = None,
    *,
    over: str = "",
    styles: Mapping[str, MethodStyle] | None = None,
) -> "Axes":
    """Eigenvalues with multiplicity on logarithmic axes: a name one colour, a spectrum one line.

    A line ends in a marker at its smallest nonzero eigenvalue. Where all kernels have one size, a
    dotted line marks it: a spectrum that ends before it is that of a singular kernel.

    Args:
        spectra: name → its spectrum, or several (over seeds). A name of the registry has its
            method's style; other names have the shades of one scale.
        axes: where to draw; new ones if None.
        over: "" for raw eigenvalues, "mean" or "max" to divide by the mean or the largest one.
        styles: name → style, for names that should have another.

    Returns:
        The axes, with a legend at their right that gives the (median) rank of each name.

    Raises:
        InputError: for another word of `over`.

    Example:
        >>> import matplotlib, torch
        >>> matplotlib.use("Agg")
        >>> axes = draw_spectra({"lora": Spectrum.from_values(torch.tensor([4.0, 1.0]), size=3)})
        >>> axes.lines[0].get_label()
        'LoRA, rank 2'
    """
    if over not in OVER:
        raise unknown("divisor", over, list(OVER))
    axes = axes_or_new(axes)
    looks = {**_styles(spectra), **(styles or {})}
    sizes = set()
    for name, several in spectra.items():
        own = [several] if isinstance(several, Spectrum) else list(several)
        sizes |= {spectrum.size for spectrum in own}
        rank = int(np.median([spectrum.rank for spectrum in own]))
        for place, spectrum in enumerate(own):
            label = "_" if place else f"{looks[name].label}, rank {rank}"
            _line(axes, spectrum, looks[name], label, over)
    if len(sizes) == 1:
        axes.axvline(sizes.pop(), color="#000000", linewidth=0.6, linestyle=":")
    axes.set(xscale="log", yscale="log", xlabel="index $i$, largest first", ylabel=OVER[over])
    legend_beside(axes)
    return axes


def _styles(names: Iterable[str]) -> dict[str, MethodStyle]:
    others = [name for name in names if name not in METHODS]
    shades = scale_styles(others)
    return {name: shades[name] if name in shades else method_style(name) for name in names}


def _line(axes: "Axes", spectrum: Spectrum, style: MethodStyle, label: str, over: str) -> None:
    index, values = corners(spectrum.eigenvalues, spectrum.multiplicity)
    divisor = {"": 1.0, "mean": spectrum.mean, "max": spectrum.lambda_max}[over]
    scaled = [value / divisor for value in values]
    axes.plot(
        index, scaled, label=label, color=style.colour, linestyle=style.line, linewidth=1.0,
        marker=style.marker, markersize=4.5, markevery=[-1] if values else [],
    )  # fmt: skip
