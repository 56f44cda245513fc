"""K = J Jᵀ by the workers of a cluster: blocks of samples against blocks of samples.

Two ways to a block, counted before. Rows of every block of samples are computed once, kept on the
workers, and multiplied in pairs; where they do not fit there, or the engine never forms them
(`layerwise`), a block is the kernel of its samples with those of the other, computed anew.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from ntklab.distributed.cluster import completed, connect, worker_memory
from ntklab.distributed.recipe import ONE_AT_A_TIME, Recipe
from ntklab.distributed.store import BlockStore, Layout, open_store, stored_chunk
from ntklab.errors import InputError
from ntklab.jacobians.engines.engine import check_output, multiply_rows
from ntklab.jacobians.memory import Progress, format_memory
from ntklab.jacobians.shared.recipe import Shareable, recipe_of
from ntklab.jacobians.shared.rows import part_of, worker_threads

By = Literal["auto", "rows", "samples"]

# A block of 2000 × 2000 float64 entries is 32 MB: the product takes long beside its journey, and
# a worker that is lost loses little.
_SIDE = 2000
# Rows travel: two such blocks are a task's inputs.
_ROW_BYTES = 1 << 28
# Of the workers' memory that rows may fill; dask begins to write to disk at 60 %.
_SHARE = 0.25


@dataclass(frozen=True)
class SharedGram:
    """The result of `shared_gram`.

    Attributes:
        kernel: K, or None where it went into a store.
        store: where the blocks are, or None.
        blocks: of the upper triangle.
        computed: those that were not there before.
        by: "rows" or "samples".
    """

    kernel: Tensor | None
    store: BlockStore | None
    blocks: int
    computed: int
    by: str


def shared_gram(
    J: Shareable,
    scheduler: Any = None,
    *,
    output: str = "full",
    store: str | Path | None = None,
    config: dict[str, Any] | None = None,
    samples_per_chunk: int | None = None,
    dtype: torch.dtype | None = None,
    recipe: Recipe | None = None,
    by: By = "auto",
    progress: Progress | None = None,
) -> SharedGram:
    """K of a Jacobian, block by block on the workers, into memory or into a store.

    Blocks that the store has are not computed again, so the same call goes on after whatever
    stopped it.

    Args:
        J: the Jacobian; nothing of it is computed here but two outputs of its model.
        scheduler: see `ntklab.distributed.connect`.
        output: as `Jacobian.gram` has it.
        store: a folder that all workers reach; K stays in the memory of this process if None.
        config: what the store says it is of; sizes and a digest of the recipe if None.
        samples_per_chunk: samples a block; those of the store that is there, else what gives
            blocks of 2000 × 2000 entries or less.
        dtype: of the entries kept; J's `accumulate`, in which they are summed, if None.
        recipe: of the Jacobian itself; `recipe_of(J)` if None.
        by: "rows", "samples", or what is counted to be cheaper.
        progress: called with (blocks done, blocks).

    Raises:
        InputError: no recipe, a store of something else, K does not fit into J's memory (without
            a store), no scheduler, or one that went away.
        MissingExtraError: without the extra `cluster`.

    Cost: rows once and (N·C)² P / 2 multiply-adds, divided by the workers; every worker receives
    at most all rows once. By samples, the model's passes N/chunk times over.
    """
    kind = check_output(output)
    recipe = recipe or recipe_of(J)
    layout = _layout(J, kind, store, samples_per_chunk, dtype or J.accumulate)
    kept = None if store is None else open_store(store, config or _described(J, recipe), layout)
    whole = None if kept else _empty(J, layout)
    wanted = layout.blocks if kept is None else kept.missing()
    done = len(layout.blocks) - len(wanted)
    tell: Callable[[int], object] = (
        (lambda count: None)
        if progress is None
        else (lambda count: progress(count, len(layout.blocks)))
    )
    tell(done)
    chosen: str = by
    if wanted:
        with connect(scheduler) as client:
            chosen = _way(J, client) if by == "auto" else by
            futures = _submitted(client, recipe, kept, layout, wanted, kind, chosen)
            sentence = _kept(kept)
            for i, j, block in completed(futures, sentence):
                if whole is not None:
                    _place(whole, layout, i, j, block)
                done += 1
                tell(done)
    return SharedGram(whole, kept, len(layout.blocks), len(wanted), chosen)


def block_of(
    recipe: Recipe,
    store: BlockStore | None,
    layout: Layout,
    output: Any,
    place: tuple[int, int],
    *rows: np.ndarray,
) -> tuple[int, int, np.ndarray | None]:
    """On a worker: one block of the kernel, into the store or back to the caller.

    Args:
        recipe: of the Jacobian.
        store: where it goes; None sends it back.
        layout: how the kernel is cut.
        output: of the kernel.
        place: row and column of the block.
        rows: (n, C, P) of its samples, and of those of the column where they differ; none where
            the block is to be computed from the samples.
    """
    i, j = place
    if store is not None and store.has(i, j):  # another run has been here meanwhile
        return i, j, None
    with ONE_AT_A_TIME:
        worker_threads()
        J: Shareable = recipe.built()
        block = _product(J, output, rows) if rows else _between(J, output, layout, i, j)
    array = block.cpu().numpy().astype(layout.dtype, copy=False)
    if store is None:
        return i, j, array
    store.write(i, j, array)
    return i, j, None


def sample_rows(recipe: Recipe, start: int, stop: int) -> np.ndarray:
    """On a worker: the rows of samples start..stop, (n, C, P)."""
    with ONE_AT_A_TIME:
        worker_threads()
        J: Shareable = recipe.built()
        return J.rows(start, stop).cpu().numpy()


def _product(J: Shareable, output: Any, rows: tuple[np.ndarray, ...]) -> Tensor:
    # Arrays that travelled may be read-only, which torch does not know: they are only read.
    first, *others = (torch.tensor(one, device=J.device, dtype=J.accumulate) for one in rows)
    return multiply_rows(first, others[0] if others else first, output)


def _between(J: Shareable, output: Any, layout: Layout, i: int, j: int) -> Tensor:
    first = part_of(J, *layout.span(i))
    return first.gram(None if i == j else part_of(J, *layout.span(j)), output=output)


def _submitted(
    client: Any,
    recipe: Recipe,
    store: BlockStore | None,
    layout: Layout,
    wanted: list[tuple[int, int]],
    output: str,
    by: str,
) -> list[Any]:
    # A task that returns it, since what is scattered dies with the worker that holds it.
    shared = client.submit(_itself, recipe, key=f"recipe-{recipe.fingerprint}")
    rows: dict[int, Any] = {}
    if by == "rows":
        for strip in sorted({place for pair in wanted for place in pair}):
            rows[strip] = client.submit(sample_rows, shared, *layout.span(strip), pure=False)
    return [
        client.submit(
            *(block_of, shared, store, layout, output, pair),
            *(rows[place] for place in dict.fromkeys(pair) if rows),
            pure=False,
        )
        for pair in wanted
    ]


def _itself(recipe: Recipe) -> Recipe:
    return recipe


def _way(J: Shareable, client: Any) -> str:
    """By rows where all of them fit on the workers, twice: every worker may come to hold them."""
    workers = len(client.scheduler_info(n_workers=-1)["workers"]) or 1
    limit = worker_memory(client)
    rows = J.shape[0] * J.shape[1] * J.dtype.itemsize
    fits = limit is None or rows * workers <= _SHARE * limit
    return "rows" if fits and J.engine.name != "layerwise" else "samples"


def _layout(
    J: Shareable, output: str, store: Any, samples_per_chunk: int | None, dtype: torch.dtype
) -> Layout:
    itemsize = J.accumulate.itemsize
    fitting = min(_SIDE // J.n_outputs, _ROW_BYTES // (J.n_outputs * J.shape[1] * itemsize))
    there = None if store is None else stored_chunk(store)
    chunk = samples_per_chunk or there or max(1, min(fitting, J.n_samples))
    if chunk < 1:
        raise InputError(f"samples_per_chunk = {chunk} must be at least 1.")
    return Layout(
        samples=J.n_samples,
        step=J.n_outputs if output == "full" else 1,
        stacked=J.n_outputs if output == "diagonal" else 0,
        chunk=chunk,
        dtype=str(dtype).removeprefix("torch."),
    )


def _described(J: Shareable, recipe: Recipe) -> dict[str, Any]:
    model = type(J.engine.functional.module).__name__
    sizes = {"samples": J.n_samples, "outputs": J.n_outputs, "params": J.shape[1]}
    return {"model": model, **sizes, "dtype": str(J.dtype), "recipe": recipe.fingerprint[:16]}


def _empty(J: Shareable, layout: Layout) -> Tensor:
    dtype: torch.dtype = getattr(torch, layout.dtype)
    size = int(np.prod(layout.shape)) * dtype.itemsize
    if size > J.memory:
        raise InputError(
            f"the kernel alone takes {format_memory(size)}, more than the "
            f"{format_memory(J.memory)} allowed: allow more memory, or give a store for it."
        )
    return torch.empty(layout.shape, dtype=dtype)


def _place(whole: Tensor, layout: Layout, i: int, j: int, block: np.ndarray) -> None:
    tile = torch.tensor(block)
    whole[layout.at(i, j)] = tile
    if i != j:
        whole[layout.at(j, i)] = tile.mT


def _kept(store: BlockStore | None) -> str:
    if store is None:
        return "nothing is kept without a store"
    return f"finished blocks are kept in {store.path}"
