"""The eigenmodes of a kernel in which linearized training is followed."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.arrays import takes_arrays
from ntklab.display import ShortRepr
from ntklab.errors import InputError
from ntklab.spectra import JacobianLike, Spectrum, spectrum


@dataclass(frozen=True, eq=False, repr=False)
class Modes(ShortRepr):
    """K = V diag(λ) Vᵀ on its range, float64 on the CPU.

    Attributes:
        eigenvalues: λ > 0, descending, shape (rank,).
        vectors: V, orthonormal columns, shape (N·C, rank).
        centred: whether the mean over each sample's outputs was projected out.
    """

    eigenvalues: Float[Tensor, "rank"]
    vectors: Float[Tensor, "NC rank"]
    centred: bool

    @classmethod
    @takes_arrays
    def of(
        cls,
        kernel: Spectrum | JacobianLike | Float[Tensor, "NC NC"],
        *,
        n_outputs: int | None = None,
        centred: bool = False,
    ) -> "Modes":
        """The modes of a kernel, however it is given.

        Args:
            kernel: K, a Jacobian (better: its singular values resolve smaller λ), or a spectrum
                computed with `vectors=True`.
            n_outputs: C; needed to centre a matrix K.
            centred: the modes that softmax sees.

        Raises:
            InputError: a spectrum without vectors, or centred where it should not be.

        Example:
            >>> modes = Modes.of(torch.diag(torch.tensor([4.0, 0.0, 1.0])))
            >>> modes.eigenvalues.tolist(), modes.vectors.shape
            ([4.0, 1.0], torch.Size([3, 2]))
        """
        if not isinstance(kernel, Spectrum):
            kernel = spectrum(kernel, n_outputs=n_outputs, centred=centred, vectors=True)
        if kernel.eigenvectors is None:
            raise InputError("the spectrum holds no eigenvectors: compute it with vectors=True.")
        if kernel.centred != centred:
            wanted, given = ("centred", "plain") if centred else ("plain", "centred")
            raise InputError(
                f"these dynamics need the {wanted} spectrum, not the {given} one: compute it with "
                f"centred={centred}."
            )
        positive = kernel.eigenvalues > 0
        values = kernel.eigenvalues[positive].repeat_interleave(kernel.multiplicity[positive])
        vectors = kernel.eigenvectors.to("cpu", torch.float64)
        if vectors.shape[1] != len(values):
            raise InputError(
                f"the spectrum has {len(values)} nonzero eigenvalues but {vectors.shape[1]} "
                "eigenvectors: compute it with vectors=True and without truncation."
            )
        return cls(values, vectors, centred)

    @property
    def rank(self) -> int:
        """Number of modes."""
        return len(self.eigenvalues)

    def split(self, vector: Float[Tensor, "NC"]) -> tuple[Tensor, Tensor]:
        """Coefficients Vᵀ v and the rest v − V Vᵀ v, which lies in ker K (for a plain kernel).

        Raises:
            InputError: a vector of another length.
        """
        v = vector.detach().to("cpu", torch.float64).reshape(-1)
        if len(v) != len(self.vectors):
            raise InputError(
                f"a vector of {len(v)} entries does not fit a kernel of {len(self.vectors)} rows "
                "(N·C, sample by sample)."
            )
        coefficients = self.vectors.T @ v
        return coefficients, v - self.vectors @ coefficients
