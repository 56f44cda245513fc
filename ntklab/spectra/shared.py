"""A Jacobian whose Gram matrix and triangle are computed by the workers of a cluster."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.distributed import Recipe, completed, connect
from ntklab.errors import InputError
from ntklab.jacobians.memory import format_memory
from ntklab.jacobians.operator import Jacobian
from ntklab.jacobians.shared import SharedGram, recipe_of, rows_as_dask, shared_gram
from ntklab.spectra.centre import compress_rows

# Rows of a block of the QR factorization, at least: dask meets taller blocks with less work.
_TALL = 2


class SharedJacobian:
    """A Jacobian for `spectrum`: whatever is long is done by the workers, the rest as before.

    The smaller side decides what that is: K block by block (`shared_gram`) where N·C ≤ P, else R of
    a tall QR (dask's, Benson et al. 2013), whose singular values are those of J.

    Args:
        jacobian: J; only rows that measure its rounding are computed here.
        scheduler: see `ntklab.distributed.connect`.
        store: a folder for K and R, which a second call takes from there; none if None.
        recipe: of the Jacobian; `recipe_of(jacobian)` if None.
        config: see `shared_gram`.

    Raises:
        InputError: no recipe is known of its model.
    """

    def __init__(
        self,
        jacobian: Jacobian,
        scheduler: Any,
        *,
        store: str | Path | None = None,
        recipe: Recipe | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        self.jacobian, self.scheduler, self.store = jacobian, scheduler, store
        self.recipe = recipe or recipe_of(jacobian)
        self.config = None if config is None else dict(config)
        self.shape, self.memory = jacobian.shape, jacobian.memory
        self.n_samples, self.n_outputs = jacobian.n_samples, jacobian.n_outputs
        self.dtype, self.device = jacobian.dtype, jacobian.device

    @property
    def T(self) -> Any:
        """Jᵀ, computed here."""
        return self.jacobian.T

    def __matmul__(self, other: Tensor) -> Tensor:
        """J v, computed here."""
        return self.jacobian @ other

    def rows(self, start: int, stop: int) -> Float[Tensor, "n C P"]:
        """Rows of a few samples, computed here."""
        return self.jacobian.rows(start, stop)

    def dense(self, dtype: torch.dtype | None = None) -> Float[Tensor, "NC P"]:
        """J as a matrix, computed here."""
        return self.jacobian.dense(dtype)

    def dual_gram(self) -> Float[Tensor, "P P"]:
        """G = RᵀR."""
        R = self.triangle(centred=False)[0]
        return R.T @ R

    def fill(self) -> SharedGram:
        """K into the store, or into memory; blocks that are there are not computed again."""
        return shared_gram(
            self.jacobian, self.scheduler, store=self.store, config=self.config,
            recipe=self.recipe, progress=self.jacobian.progress,
        )  # fmt: skip

    def gram(self) -> Float[Tensor, "NC NC"]:
        """K."""
        filled = self.fill()
        if filled.store is None:
            assert filled.kernel is not None
            return filled.kernel
        return torch.from_numpy(filled.store.dense()).to(self.jacobian.accumulate)

    def triangle(self, *, centred: bool) -> tuple[Float[Tensor, "P P"], float]:
        """R with RᵀR = JᵀJ by dask's tall QR, in float64, and ‖J‖_F.

        Args:
            centred: of (I ⊗ Qᵀ) J instead; the norm is that of J before.

        Cost: rows once, 4 N·C P² multiply-adds divided by the workers; triangles of P × P travel,
        one a block of rows. With a store, nothing the second time.
        """
        P, tag = self.shape[1], "centred" if centred else "plain"
        filled = None if self.store is None else self.fill()
        kept = None if filled is None else filled.store
        known = None if kept is None else kept.triangle(P + 1, tag)
        if known is None:
            known = self._computed(centred)
            if kept is not None:
                kept.keep_triangle(known, tag)
        return torch.from_numpy(known[:P, :P].copy()), float(known[P, P])

    def _computed(self, centred: bool) -> np.ndarray:
        """R with ‖J‖_F in a further corner, so that both are one block on disk."""
        import dask.array as da

        C, P = self.n_outputs, self.shape[1]
        self._refuse_too_large()
        chunk = max(1, -(-_TALL * P // C))
        with connect(self.scheduler) as client:
            rows = rows_as_dask(self.jacobian, chunk, self.recipe).astype(np.float64)
            norm = da.sqrt((rows**2).sum())
            if centred:
                cut = tuple(n // C * (C - 1) for n in rows.chunks[0])
                rows = rows.map_blocks(_contrasts, C, chunks=(cut, (P,)), dtype=np.float64)
            R = da.linalg.tsqr(rows)[1]
            futures = client.compute([_named("R", R), _named("norm", norm)])
            parts = dict(completed(futures, "nothing of R is kept"))
        known = np.zeros((P + 1, P + 1))
        known[: len(parts["R"]), :P] = parts["R"]
        known[P, P] = parts["norm"]
        return known

    def _refuse_too_large(self) -> None:
        P, itemsize = self.shape[1], 8
        if 2 * P * P * itemsize > self.memory:
            raise InputError(
                f"a triangle of {P} × {P} takes {format_memory(P * P * itemsize)}, and two do not "
                f"fit the {format_memory(self.memory)} allowed: allow more memory, or train fewer "
                "parameters."
            )


def _contrasts(block: np.ndarray, n_outputs: int) -> np.ndarray:
    """On a worker: rows of a block without what the outputs of a sample share."""
    return compress_rows(torch.from_numpy(block.copy()), n_outputs).numpy()


def _named(name: str, array: Any) -> Any:
    """A delayed pair of a name and the whole of a dask array."""
    import dask

    return dask.delayed(_pair)(name, array)


def _pair(name: str, value: np.ndarray) -> tuple[str, np.ndarray]:
    return name, value
