"""K = Σ_k K_k: the spectrum of every parameter tensor's share of a kernel, from one dense J."""

import torch

from ntklab.jacobians import Jacobian
from ntklab.spectra.centre import CentredJacobian
from ntklab.spectra.model_rounding import model_rounding
from ntklab.spectra.operator import DenseJacobian
from ntklab.spectra.result import Spectrum
from ntklab.spectra.solve import spectrum


def parameter_spectra(
    J: Jacobian, trace: float, *, centred: bool = False
) -> dict[str, tuple[int, Spectrum]]:
    """Of each parameter tensor: its number of entries, and the spectrum of its kernel.

    The kernels J_k J_kᵀ of the columns of each tensor (the cores of a tensor train, the factors of
    LoRA) add up to K, and so do their traces.

    Args:
        J: the Jacobian.
        trace: of K (centred where the kernels are); the errors of some columns are at most those
            of all.
        centred: as for `spectrum`.

    Raises:
        InputError: the dense J does not fit its memory.

    Cost: one dense J, and a singular value problem for every tensor's columns.

    Example:
        >>> from ntklab.jacobians import jacobian
        >>> J = jacobian(torch.nn.Linear(3, 2), torch.randn(4, 3))
        >>> parts = parameter_spectra(J, float(J.gram().trace()))
        >>> {name: (count, part.rank) for name, (count, part) in parts.items()}
        {'weight': (6, 6), 'bias': (2, 2)}
    """
    functional = J.engine.functional
    columns = J.dense(torch.float64).split(functional.sizes, dim=1)
    model = model_rounding(CentredJacobian(J) if centred else J, trace**0.5)
    spectra = {}
    for name, block in zip(functional.names, columns, strict=True):
        rows = DenseJacobian(block, J.n_outputs, memory=J.memory, model=model)
        spectra[name] = block.shape[1], spectrum(rows, centred=centred)
    return spectra
