"""Figures, drawn from records alone: each goes to disk as PDF, PNG and the CSV behind it."""

from typing import TYPE_CHECKING

from ntklab.figures.catalogue import Plate, catalogue, draw_plate, plate, write_index
from ntklab.figures.save import figure_path, save_figure, to_csv
from ntklab.figures.spectrum import spectrum_figure, spectrum_table
from ntklab.figures.style import (
    METHODS,
    VENUES,
    drawing,
    method_style,
    scale_styles,
    venue_names,
    venue_style,
)
from ntklab.lazy_names import lazily

if TYPE_CHECKING:
    from ntklab.figures.draw import (
        draw_kernel,
        draw_pairs,
        draw_spectra,
        legend_below,
        legend_beside,
        panels,
        use_style,
    )

# Drawn from kernels and spectra, which are torch's: the others are drawn from records.
__getattr__, __dir__ = lazily(
    __name__,
    {
        "draw": (
            *("draw_kernel", "draw_pairs", "draw_spectra", "legend_below", "legend_beside"),
            *("panels", "use_style"),
        )
    },
)

__all__ = [  # noqa: RUF022 — grouped by use
    # one function a figure
    "spectrum_figure",
    "spectrum_table",
    # all figures by name
    "Plate",
    "catalogue",
    "plate",
    "draw_plate",
    "write_index",
    # to disk
    "save_figure",
    "figure_path",
    "to_csv",
    # drawn by hand, as in a notebook
    "use_style",
    "panels",
    "legend_beside",
    "legend_below",
    "draw_kernel",
    "draw_spectra",
    "draw_pairs",
    # how they look
    "METHODS",
    "VENUES",
    "venue_names",
    "method_style",
    "scale_styles",
    "venue_style",
    "drawing",
]
