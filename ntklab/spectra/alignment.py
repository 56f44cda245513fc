"""How a kernel meets its labels, and how two kernels compare.

Two centrings occur and must not be mixed up: a centred *spectrum* has the mean over a sample's
outputs removed (what softmax ignores); *sample-centred* alignment removes the mean over samples.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.arrays import takes_arrays
from ntklab.display import ShortRepr
from ntklab.errors import InputError
from ntklab.spectra.centre import centre_rows
from ntklab.spectra.operator import check_kernel
from ntklab.spectra.result import Spectrum


@dataclass(frozen=True, eq=False, repr=False)
class LabelAlignment(ShortRepr):
    """The energy ‖y‖² of the labels, split over a kernel's eigenvectors.

    Attributes:
        energy: ⟨v_i, y⟩² for the nonzero eigenvalues in descending order, shape (rank,). Within a
            repeated eigenvalue only the sum is defined.
        residual: ‖P_ker y‖², the part that linearized training never fits.
        total: ‖y‖² (of the centred labels for a centred spectrum).
    """

    energy: Float[Tensor, "rank"]
    residual: float
    total: float

    @property
    def fraction(self) -> Float[Tensor, "rank"]:
        """Energies over the total."""
        return self.energy / self.total

    @property
    def cumulative(self) -> Float[Tensor, "rank"]:
        """Fraction of the energy in the first 1, 2, … eigenvectors."""
        return self.fraction.cumsum(0)

    @property
    def residual_fraction(self) -> float:
        """Residual over the total."""
        return self.residual / self.total


@takes_arrays
def label_alignment(spectrum: Spectrum, labels: Tensor) -> LabelAlignment:
    """Split the energy of the labels over the eigenvectors of a kernel.

    Args:
        spectrum: computed with `vectors=True`.
        labels: y of shape (N, C), or (N·C,) in the kernel's row order; for a centred spectrum
            (N, C), and its mean over outputs is removed first.

    Raises:
        InputError: if the spectrum has no eigenvectors, or the labels do not fit or are zero.

    Example:
        >>> from ntklab.spectra.solve import spectrum
        >>> s = spectrum(torch.diag(torch.tensor([3.0, 1.0, 0.0])), vectors=True)
        >>> a = label_alignment(s, torch.tensor([1.0, 1.0, 2.0]))
        >>> [round(e, 12) for e in a.energy.tolist()], a.residual, a.total
        ([1.0, 1.0], 4.0, 6.0)
    """
    V = spectrum.eigenvectors
    if V is None:
        raise InputError("the spectrum holds no eigenvectors: compute it with vectors=True.")
    V = V.cpu()
    y = labels.detach().to("cpu", torch.float64)
    if spectrum.centred:
        if y.ndim != 2:
            raise InputError(
                f"labels of shape {tuple(y.shape)} cannot be centred: give (N, C) for a centred"
                " spectrum."
            )
        y = centre_rows(y.reshape(-1, 1), y.shape[1])
    y = y.reshape(-1)
    if len(y) != V.shape[0]:
        raise InputError(f"{len(y)} labels do not fit a kernel of {V.shape[0]} rows (N·C).")
    total = float(y @ y)
    if not 0 < total < float("inf"):
        raise InputError("the labels (centred if the spectrum is) are zero or not finite.")
    coordinates = V.T @ y
    rest = y - V @ coordinates
    return LabelAlignment(coordinates**2, float(rest @ rest), total)


@takes_arrays
def kernel_target_alignment(
    kernel: Float[Tensor, "n n"], labels: Tensor, *, sample_centred: bool = False
) -> float:
    """⟨K, YYᵀ⟩_F / (‖K‖_F ‖YYᵀ‖_F) (Cristianini et al. 2002); centred: Cortes et al. 2012.

    Args:
        kernel: K, (n, n): the full kernel with labels (N·C,), or a trace kernel (N, N) with
            labels (N,) or (N, C).
        labels: Y, shape (n,) or (n, C).
        sample_centred: remove the mean over rows from both first.

    Returns:
        A number in [0, 1] for a kernel, 1 if K is a multiple of YYᵀ. Cost O(n²C).

    Example:
        >>> kernel_target_alignment(torch.eye(4), torch.tensor([1.0, -1.0, 1.0, -1.0]))
        0.5
    """
    K = check_kernel(kernel)
    Y = labels.detach().to(torch.float64).reshape(labels.shape[0], -1)
    if Y.shape[0] != K.shape[0]:
        raise InputError(f"{Y.shape[0]} labels do not fit a kernel of {K.shape[0]} rows.")
    return cka(K, Y @ Y.T, sample_centred=sample_centred)


@takes_arrays
def cka(
    kernel: Float[Tensor, "n n"], other: Float[Tensor, "n n"], *, sample_centred: bool = True
) -> float:
    """⟨K, L⟩_F/(‖K‖_F ‖L‖_F) with K, L replaced by HKH, HLH, H = I − 11ᵀ/n, if sample-centred.

    Centred kernel alignment of Cortes et al. 2012, the CKA of Kornblith et al. 2019; scale free.

    Raises:
        InputError: if the shapes differ or a kernel (after centring) is zero.

    Example:
        >>> K = torch.tensor([[2.0, 1.0], [1.0, 3.0]])
        >>> round(cka(K, 5 * K), 12), round(cka(K, torch.eye(2), sample_centred=False), 6)
        (1.0, 0.912871)
    """
    K, L = check_kernel(kernel), check_kernel(other, "the other kernel")
    if K.shape != L.shape:
        raise InputError(f"kernels of shapes {tuple(K.shape)} and {tuple(L.shape)} do not compare.")
    # Scaling first keeps the squares of a kernel near 1e-12 well away from underflow.
    K, L = (M / M.abs().max().clamp_min(torch.finfo(torch.float64).tiny) for M in (K, L))
    size = min(float(K.norm()), float(L.norm()))
    if sample_centred:
        K, L = _sample_centre(K), _sample_centre(L)
    norms = float(K.norm()), float(L.norm())
    if size == 0 or min(norms) <= K.shape[0] * torch.finfo(torch.float64).eps:
        raise InputError(
            "a kernel is zero" + (" once centred" if sample_centred else "") + ": its direction,"
            " and so the alignment, is not defined."
        )
    return float((K * L).sum()) / (norms[0] * norms[1])


@takes_arrays
def relative_distance(kernel: Float[Tensor, "n n"], reference: Float[Tensor, "n n"]) -> float:
    """‖K − K₀‖_F/‖K₀‖_F, not scale free: the kernel drift of a run when K₀ is its start.

    Raises:
        InputError: if the shapes differ or the reference is zero.

    Example:
        >>> relative_distance(3 * torch.eye(2), torch.eye(2))
        2.0
    """
    K, K0 = check_kernel(kernel), check_kernel(reference, "the reference kernel")
    if K.shape != K0.shape:
        raise InputError(
            f"kernels of shapes {tuple(K.shape)} and {tuple(K0.shape)} do not compare."
        )
    scale = float(K0.abs().max())
    if scale == 0:
        raise InputError("the reference kernel is zero: no distance is relative to it.")
    return float((K / scale - K0 / scale).norm() / (K0 / scale).norm())


def _sample_centre(K: Tensor) -> Tensor:
    K = K - K.mean(dim=0, keepdim=True)
    return K - K.mean(dim=1, keepdim=True)
