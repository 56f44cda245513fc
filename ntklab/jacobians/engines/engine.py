"""An engine: one way to get the rows of J, with everything else following from them."""

from abc import ABC, abstractmethod
from typing import ClassVar, Literal, Self, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.adapters.adapter import Decoupled
from ntklab.errors import unknown
from ntklab.jacobians.functional import Functional
from ntklab.jacobians.inputs import Inputs, first_samples
from ntklab.jacobians.memory import Progress
from ntklab.jacobians.symmetric import symmetric_product

Output = Literal["full", "trace", "pseudo", "diagonal"]


class Engine(ABC):
    """One route to J = ∂f/∂θ for a batch of samples.

    A new engine needs `rows`; the rest may be overridden where the route has a shorter way.
    All engines are tested against `loop` in float64, and compared with it again on every model
    (`ntklab.jacobians.guards.checked`) but those that they `vouch` for.

    Attributes:
        name: the word users say.
        products_form_rows: whether J v and Jᵀ u need the memory that rows need.
        functional: the model as a pure function.
    """

    name: ClassVar[str]
    products_form_rows: ClassVar[bool] = True

    def __init__(self, functional: Functional) -> None:
        self.functional = functional

    @classmethod
    def supports(cls, functional: Functional, x: Inputs) -> bool:
        """Whether this route exists for such a model and such inputs."""
        return True

    @classmethod
    def build(cls, functional: Functional, x: Inputs) -> Self:
        """The engine for a model and inputs; a route with a plan of its own makes it here."""
        return cls(functional)

    def try_on(self, x: Inputs) -> None:
        """Fail at once where this route cannot run the model: one sample's rows, or less."""
        self.rows(first_samples(x, 1))

    def vouches(self) -> bool:
        """Whether tests have shown the route right for this very model: nothing to compare."""
        return False

    @abstractmethod
    def rows(self, x: Inputs) -> Float[Tensor, "n C P"]:
        """∂f_c(x_n)/∂θ for every sample and output of the batch."""

    def bytes_per_sample(self, x: Inputs) -> int:
        """Estimated working memory that `rows` needs for each sample of a batch."""
        f = self.functional
        itemsize = f.dtype.itemsize
        rows = f.n_outputs * f.parameter_count * itemsize
        # Backward visits every saved tensor once an output; cotangents are as large as they are.
        return 2 * rows + 2 * f.n_outputs * f.saved_bytes

    def fixed_bytes(self) -> int:
        """Estimated working memory that `rows` needs besides, however small the batch."""
        return 0

    def block_bytes(self, samples: int) -> int:
        """Estimated working memory of a batch that does not grow with it beyond some block."""
        return 0

    def kernel_bytes(self, x: Inputs, output: Output, memory: int) -> tuple[int, int] | None:
        """Bytes of `kernel` beside K(x, x), where it forms no rows of all parameters; else None.

        Args:
            x: inputs.
            output: what is asked of the kernel.
            memory: bytes beside it.

        Returns:
            Bytes of what is kept of samples, and of the block of rows in hand.
        """
        return None

    def kernel(
        self,
        x1: Inputs,
        x2: Inputs,
        output: Output,
        dtype: torch.dtype,
        memory: int,
        progress: Progress | None = None,
    ) -> Tensor | None:
        """K(x1, x2) by a way that needs no rows and fits `memory`, where there is one; else None.

        Args:
            x1: inputs of the first side.
            x2: those of the second; the same object where the kernel is symmetric.
            output: what is asked of it.
            dtype: of the kernel.
            memory: bytes that kernel and working space may take.
            progress: called with (samples done, N1) where the way is long.
        """
        return None

    def layer_kernels(
        self, x: Inputs, output: Output, dtype: torch.dtype, memory: int
    ) -> dict[str, Tensor] | None:
        """The kernel's parts by layer without rows, where the route has them; else None."""
        return None

    def dual_gram(self, x: Inputs, dtype: torch.dtype, memory: int) -> Tensor | None:
        """G = JᵀJ by a way shorter than rows that fits `memory`, where there is one; else None."""
        return None

    def decoupled(self, x: Inputs) -> Decoupled | None:
        """The kernel as S ⊗ I + S' ⊗ BBᵀ, where the route knows that form; else None."""
        return None

    def matvec(self, x: Inputs, v: Float[Tensor, "P k"]) -> Float[Tensor, "n C k"]:
        """J v for the batch."""
        return self.rows(x).to(v.dtype) @ v

    def rmatvec(self, x: Inputs, u: Float[Tensor, "n C k"]) -> Float[Tensor, "P k"]:
        """Jᵀ u, summed over the batch."""
        return torch.einsum("ncp,nck->pk", self.rows(x).to(u.dtype), u)


def multiply_rows(
    first: Float[Tensor, "n C P"], second: Float[Tensor, "m C P"], output: Output
) -> Tensor:
    """The block of the kernel between two blocks of rows, reduced over outputs as asked.

    `full` (n·C, m·C); `trace` (n, m) = (1/C) Σ_c K_cc; `pseudo` (n, m) = (1/C) Σ_{c,c'} K_cc';
    `diagonal` (C, n, m).

    Example:
        >>> rows = torch.eye(4).reshape(2, 2, 4)
        >>> multiply_rows(rows, rows, "trace")
        tensor([[1., 0.],
                [0., 1.]])
    """
    return _factor(first, output) @ _factor(second, output).mT / _divisor(first, output)


def multiply_symmetric(rows: Float[Tensor, "n C P"], output: Output, *, out: Tensor) -> None:
    """`multiply_rows(rows, rows, output)` into `out`, with a little over half the arithmetic.

    Args:
        rows: one block of rows.
        output: as `multiply_rows`.
        out: where the block goes, of its shape.
    """
    symmetric_product(_factor(rows, output), out=out)
    if (divisor := _divisor(rows, output)) != 1:
        out /= divisor


def _factor(rows: Float[Tensor, "n C P"], output: Output) -> Tensor:
    """The matrix (or stack of them) whose product with its like is the reduced kernel."""
    if output == "full":
        return rows.flatten(0, 1)
    if output == "trace":
        return rows.flatten(1)
    return rows.sum(1) if output == "pseudo" else rows.transpose(0, 1)


def _divisor(rows: Float[Tensor, "n C P"], output: Output) -> int:
    return rows.shape[1] if output in ("trace", "pseudo") else 1


def check_output(output: str) -> Output:
    """The name of a kernel output, if there is one of that name.

    Raises:
        InputError: unknown name, with the nearest match.
    """
    if output not in get_args(Output):
        raise unknown("kernel output", output, get_args(Output))
    return output  # type: ignore[return-value]
