"""The spectrum of a kernel: solvers, rank, error bounds, centring, alignment, density."""

from ntklab.spectra.alignment import (
    LabelAlignment,
    cka,
    kernel_target_alignment,
    label_alignment,
    relative_distance,
)
from ntklab.spectra.centre import CentredJacobian, centre_kernel, centre_rows, contrasts
from ntklab.spectra.certify import Enclosure, enclose
from ntklab.spectra.density import Density, kernel_operator, spectral_density, top_k
from ntklab.spectra.diagnostics import Decay
from ntklab.spectra.operator import DenseJacobian, JacobianLike
from ntklab.spectra.parameters import parameter_spectra
from ntklab.spectra.rational import (
    characteristic_polynomial,
    count_below,
    least_eigenvalue,
    rational_gram,
)
from ntklab.spectra.result import Spectrum
from ntklab.spectra.routes import singular_values
from ntklab.spectra.solve import spectrum

__all__ = [  # noqa: RUF022 - grouped by use
    # the verb and its result
    "spectrum",
    "Spectrum",
    "Decay",
    "singular_values",
    # what it takes
    "JacobianLike",
    "DenseJacobian",
    # proof
    "enclose",
    "Enclosure",
    "rational_gram",
    "characteristic_polynomial",
    "count_below",
    "least_eigenvalue",
    # what softmax sees
    "CentredJacobian",
    "centre_kernel",
    "centre_rows",
    "contrasts",
    # labels and other kernels
    "label_alignment",
    "LabelAlignment",
    "kernel_target_alignment",
    "cka",
    "relative_distance",
    # beyond dense
    "parameter_spectra",
    "spectral_density",
    "Density",
    "top_k",
    "kernel_operator",
]
