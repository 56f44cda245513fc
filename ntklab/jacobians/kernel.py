"""The empirical NTK: one verb over every engine."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ntklab.distributed import Recipe
from ntklab.errors import InputError
from ntklab.jacobians.choice import jacobian
from ntklab.jacobians.inputs import Inputs, InputsLike
from ntklab.jacobians.memory import Progress, format_memory
from ntklab.jacobians.operator import Jacobian
from ntklab.jacobians.readout import Readout
from ntklab.jacobians.shared import recipe_of, shared_gram


def ntk(
    model: nn.Module,
    x1: InputsLike,
    x2: InputsLike | None = None,
    output: str = "full",
    *,
    params: Iterable[str] | None = None,
    readout: Readout | str | Callable[[Any, Inputs], Tensor] | None = None,
    engine: str = "auto",
    memory: int | str | None = None,
    chunk: int | None = None,
    accumulate: torch.dtype = torch.float64,
    progress: Progress | None = None,
    check: bool = True,
    scheduler: Any = None,
    store: str | Path | None = None,
    recipe: Recipe | None = None,
) -> Tensor:
    """K(x1, x2) = J(x1) J(x2)ᵀ, never normalized silently.

    Args:
        model: any `nn.Module`, see `jacobian`.
        x1: inputs (N1, …).
        x2: inputs (N2, …); None means x1 and uses symmetry.
        output: `full` (N1·C, N2·C), row index n·C + c; `trace` (N1, N2) = (1/C) Σ_c K_cc
            (neural-tangents' default; the torch tutorial's trace sums without 1/C); `pseudo`
            (N1, N2) = (1/C) Σ_{c,c'} K_cc' (Mohamadi et al. 2023); `diagonal` (C, N1, N2).
        params: names or patterns of the parameters to differentiate by.
        readout: what the C numbers of a sample are, see `jacobian`; labels travel with inputs.
        engine: see `jacobian`.
        memory: what kernel and working space may take.
        chunk: samples at a time; what fits if None.
        accumulate: dtype of the kernel and of the sums behind it.
        progress: called with (samples done, N1); where it is shared, with (blocks done, blocks).
        check: see `jacobian`.
        scheduler: dask's: `local:4`, an address or a client (`ntklab.distributed.connect`); blocks
            of samples are then shared among its workers. Computed here if None.
        store: a folder for the blocks: those that are there are not computed again.
        recipe: of the model, for the workers; adapters of `build_adapter` need none.

    Raises:
        MissingExtraError: a scheduler or a store without the extra `cluster`.
        InputError: as `jacobian`, an unknown output, or a kernel larger than `memory`.

    Cost: rows of J once, plus N1 N2 C² P multiply-adds for `full`.

    Example:
        >>> features = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
        >>> ntk(nn.Linear(2, 1, bias=False), features)
        tensor([[1., 1.],
                [1., 2.]], dtype=torch.float64)
    """
    options: dict[str, Any] = {"engine": engine, "memory": memory, "chunk": chunk, "check": check}
    options |= {"params": params, "readout": readout, "accumulate": accumulate}
    first = jacobian(model, x1, progress=progress, **options)
    if scheduler is not None or store is not None:
        if x2 is not None:
            raise InputError("a kernel of two sets of inputs is not shared: leave scheduler out.")
        return _shared(first, output, scheduler, store, recipe_of(first, recipe))
    if x2 is None:
        return first.gram(output=output)
    second = jacobian(model, x2, **options | {"params": first.engine.functional.names})
    return first.gram(second, output=output)


def _shared(
    J: Jacobian, output: str, scheduler: Any, store: str | Path | None, recipe: Recipe
) -> Tensor:
    how: dict[str, Any] = {"output": output, "recipe": recipe, "progress": J.progress}
    done = shared_gram(J, scheduler, store=store, **how)
    if done.store is None:
        assert done.kernel is not None
        return done.kernel
    if done.store.bytes > J.memory:
        raise InputError(
            f"the kernel is in {store}, and takes {format_memory(done.store.bytes)}, more than the "
            f"{format_memory(J.memory)} allowed: read its blocks, or allow more memory."
        )
    return torch.from_numpy(done.store.dense())
