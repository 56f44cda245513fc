"""Choosing an engine: the rule behind `engine="auto"`."""

import warnings
from collections.abc import Iterable
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from ntklab.adapters import Adapter
from ntklab.errors import InputError, unknown
from ntklab.jacobians.engines.engine import Engine
from ntklab.jacobians.engines.jacrev import Jacrev
from ntklab.jacobians.engines.loop import Loop
from ntklab.jacobians.engines.structured import Structured
from ntklab.jacobians.functional import Functional, Inputs, first_samples
from ntklab.jacobians.memory import Progress, parse_memory
from ntklab.jacobians.operator import Jacobian
from ntklab.jacobians.registry import ENGINES
from ntklab.parallel import alone


def jacobian(
    model: nn.Module,
    x: Inputs,
    *,
    params: Iterable[str] | None = None,
    engine: str = "auto",
    memory: int | str | None = None,
    chunk: int | None = None,
    accumulate: torch.dtype = torch.float64,
    progress: Progress | None = None,
) -> Jacobian:
    """J = ∂f/∂θ of any module at inputs x, as a linear operator.

    The rule of `auto`: `structured` for an adapter of this library with all its own parameters,
    none frozen; else `jacrev` where torch.func can trace the model (tried on one sample); else
    `loop`, and a warning says so.

    Args:
        model: any `nn.Module` in a mode where samples do not depend on each other; its outputs
            (N, …) are flattened to C numbers a sample, and a model output with `logits` is taken
            by them.
        x: inputs (N, …), or a mapping of keyword arguments with leading dimension N.
        params: names or patterns (`*`) of the parameters to differentiate by; all that require
            gradients if None.
        engine: `auto`, `structured`, `jacrev`, `vjp-jvp` or `loop`.
        memory: what results and working space may take, bytes or text like "4GiB"; a share of
            what is free if None.
        chunk: samples at a time; what fits if None.
        accumulate: dtype in which products of rows are summed.
        progress: called with (samples done, N).

    Raises:
        InputError: unknown engine or parameter, NaN inputs, BatchNorm or dropout in training mode,
            an amount of memory that is none, a chunk below 1.

    Example:
        >>> model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
        >>> jacobian(model, torch.randn(5, 3), params=["2.*"]).shape
        (10, 10)
    """
    if chunk is not None and chunk < 1:
        raise InputError(f"chunk = {chunk} must be at least 1 sample.")
    # What is small is dearer to divide among threads than to do.
    with alone() if isinstance(model, Adapter) else nullcontext():
        functional = Functional(model, x, params, output_shape=_known_shape(model, x))
    chosen = _choose(functional, x) if engine == "auto" else _named(engine, functional)
    return Jacobian(
        chosen,
        x,
        memory=None if memory is None else parse_memory(memory),
        chunk=chunk,
        accumulate=accumulate,
        progress=progress,
    )


def _known_shape(model: nn.Module, x: Inputs) -> torch.Size | None:
    """What an adapter maps a sample of its features to; None where only a run would tell."""
    if isinstance(model, Adapter) and isinstance(x, Tensor) and x.ndim == 2:
        return torch.Size([model.out_features]) if x.shape[1] == model.in_features else None
    return None


def _named(engine: str, functional: Functional) -> Engine:
    if engine not in ENGINES:
        raise unknown("engine", engine, ["auto", *ENGINES])
    if engine == "structured" and not Structured.supports(functional):
        raise InputError(
            f"engine 'structured' needs an adapter with all its own parameters, none frozen, not "
            f"{type(functional.module).__name__} with {len(functional.names)} of them: use 'auto'."
        )
    kind: type[Engine] = ENGINES[engine]
    return kind(functional)


def _choose(functional: Functional, x: Inputs) -> Engine:
    if Structured.supports(functional):
        return Structured(functional)
    jacrev = Jacrev(functional)
    try:
        jacrev.rows(first_samples(x, 1))
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, NotImplementedError, ValueError, TypeError) as error:
        reason = str(error).splitlines()[0]
        warnings.warn(
            f"torch.func cannot trace this model ({reason}); using the slower engine 'loop'.",
            stacklevel=3,
        )
        return Loop(functional)
    return jacrev
