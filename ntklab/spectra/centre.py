"""The centred kernel: what is left when the mean over outputs, which softmax ignores, is removed.

K_c = (I ⊗ Π) K (I ⊗ Π) with Π = I − 11ᵀ/C. Since Π = Q Qᵀ for the orthonormal contrasts Q
(C × (C−1)), the compressed kernel (I ⊗ Qᵀ) K (I ⊗ Q), of size N(C−1), has the eigenvalues of K_c
without the N zeros along 1. Its smallest eigenvalue is the smallest on what softmax sees.
"""

import math
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.adapters.adapter import Decoupled
from ntklab.arrays import takes_arrays
from ntklab.errors import InputError
from ntklab.jacobians.symmetric import gram_matrix
from ntklab.spectra.operator import JacobianLike, jacobian_dtype, row_blocks
from ntklab.spectra.rounding import gamma_likely


def contrasts(n_outputs: int) -> Float[Tensor, "C contrasts"]:
    """Q (C × (C−1), float64): Helmert's orthonormal basis of the vectors with mean zero.

    Raises:
        InputError: for fewer than two outputs, where softmax is constant.

    Example:
        >>> Q = contrasts(3)
        >>> torch.allclose(Q @ Q.T, torch.eye(3).double() - 1 / 3), contrasts(2).shape
        (True, torch.Size([2, 1]))
    """
    _refuse_single(n_outputs)
    Q = torch.zeros(n_outputs, n_outputs - 1, dtype=torch.float64)
    for j in range(1, n_outputs):
        Q[:j, j - 1] = 1.0
        Q[j, j - 1] = -float(j)
        Q[:, j - 1] /= (j * (j + 1)) ** 0.5
    return Q


@takes_arrays
def centre_rows(rows: Float[Tensor, "NC k"], n_outputs: int) -> Float[Tensor, "NC k"]:
    """(I ⊗ Π) A: subtract from each row the mean over its sample's outputs. Shape kept.

    Example:
        >>> centre_rows(torch.tensor([[3.0], [1.0]]), 2).tolist()
        [[1.0], [-1.0]]
    """
    blocks = _blocks(rows, n_outputs)
    return (blocks - blocks.mean(dim=1, keepdim=True)).reshape(rows.shape)


def compress_rows(rows: Float[Tensor, "NC k"], n_outputs: int) -> Float[Tensor, "NC1 k"]:
    """(I ⊗ Qᵀ) A, shape (N(C−1), k): isometric to the centred rows. Cost O(N·C·k).

    Q is never formed: column j of Helmert's basis compares output j with the sum of those before.
    """
    blocks = _blocks(rows, n_outputs)
    _refuse_single(n_outputs)
    j, scale = _helmert(n_outputs, rows)
    before = blocks.cumsum(dim=1)[:, :-1]
    return ((before - j * blocks[:, 1:]) * scale).reshape(-1, rows.shape[1])


def lift_rows(rows: Float[Tensor, "NC1 k"], n_outputs: int) -> Float[Tensor, "NC k"]:
    """(I ⊗ Q) A, shape (N·C, k): the inverse of `compress_rows` on centred rows."""
    _refuse_single(n_outputs)
    j, scale = _helmert(n_outputs, rows)
    weighted = _blocks(rows, n_outputs - 1) * scale
    lifted = rows.new_zeros(weighted.shape[0], n_outputs, rows.shape[1])
    lifted[:, :-1] = weighted.flip(1).cumsum(dim=1).flip(1)
    lifted[:, 1:] -= j * weighted
    return lifted.reshape(-1, rows.shape[1])


def centring_rounding(n_outputs: int) -> float:
    """Bound on ‖fl((I ⊗ Qᵀ)A) − (I ⊗ Qᵀ)A‖₂/‖A‖_F: relative to A, not to what centring leaves.

    The error is at most γ ‖|Q|‖₂ ‖A‖_F with C + 4 roundings, and ‖|Q|‖₂² ≤ 3 + 2 ln C (the largest
    row sum of |Q|ᵀ|Q|, whose entries are below 2/max(i, j) off the diagonal). Probabilistic model
    of `gamma_likely`.
    """
    return gamma_likely(n_outputs + 4) * math.sqrt(3 + 2 * math.log(n_outputs))


@takes_arrays
def centre_kernel(
    kernel: Float[Tensor, "NC NC"], n_outputs: int, *, compress: bool = False
) -> Float[Tensor, "n n"]:
    """K_c = (I ⊗ Π) K (I ⊗ Π), or with `compress` (I ⊗ Qᵀ) K (I ⊗ Q) of size N(C−1).

    A kernel that is its own transpose bit for bit stays so. For C = 2 the compressed kernel is
    ½(K₁₁ − K₁₂ − K₂₁ + K₂₂), N × N: the kernel of the logit difference, halved.

    Example:
        >>> K = torch.tensor([[2.0, 1.0], [1.0, 4.0]])
        >>> centre_kernel(K, 2).tolist()
        [[1.0, -1.0], [-1.0, 1.0]]
        >>> round(centre_kernel(K, 2, compress=True).item(), 6)
        2.0
    """
    step = compress_rows if compress else centre_rows
    centred = step(step(kernel, n_outputs).T, n_outputs).T
    # The two sides are rounded in turn, which leaves a symmetric kernel symmetric but for rounding.
    return (centred + centred.T) / 2 if torch.equal(kernel, kernel.T) else centred


class CentredJacobian:
    """(I ⊗ Qᵀ) J, shape (N(C−1), P): the Jacobian of the contrasts of the outputs.

    It satisfies `JacobianLike` with C − 1 outputs, so every solver takes it; nothing is computed
    before it is asked for.

    Args:
        jacobian: J, with at least two outputs.

    Example:
        >>> from ntklab.spectra.operator import DenseJacobian
        >>> J = CentredJacobian(DenseJacobian(torch.eye(4).double(), n_outputs=2))
        >>> J.shape, torch.allclose(J.gram(), torch.eye(2).double())
        ((2, 4), True)
    """

    def __init__(self, jacobian: JacobianLike) -> None:
        _refuse_single(jacobian.n_outputs)
        self.jacobian = jacobian
        self.n_outputs = jacobian.n_outputs - 1
        self.n_samples = jacobian.n_samples
        self.memory = jacobian.memory
        self.dtype = jacobian_dtype(jacobian)
        self.device = getattr(jacobian, "device", torch.device("cpu"))

    def __repr__(self) -> str:
        """The Jacobian that is centred."""
        return f"CentredJacobian({self.jacobian!r})"

    @property
    def shape(self) -> tuple[int, int]:
        """(N(C−1), P)."""
        return self.n_samples * self.n_outputs, self.jacobian.shape[1]

    @property
    def T(self) -> Any:
        """The transpose, as an object that multiplies vectors."""
        return _Transposed(self)

    def __matmul__(self, other: Tensor) -> Tensor:
        """(I ⊗ Qᵀ) J v."""
        product = self.jacobian @ other
        columns = product.reshape(product.shape[0], -1)
        compressed = compress_rows(columns, self.jacobian.n_outputs)
        return compressed.reshape(-1, *product.shape[1:])

    def dense(self, dtype: torch.dtype | None = None) -> Float[Tensor, "NC1 P"]:
        """The matrix, rounded once: the contrasts are taken in the dtype asked for."""
        return compress_rows(self.jacobian.dense(dtype), self.jacobian.n_outputs)

    def gram(self) -> Float[Tensor, "NC1 NC1"]:
        """(I ⊗ Qᵀ) K (I ⊗ Q)."""
        return centre_kernel(self.jacobian.gram(), self.jacobian.n_outputs, compress=True)

    def dual_gram(self) -> Float[Tensor, "P P"]:
        """Jᵀ (I ⊗ Π) J; see `centre_dual`."""
        return self.centre_dual(self.jacobian.dual_gram())

    def decoupled(self) -> Decoupled | None:
        """Contrasts of the outputs leave S ⊗ I + S' ⊗ BBᵀ in its form: B becomes Qᵀ B."""
        find = getattr(self.jacobian, "decoupled", None)
        parts: Decoupled | None = find() if find else None
        if parts is None or parts.factor is None:
            return None if parts is None else replace(parts, n_outputs=self.n_outputs)
        factor = compress_rows(parts.factor.double(), parts.n_outputs)
        return replace(parts, factor=factor, n_outputs=self.n_outputs)

    def centre_dual(self, G: Float[Tensor, "P P"]) -> Float[Tensor, "P P"]:
        """G − SᵀS/C with s_n = Σ_c J_nc: one pass over J, nothing of size (N·C)²."""
        C, P = self.jacobian.n_outputs, self.shape[1]
        for block in row_blocks(self.jacobian, -(-2 * P // C)):
            S = block.reshape(-1, C, P).sum(dim=1)
            G = G - gram_matrix(S.T) / C
        return G


class _Transposed:
    def __init__(self, centred: CentredJacobian) -> None:
        self._centred = centred

    def __matmul__(self, other: Tensor) -> Tensor:
        jacobian = self._centred.jacobian
        lifted = lift_rows(other.reshape(other.shape[0], -1), jacobian.n_outputs)
        return jacobian.T @ lifted.reshape(-1, *other.shape[1:])


def _helmert(n_outputs: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """j = 1..C−1 and 1/√(j(j+1)) as columns."""
    j = torch.arange(1, n_outputs, dtype=like.dtype, device=like.device)[:, None]
    return j, (j * (j + 1)).rsqrt()


def _refuse_single(n_outputs: int) -> None:
    if n_outputs < 2:
        raise InputError(
            f"a centred kernel needs at least 2 outputs, not {n_outputs}: softmax over one output"
            " is constant."
        )


def _blocks(rows: Tensor, n_outputs: int) -> Tensor:
    if rows.ndim != 2 or n_outputs < 1 or rows.shape[0] % n_outputs:
        raise InputError(
            f"{n_outputs} outputs do not divide an array of shape {tuple(rows.shape)}: give"
            " n_outputs = C for a matrix of N·C rows."
        )
    return rows.reshape(-1, n_outputs, rows.shape[1])
