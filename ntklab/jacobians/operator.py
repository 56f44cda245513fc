"""J = ∂f/∂θ as a linear operator, the hub that everything downstream takes."""

from collections.abc import Callable, Sequence
from math import prod

import numpy as np
import scipy.sparse.linalg
import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.adapters.adapter import Decoupled
from ntklab.display import OneLine, brief
from ntklab.errors import InputError
from ntklab.host_memory import format_memory
from ntklab.jacobians.blocks import as_columns, fill_kernel, kernel_shape, sum_by_layer
from ntklab.jacobians.engines.engine import Engine, Output, check_output
from ntklab.jacobians.guards.checked import Checked
from ntklab.jacobians.guards.surroundings import undisturbed
from ntklab.jacobians.inputs import Inputs, count_samples
from ntklab.jacobians.memory import Progress, chunk_size, default_memory, shrinking
from ntklab.jacobians.shared.rows import DaskRows
from ntklab.jacobians.symmetric import gram_matrix, mirror


class Jacobian(DaskRows, OneLine):
    """The Jacobian of a model's outputs by its parameters at given inputs.

    Shape (N·C, P); row index n·C + c, columns in the model's parameter order. Rows are computed
    in chunks that fit `memory`; the result does not depend on the chunk. Before numbers leave, two
    samples of them are compared with `loop` (`ntklab.jacobians.guards.checked`).

    Args:
        engine: the engine to begin with.
        x: the inputs, as `ntklab.jacobians.inputs.as_inputs` gives them.
        memory, chunk, accumulate, choice: as the attributes; what fits where None.
        progress: called with (samples done, N).
        successors: engines to go on with where the first fails or is wrong.
        check: whether to compare.

    Attributes:
        x, choice: the inputs; which engine was chosen to begin with, and by which count.
        n_samples, n_outputs, shape: N, C and (N·C, P).
        memory, chunk: bytes of results and working space together; samples computed at a time.
        accumulate, checks: dtype of sums of products; whether engines are compared with `loop`.

    Example:
        >>> from ntklab.jacobians import jacobian
        >>> model = torch.nn.Linear(3, 2, bias=False)
        >>> J = jacobian(model, torch.ones(4, 3))
        >>> J.shape, (J @ torch.ones(6)).tolist()[:2], J.gram().shape
        ((8, 6), [3.0, 3.0], torch.Size([8, 8]))
    """

    def __init__(
        self,
        engine: Engine,
        x: Inputs,
        *,
        memory: int | None = None,
        chunk: int | None = None,
        accumulate: torch.dtype = torch.float64,
        progress: Progress | None = None,
        successors: Sequence[type[Engine]] = (),
        check: bool = True,
        choice: str = "",
    ) -> None:
        self.x, self.choice = x, choice
        self.n_samples, self.n_outputs = count_samples(x), engine.functional.n_outputs
        self.shape = (self.n_samples * self.n_outputs, engine.functional.parameter_count)
        self.device = engine.functional.device
        self.dtype = engine.functional.dtype
        self.memory = default_memory(self.device) if memory is None else memory
        self.accumulate, self.progress, self.checks = accumulate, progress, check
        self._checked = Checked(engine, x, self.memory, successors=successors, check=check)
        with undisturbed():
            self._checked.try_first()
            self.bytes_per_sample = self.engine.bytes_per_sample(x)
        self.chunk = chunk or chunk_size(self.bytes_per_sample, self.memory // 4, self.n_samples)

    def __repr__(self) -> str:
        """Shape, dtype and engine, without computing anything."""
        size = f"{self.n_samples} samples × {self.n_outputs} outputs by {self.shape[1]} parameters"
        return f"Jacobian of {size}, {brief(self.dtype)}, engine {self.engine.name}"

    @property
    def engine(self) -> Engine:
        """The engine that computes rows; another after it had to give way."""
        return self._checked.engine

    @property
    def check_seconds(self) -> float:
        """Seconds spent so far on comparing the engine with `loop`."""
        return self._checked.seconds

    @property
    def T(self) -> "Transposed":
        """Jᵀ, sharing everything with J."""
        return Transposed(self)

    @undisturbed()
    def rows(self, start: int, stop: int) -> Float[Tensor, "n C P"]:
        """The rows of samples start..stop in the model's dtype."""
        self._check_one_sample()
        return self._checked.rows(start, stop)

    @undisturbed()
    def matvec(self, start: int, stop: int, v: Float[Tensor, "P k"]) -> Float[Tensor, "n C k"]:
        """J v for samples start..stop."""
        self._check_product()
        return self._checked.matvec(start, stop, v)

    @undisturbed()
    def rmatvec(self, start: int, stop: int, u: Float[Tensor, "n C k"]) -> Float[Tensor, "P k"]:
        """Jᵀ u summed over samples start..stop, u (stop − start, C, k)."""
        self._check_product()
        return self._checked.rmatvec(start, stop, u)

    def dense(self, dtype: torch.dtype | None = None) -> Float[Tensor, "NC P"]:
        """J as a matrix.

        Args:
            dtype: of the result; `accumulate` if None.

        Raises:
            InputError: the matrix alone is larger than `memory`.
        """
        dtype = dtype or self.accumulate
        self._check_fits("the Jacobian", self.shape[0] * self.shape[1] * dtype.itemsize)
        result = torch.empty(self.n_samples, *self._row_shape, dtype=dtype, device=self.device)

        def fill(start: int, stop: int) -> None:
            result[start:stop] = self.rows(start, stop)

        self.chunk = shrinking(self.n_samples, self.chunk, fill, self.progress)
        return result.flatten(0, 1)

    def __matmul__(self, v: Tensor) -> Tensor:
        """J v for v (P,) or (P, k); result (N·C,) or (N·C, k)."""
        columns = as_columns(v, self.shape[1], "J @ v")
        result = columns.new_empty(self.n_samples, self.n_outputs, columns.shape[1])

        def fill(start: int, stop: int) -> None:
            result[start:stop] = self.matvec(start, stop, columns)

        shrinking(self.n_samples, self.chunk, fill)
        return result.flatten(0, 1).reshape(self.shape[0], *v.shape[1:])

    def transpose_matmul(self, u: Tensor) -> Tensor:
        """Jᵀ u for u (N·C,) or (N·C, k); result (P,) or (P, k)."""
        columns = as_columns(u, self.shape[0], "J.T @ u")
        blocks = columns.reshape(self.n_samples, self.n_outputs, -1)
        result = columns.new_zeros(self.shape[1], columns.shape[1])

        def add(start: int, stop: int) -> None:
            result.add_(self.rmatvec(start, stop, blocks[start:stop]))

        shrinking(self.n_samples, self.chunk, add)
        return result.reshape(self.shape[1], *u.shape[1:])

    @undisturbed()
    def gram(self, other: "Jacobian | None" = None, output: str = "full") -> Tensor:
        """K = J Jᵀ, or J otherᵀ; reduced over outputs as `output` says.

        Args:
            other: a Jacobian of the same model at other inputs; None uses symmetry.
            output: `full` (N1·C, N2·C), `trace` (N1, N2) = (1/C) Σ_c K_cc, `pseudo` (N1, N2) =
                (1/C) Σ_{c,c'} K_cc', `diagonal` (C, N1, N2).

        Raises:
            InputError: an unknown output, or the kernel alone is larger than `memory`.

        Cost: rows once, N1 N2 C² P multiply-adds for `full`, in `accumulate`.
        """
        kind = check_output(output)
        second = self if other is None else other
        if second.engine.functional.names != self.engine.functional.names or (
            second.shape[1] != self.shape[1]
        ):
            raise InputError(
                f"a kernel needs two Jacobians by the same parameters, but these have "
                f"{self.shape[1]} and {second.shape[1]} of them: build both from one model."
            )
        self._check_outputs(second)
        self._check_fits("the kernel", self._kernel_bytes(second, kind))
        closed = self._checked.kernel(
            second._checked, kind, self.accumulate, self.memory, self.progress
        )
        if closed is not None:
            return closed
        kernel = torch.empty(
            self._kernel_shape(second, kind), dtype=self.accumulate, device=self.device
        )
        fill_kernel(
            kernel,
            self._accumulated,
            None if other is None else second._accumulated,
            (self.n_samples, second.n_samples),
            kind,
            n_outputs=self.n_outputs,
            block=self._block(kernel, second),
            progress=self.progress,
        )
        return kernel

    @undisturbed()
    def core_grams(self) -> dict[str, Float[Tensor, "NC NC"]]:
        """K = Σ_k K_k by parameter tensor: one kernel a core, in the model's parameter order.

        The rows are computed once and every column is used once, so this costs what `gram` does.

        Raises:
            InputError: the kernels together, with the rows, are larger than `memory`.

        Example:
            >>> from ntklab.jacobians import jacobian
            >>> J = jacobian(torch.nn.Linear(3, 1), torch.randn(4, 3))
            >>> parts = J.core_grams()
            >>> list(parts), torch.allclose(sum(parts.values()), J.gram())
            (['weight', 'bias'], True)
        """
        f = self.engine.functional
        kernels = len(f.names) * self._kernel_bytes(self, "full")
        self._check_fits("one kernel for every core", kernels + self.n_samples * self._row_bytes)
        blocks = self.dense().split(f.sizes, dim=1)
        return {name: gram_matrix(block) for name, block in zip(f.names, blocks, strict=True)}

    @undisturbed()
    def layer_grams(self, output: str = "full") -> dict[str, Tensor]:
        """K = Σ_l K_l by layer: the module that holds a parameter, by its path in the model.

        Engine `layerwise` forms no rows for it; the others compute them once.

        Args:
            output: as `gram` has it.

        Raises:
            InputError: unknown output, or what it takes is larger than `memory`.

        Example:
            >>> from ntklab.jacobians import jacobian
            >>> model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 1))
            >>> J = jacobian(model, torch.randn(5, 3))
            >>> parts = J.layer_grams()
            >>> list(parts), torch.allclose(sum(parts.values()), J.gram())
            (['0', '1'], True)
        """
        kind, f = check_output(output), self.engine.functional
        layers = {name: name.rpartition(".")[0] for name in f.names}
        kernels = len(set(layers.values())) * self._kernel_bytes(self, kind)
        self._check_fits("one kernel for every layer", kernels)
        parts = self._checked.layer_kernels(kind, self.accumulate, self.memory)
        if parts is not None:
            return parts
        self._check_fits("one kernel for every layer", kernels + self.n_samples * self._row_bytes)
        blocks = self.dense().unflatten(0, (self.n_samples, self.n_outputs)).split(f.sizes, dim=2)
        return sum_by_layer(dict(zip(f.names, blocks, strict=True)), layers, kind)

    @undisturbed()
    def dual_gram(self) -> Float[Tensor, "P P"]:
        """G = JᵀJ, which has the nonzero eigenvalues of K.

        Raises:
            InputError: the matrix alone is larger than `memory`.

        Cost: rows once, N C P² multiply-adds, in `accumulate`; for a hidden layer with many
        outputs a form whose cost does not depend on N C (see `ntklab.jacobians.dual`).
        """
        size = self.shape[1]
        self._check_fits("the dual Gram matrix", 2 * size * size * self.accumulate.itemsize)
        short = self._checked.dual_gram(self.accumulate, self.memory)
        if short is not None:
            return mirror(short)
        gram = torch.zeros(size, size, dtype=self.accumulate, device=self.device)

        def add(start: int, stop: int) -> None:
            rows = self.rows(start, stop).flatten(0, 1).to(self.accumulate)
            gram.addmm_(rows.T, rows)

        self.chunk = shrinking(self.n_samples, self.chunk, add, self.progress)
        return mirror(gram)

    @undisturbed()
    def decoupled(self) -> Decoupled | None:
        """The kernel as S ⊗ I + S' ⊗ BBᵀ, where the engine knows that form."""
        return self._checked.decoupled()

    def to_scipy(self) -> scipy.sparse.linalg.LinearOperator:
        """J as a scipy operator on float64 numpy vectors, for scipy's iterative solvers."""

        def through(product: Callable[[Tensor], Tensor]) -> Callable[[np.ndarray], np.ndarray]:
            def apply(vector: np.ndarray) -> np.ndarray:
                there = torch.as_tensor(vector, dtype=torch.float64, device=self.device)
                return product(there).cpu().numpy()

            return apply

        forward, back = through(self.__matmul__), through(self.transpose_matmul)
        return scipy.sparse.linalg.LinearOperator(
            self.shape, matvec=forward, rmatvec=back, matmat=forward, rmatmat=back, dtype=np.float64
        )

    def estimate(self, output: str = "full") -> dict[str, int]:
        """Bytes that `gram(output=…)` will take: kernel, rows held, working space.

        The working space is one `chunk`, which grows with its samples, and a `block` that does not
        (cotangents on their way through a train). Layer by layer no rows are held: `chunk` is what
        the layers see of the samples in hand, `block` one layer's rows.

        Raises:
            InputError: unknown output, or an engine that cannot do one sample within `memory`.
        """
        kind = check_output(output)
        kernel, samples = self._kernel_bytes(self, kind), min(self.chunk, self.n_samples)
        own, rows = self.engine.kernel_bytes(self.x, kind, self.memory - kernel), 0
        if own is None:
            rows = min(self.n_samples * self._row_bytes, max(self.memory - kernel, 0) // 2)
            own = samples * self.bytes_per_sample, self.engine.block_bytes(samples)
        return {"kernel": kernel, "rows": rows, "chunk": own[0], "block": own[1]}

    @property
    def _row_shape(self) -> tuple[int, int]:
        return self.n_outputs, self.shape[1]

    @property
    def _row_bytes(self) -> int:
        return self.n_outputs * self.shape[1] * self.accumulate.itemsize

    def _kernel_bytes(self, second: "Jacobian", output: Output) -> int:
        return prod(self._kernel_shape(second, output)) * self.accumulate.itemsize

    def _kernel_shape(self, second: "Jacobian", output: Output) -> tuple[int, ...]:
        return kernel_shape((self.n_samples, second.n_samples), self.n_outputs, output)

    def _block(self, kernel: Tensor, second: "Jacobian") -> int:
        """Samples a block: all rows if they fit beside the kernel, else two blocks that do."""
        left = max(self.memory - kernel.numel() * kernel.element_size(), self.memory // 4)
        longest = max(self.n_samples, second.n_samples)
        blocks = 1 if second is self and self.n_samples * self._row_bytes <= left // 2 else 2
        return chunk_size(self._row_bytes, left // (2 * blocks), longest)

    def _accumulated(self, start: int, stop: int) -> Float[Tensor, "n C P"]:
        size = (stop - start, *self._row_shape)
        rows = torch.empty(0, dtype=self.accumulate, device=self.device)

        def fill(first: int, last: int) -> None:
            nonlocal rows
            part = self.rows(start + first, start + last)
            if part.shape == size and part.dtype == rows.dtype:
                rows = part  # all in one chunk: nothing to copy
                return
            if rows.shape != size:
                rows = rows.new_empty(size)
            rows[first:last] = part

        self.chunk = shrinking(stop - start, self.chunk, fill)
        return rows

    def _check_outputs(self, second: "Jacobian") -> None:
        if second.n_outputs != self.n_outputs:
            raise InputError(
                f"a kernel needs as many outputs a sample on both sides, but the model gives "
                f"{self.n_outputs} for the first inputs and {second.n_outputs} for the second: "
                "give samples of one shape."
            )

    def _check_product(self) -> None:
        if self.engine.products_form_rows:
            self._check_one_sample()

    def _check_one_sample(self) -> None:
        self._check_fits(
            "computing the rows of one sample", self.engine.fixed_bytes() + self.bytes_per_sample
        )

    def _check_fits(self, what: str, size: int) -> None:
        if size > self.memory:
            raise InputError(
                f"{what} alone takes {format_memory(size)}, more than the "
                f"{format_memory(self.memory)} allowed: allow more memory, or ask for fewer "
                "samples or a reduced output."
            )


class Transposed:
    """Jᵀ: what `J.T` returns.

    >>> from ntklab.jacobians import jacobian
    >>> J = jacobian(torch.nn.Linear(3, 1, bias=False), torch.eye(3))
    >>> (J.T @ torch.tensor([1.0, 2.0, 3.0])).tolist()
    [1.0, 2.0, 3.0]
    """

    def __init__(self, jacobian: Jacobian) -> None:
        self.T = jacobian
        self.shape = jacobian.shape[::-1]

    def __matmul__(self, u: Tensor) -> Tensor:
        """Jᵀ u."""
        return self.T.transpose_matmul(u)
