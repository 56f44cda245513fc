"""The operands of a spectrum: a Jacobian (an operator) or a kernel (a symmetric matrix)."""

from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.display import brief
from ntklab.errors import InputError
from ntklab.jacobians.symmetric import gram_matrix
from ntklab.spectra.rounding import ModelRounding

DEFAULT_MEMORY = 4 * 2**30


@runtime_checkable
class JacobianLike(Protocol):
    """The part of a Jacobian J = ∂f/∂θ that spectra need; row n·C + c is output c of sample n."""

    @property
    def shape(self) -> tuple[int, int]:
        """(N·C, P)."""
        ...

    @property
    def n_samples(self) -> int:
        """N."""
        ...

    @property
    def n_outputs(self) -> int:
        """C."""
        ...

    @property
    def memory(self) -> int:
        """Bytes that the user allows."""
        ...

    @property
    def T(self) -> Any:
        """The transpose, which multiplies vectors of length N·C."""
        ...

    def __matmul__(self, other: Tensor, /) -> Tensor:
        """J v for v of length P."""
        ...

    def dense(self, dtype: torch.dtype | None = None) -> Tensor:
        """J as a matrix (N·C, P)."""
        ...

    def gram(self) -> Tensor:
        """K = J Jᵀ (N·C, N·C), accumulated in float64."""
        ...

    def dual_gram(self) -> Tensor:
        """G = Jᵀ J (P, P), accumulated in float64."""
        ...


@runtime_checkable
class RowSource(Protocol):
    """A Jacobian that can compute the rows of some samples alone, so that J need not be held."""

    def rows(self, start: int, stop: int) -> Tensor:
        """The rows of samples start..stop, shape (stop − start, C, P)."""
        ...


class DenseJacobian:
    """A Jacobian held as a matrix: for tests, and for people who bring their own.

    Args:
        matrix: J, shape (N·C, P), any real dtype, finite; row index n·C + c.
        n_outputs: C, a divisor of the number of rows.
        memory: bytes that solvers may use; 4 GiB by default.
        model: what the arithmetic that made the matrix may have moved its singular values by; the
            floats are taken as they are if None.

    Raises:
        InputError: if the matrix is not a finite real matrix or C does not divide its rows.

    Example:
        >>> J = DenseJacobian(torch.tensor([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0]]), n_outputs=2)
        >>> J.shape, J.n_samples
        ((2, 3), 1)
        >>> J.gram().tolist()
        [[1.0, 1.0], [1.0, 2.0]]
    """

    def __init__(
        self,
        matrix: Float[Tensor, "NC P"],
        n_outputs: int = 1,
        *,
        memory: int = DEFAULT_MEMORY,
        model: ModelRounding | None = None,
    ) -> None:
        self.matrix = check_matrix(matrix, "the Jacobian")
        if n_outputs < 1 or matrix.shape[0] % n_outputs:
            raise InputError(
                f"n_outputs={n_outputs} does not divide the {matrix.shape[0]} rows of the Jacobian:"
                " give the number of outputs C so that the rows are N·C."
            )
        self.n_outputs = n_outputs
        self.memory = memory
        self.model = model

    def __repr__(self) -> str:
        """Shape and dtype."""
        return f"DenseJacobian({brief(self.matrix)}, n_outputs={self.n_outputs})"

    @property
    def shape(self) -> tuple[int, int]:
        """(N·C, P)."""
        return self.matrix.shape[0], self.matrix.shape[1]

    @property
    def dtype(self) -> torch.dtype:
        """The dtype in which J was computed; it sets the rank tolerance."""
        return self.matrix.dtype

    @property
    def n_samples(self) -> int:
        """N."""
        return self.shape[0] // self.n_outputs

    @property
    def T(self) -> "DenseTransposed":
        """Jᵀ, which multiplies vectors and matrices of N·C rows."""
        return DenseTransposed(self.matrix)

    def __matmul__(self, other: Tensor) -> Tensor:
        """J v for v of shape (P,) or (P, k), in float64."""
        return self.dense(torch.float64) @ other.to(torch.float64)

    def dense(self, dtype: torch.dtype | None = None) -> Float[Tensor, "NC P"]:
        """J in the wanted dtype (its own by default)."""
        return self.matrix if dtype is None else self.matrix.to(dtype)

    def rows(self, start: int, stop: int) -> Float[Tensor, "n C P"]:
        """The rows of samples start..stop."""
        C = self.n_outputs
        return self.matrix[start * C : stop * C].reshape(-1, C, self.shape[1])

    def gram(self) -> Float[Tensor, "NC NC"]:
        """K = J Jᵀ in float64. Cost O((N·C)² P)."""
        return gram_matrix(self.dense(torch.float64))

    def dual_gram(self) -> Float[Tensor, "P P"]:
        """G = Jᵀ J in float64. Cost O(N·C P²)."""
        return gram_matrix(self.dense(torch.float64).T)


class DenseTransposed:
    """Jᵀ of a `DenseJacobian`; products are in float64."""

    def __init__(self, matrix: Tensor) -> None:
        self._matrix = matrix

    def __matmul__(self, other: Tensor) -> Tensor:
        """Jᵀ u for u of shape (N·C,) or (N·C, k)."""
        return self._matrix.to(torch.float64).T @ other.to(torch.float64)


def check_matrix(matrix: Tensor, name: str) -> Tensor:
    """Return the matrix if it is a non-empty, finite, real tensor with two axes; else refuse it."""
    if not isinstance(matrix, Tensor):
        raise InputError(f"{name} is a {type(matrix).__name__}: give a torch.Tensor.")
    if matrix.ndim != 2 or not matrix.numel():
        raise InputError(f"{name} has shape {tuple(matrix.shape)}: give a non-empty matrix.")
    if matrix.is_complex():
        raise InputError(f"{name} is complex ({matrix.dtype}): give a real one.")
    if not torch.isfinite(matrix).all():
        raise InputError(f"{name} holds NaN or infinite entries: check the model and its inputs.")
    return matrix


def working_epsilon(dtype: torch.dtype) -> float:
    """ε of the arithmetic that made the entries; integers are exact and count as float64."""
    return torch.finfo(dtype if dtype.is_floating_point else torch.float64).eps


def jacobian_dtype(operator: JacobianLike) -> torch.dtype:
    """The dtype of the forward and backward pass where the Jacobian tells it, else float64."""
    return getattr(operator, "dtype", torch.float64)


def apply_kernel(operator: JacobianLike, vector: Tensor) -> Tensor:
    """K v = J(Jᵀ v), the vector moved to the Jacobian's dtype and device and the result back."""
    return multiply(operator, operator.T @ _at_home(operator, vector))


def multiply(operator: JacobianLike, vector: Tensor) -> Tensor:
    """J v in float64 on the CPU."""
    return (operator @ _at_home(operator, vector)).to("cpu", torch.float64)


def _at_home(operator: JacobianLike, vector: Tensor) -> Tensor:
    return vector.to(getattr(operator, "device", "cpu"), jacobian_dtype(operator))


def row_blocks(operator: JacobianLike, samples: int) -> Iterator[Float[Tensor, "nC P"]]:
    """J in float64, at most so many samples at a time; whole if it is not a `RowSource`."""
    if not isinstance(operator, RowSource):
        yield check_matrix(operator.dense(torch.float64), "the Jacobian")
        return
    # A Jacobian that plans its own memory names the samples it can take at once.
    step = max(1, min(samples, getattr(operator, "chunk", samples)))
    for start in range(0, operator.n_samples, step):
        stop = min(start + step, operator.n_samples)
        block = operator.rows(start, stop).to(torch.float64).flatten(0, 1)
        yield check_matrix(block, "the Jacobian")


def check_kernel(kernel: Tensor, name: str = "the kernel") -> Float[Tensor, "n n"]:
    """The symmetric part of a kernel in float64, after refusing a matrix that is not symmetric.

    An asymmetry up to √ε of the kernel's dtype, relative to its largest entry, is taken for
    rounding (entries (i, j) and (j, i) may be summed in different orders); a larger one for an
    error.

    Raises:
        InputError: for a matrix that is not square, not finite, not real or not symmetric.

    Example:
        >>> check_kernel(torch.tensor([[2, 1], [1, 2]])).dtype
        torch.float64
    """
    check_matrix(kernel, name)
    if kernel.shape[0] != kernel.shape[1]:
        raise InputError(
            f"{name} has shape {tuple(kernel.shape)}: give a square matrix (N·C, N·C), or wrap a"
            " Jacobian (N·C, P) in DenseJacobian."
        )
    K = kernel.to(torch.float64)
    asymmetry = float((K - K.T).abs().max())
    allowed = working_epsilon(kernel.dtype) ** 0.5 * float(K.abs().max())
    if asymmetry > allowed:
        raise InputError(
            f"{name} is not symmetric: entries differ from their mirror images by up to"
            f" {asymmetry:.3g}, more than rounding explains ({allowed:.3g}); give K = J Jᵀ, or its"
            " symmetric part (K + Kᵀ)/2 if that is what you mean."
        )
    return (K + K.T) / 2 if asymmetry else K
