"""Rows of J as a dask array: one block of samples a chunk, computed where the worker is."""

from typing import Any

import numpy as np
import torch

from ntklab.distributed.recipe import ONE_AT_A_TIME, Recipe
from ntklab.errors import InputError, MissingExtraError
from ntklab.jacobians.inputs import take
from ntklab.jacobians.memory import spans
from ntklab.jacobians.shared.recipe import Shareable, recipe_of


class DaskRows:
    """Rows as a dask array, for `Jacobian`."""

    def to_dask(self: Any, samples_per_chunk: int, recipe: Recipe | None = None) -> Any:
        """J as a dask array (N·C, P): a block of samples a chunk, computed where the worker is.

        Args:
            samples_per_chunk: samples a chunk.
            recipe: of the model, which every worker builds once; adapters of `build_adapter` need
                none (`ntklab.jacobians.shared.recipe_of`).

        Raises:
            InputError: no recipe is known of such a model, or the recipe is of another one.
            MissingExtraError: without the extra `cluster`.
        """
        return rows_as_dask(self, samples_per_chunk, recipe_of(self, recipe))


def rows_as_dask(
    J: Shareable, samples_per_chunk: int, recipe: Recipe | None = None, *, name: str = "rows"
) -> Any:
    """J as a dask array (N·C, P) in the model's dtype; see `Jacobian.to_dask`.

    Args:
        J: the Jacobian; nothing of it is computed here.
        samples_per_chunk: samples a block.
        recipe: of the Jacobian itself; `recipe_of(J)` if None.
        name: of the task in dask's pages.

    Raises:
        InputError: fewer than one sample a chunk, or no recipe is known.
        MissingExtraError: without the extra `cluster`.
    """
    if samples_per_chunk < 1:
        raise InputError(f"samples_per_chunk = {samples_per_chunk} must be at least 1.")
    try:
        import dask
        import dask.array
    except ImportError as error:
        raise MissingExtraError("to_dask", "cluster") from error
    recipe = recipe or recipe_of(J)
    # One task holds the recipe: it travels to a worker once, and again after that one is lost.
    shared = dask.delayed(recipe, name=f"recipe-{recipe.fingerprint[:16]}", traverse=False)
    rows = dask.delayed(matrix_rows, pure=True)
    dtype = np.dtype(str(J.dtype).removeprefix("torch."))
    blocks = []
    for start, stop in spans(J.n_samples, samples_per_chunk):
        key = f"{name}-{recipe.fingerprint[:16]}-{start}-{stop}"
        block = rows(shared, start, stop, dask_key_name=key)
        shape = ((stop - start) * J.n_outputs, J.shape[1])
        blocks.append(dask.array.from_delayed(block, shape=shape, dtype=dtype))
    return dask.array.concatenate(blocks)


def matrix_rows(recipe: Recipe, start: int, stop: int) -> np.ndarray:
    """On a worker: the rows of samples start..stop, (n·C, P)."""
    with ONE_AT_A_TIME:
        worker_threads()
        J: Shareable = recipe.built()
        return J.rows(start, stop).flatten(0, 1).cpu().numpy()


def part_of(J: Shareable, start: int, stop: int) -> Shareable:
    """The Jacobian of samples start..stop, by the same engine."""
    kind: Any = type(J)
    part: Shareable = kind(
        J.engine,
        take(J.x, start, stop),
        memory=J.memory,
        accumulate=J.accumulate,
        check=J.checks,
    )
    return part


def worker_threads() -> None:
    """On a worker torch has the threads that the worker has; in any other process what it had."""
    from dask.distributed import get_worker

    try:
        threads = get_worker().state.nthreads
    except ValueError:  # a scheduler of threads, in the process of the caller
        return
    torch.set_num_threads(threads)
