"""Kernel ridge regression for all ridges at once, with each sample left out in closed form."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.display import ShortRepr
from ntklab.dynamics.modes import Modes


@dataclass(frozen=True, eq=False, repr=False)
class Ridge(ShortRepr):
    """f = f_0 + k α on the residual r = y − f_0, from one decomposition for every ridge μ.

    A symmetric kernel K = V diag(λ) Vᵀ gives α = (K + μ)^{-1} r, the minimum of
    ‖r − Kα‖² + μ αᵀKα: linearized training with weight decay on θ − θ_0, at its end. A kernel that
    is not symmetric (the sign kernel) is a table of features, column i those of sample i, and
    α = (KᵀK + μ)^{-1} Kᵀ r. Both are smoothers B diag(λ/(λ + μ)) Bᵀ r.

    Attributes:
        basis: B, orthonormal columns, shape (n, rank).
        strengths: λ > 0, or squared singular values, shape (rank,).
        through: the map from Bᵀ r to outputs at other points where μ = 0, shape (m, rank).
    """

    basis: Float[Tensor, "n rank"]
    strengths: Float[Tensor, "rank"]
    through: Float[Tensor, "m rank"]

    @classmethod
    def of(cls, modes: Modes, cross: Float[Tensor, "m n"]) -> "Ridge":
        """From the modes of a symmetric kernel and K(x*, X).

        Example:
            >>> K = torch.tensor([[2.0, 1.0], [1.0, 2.0]]).double()
            >>> fit = Ridge.of(Modes.of(K), K[:1])
            >>> r = torch.tensor([1.0, -1.0]).double()
            >>> [round(f, 6) for f in fit.outputs(r, torch.tensor([0.0, 1.0])).flatten().tolist()]
            [1.0, 0.5]
        """
        V, values = modes.vectors, modes.eigenvalues
        return cls(V, values, (cross.to(V) @ V) / values)

    @classmethod
    def of_features(cls, kernel: Float[Tensor, "n k"], cross: Float[Tensor, "m k"]) -> "Ridge":
        """From features of the training samples and of other points, in rows."""
        U, s, Wt = torch.linalg.svd(kernel, full_matrices=False)
        nonzero = s > max(kernel.shape) * torch.finfo(s.dtype).eps * s[:1]
        U, s, W = U[:, nonzero], s[nonzero], Wt[nonzero].T
        return cls(U, s.square(), (cross @ W) / s)

    def outputs(self, residual: Float[Tensor, "n"], ridges: Float[Tensor, "T"]) -> Tensor:
        """f − f_0 at the other points, one row a ridge; shape (T, m). Cost T·m·rank."""
        return (self._shrink(ridges) * self._coordinates(residual)) @ self.through.T

    def fitted(self, residual: Float[Tensor, "n"], ridges: Float[Tensor, "T"]) -> Tensor:
        """f − f_0 on the training samples, shape (T, n)."""
        return (self._shrink(ridges) * self._coordinates(residual)) @ self.basis.T

    def left_out(
        self, residual: Float[Tensor, "n"], ridges: Float[Tensor, "T"], n_outputs: int = 1
    ) -> Tensor:
        """f − f_0 at each training sample, fitted without that sample (all its C rows).

        r_n − f_n = A_nn^{-1} (A r)_n with A = I − B diag(λ/(λ + μ)) Bᵀ and A_nn the C × C block of
        the sample. Exact for a symmetric kernel; for features it leaves out the row, not the
        column. A ridge of zero interpolates, and the quotient is then a limit that A_nn of full
        rank has and a singular one has not: NaN stands for it.

        Args:
            residual: r, sample by sample.
            ridges: μ.
            n_outputs: C.

        Returns:
            Shape (T, n). Cost T·n·C·rank multiply-adds beside T·n·C² for the solves.
        """
        residual, ridges = residual.to(self.basis), ridges.to(self.basis)
        count, C = len(residual), n_outputs
        remaining = 1 - self._shrink(ridges)  # μ/(λ + μ), not by cancellation where it is small
        remaining = torch.where(
            remaining > 0.5, remaining, ridges[:, None] / (self.strengths + ridges[:, None])
        )
        blocks = self.basis.reshape(count // C, C, -1)
        A = torch.einsum("ncr,ndr,tr->tncd", blocks, blocks, remaining)
        Ar = (remaining * (self.basis.T @ residual)) @ self.basis.T
        if self.basis.shape[1] < count:  # the part that no mode reaches
            A = A + torch.eye(C).to(A) - torch.einsum("ncr,ndr->ncd", blocks, blocks)
            Ar = Ar + residual - self.basis @ (self.basis.T @ residual)
        solved, failed = torch.linalg.solve_ex(A, Ar.reshape(len(ridges), -1, C, 1))
        solved = torch.where(failed[..., None, None] > 0, torch.nan, solved)
        return residual - solved.reshape(len(ridges), count)

    def _coordinates(self, residual: Float[Tensor, "n"]) -> Float[Tensor, "rank"]:
        return self.basis.T @ residual.to(self.basis)

    def _shrink(self, ridges: Float[Tensor, "T"]) -> Float[Tensor, "T rank"]:
        return self.strengths / (self.strengths + ridges.to(self.strengths)[:, None])
