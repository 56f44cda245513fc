"""Spectra of adapters: one cell a method, seed and condition of the data; sweeps over sizes too.

Names are loaded when first used: the configuration needs no torch.
"""

from typing import TYPE_CHECKING

from ntklab.lazy_names import lazily

if TYPE_CHECKING:
    from ntklab.experiments.spectrum.cell import adapter_for, jacobian_for, run_cell, sampled_task
    from ntklab.experiments.spectrum.comparison import compare, compared, without_weighted
    from ntklab.experiments.spectrum.config import SpectrumConfig
    from ntklab.experiments.spectrum.experiment import SPECTRUM, SWEEP
    from ntklab.experiments.spectrum.planned import Preview, preview, previews

__all__ = [
    "SPECTRUM",
    "SWEEP",
    "Preview",
    "SpectrumConfig",
    "adapter_for",
    "compare",
    "compared",
    "jacobian_for",
    "preview",
    "previews",
    "run_cell",
    "sampled_task",
    "without_weighted",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "cell": ("adapter_for", "jacobian_for", "run_cell", "sampled_task"),
        "comparison": ("compare", "compared", "without_weighted"),
        "config": ("SpectrumConfig",),
        "experiment": ("SPECTRUM", "SWEEP"),
        "planned": ("Preview", "preview", "previews"),
    },
)
