"""For figures drawn by hand, as in a notebook: a venue's style, panels, kernels, spectra, pairs."""

from ntklab.figures.draw.kernel import draw_kernel
from ntklab.figures.draw.pairs import draw_pairs
from ntklab.figures.draw.panels import legend_below, legend_beside, panels, use_style
from ntklab.figures.draw.spectra import draw_spectra

__all__ = [
    "draw_kernel",
    "draw_pairs",
    "draw_spectra",
    "legend_below",
    "legend_beside",
    "panels",
    "use_style",
]
