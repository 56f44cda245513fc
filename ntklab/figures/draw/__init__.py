"""For figures drawn by hand, as in a notebook: a venue's style, panels, spectra, pairs of seeds."""

from ntklab.figures.draw.pairs import draw_pairs
from ntklab.figures.draw.panels import legend_below, legend_beside, panels, use_style
from ntklab.figures.draw.spectra import draw_spectra

__all__ = ["draw_pairs", "draw_spectra", "legend_below", "legend_beside", "panels", "use_style"]
