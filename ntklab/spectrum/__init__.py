"""The spectrum of a kernel: solvers, rank, error bounds, centring, alignment, density."""

from ntklab.spectrum.centre import CentredJacobian, centre_kernel, centre_rows, contrasts
from ntklab.spectrum.operator import DenseJacobian, JacobianLike
from ntklab.spectrum.result import Spectrum
from ntklab.spectrum.solve import singular_values, spectrum

__all__ = [  # noqa: RUF022 - grouped by use
    # the verb and its result
    "spectrum",
    "Spectrum",
    "singular_values",
    # what it takes
    "JacobianLike",
    "DenseJacobian",
    # what softmax sees
    "CentredJacobian",
    "centre_kernel",
    "centre_rows",
    "contrasts",
]
