"""Choosing an engine: the rule behind `engine="auto"`."""

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from ntklab.adapters import Adapter
from ntklab.errors import InputError, unknown
from ntklab.jacobians.engines.engine import Engine
from ntklab.jacobians.engines.jacrev import Jacrev
from ntklab.jacobians.engines.layerwise import Layerwise
from ntklab.jacobians.engines.loop import Loop
from ntklab.jacobians.engines.structured import Structured, is_own_adapter
from ntklab.jacobians.functional import Functional
from ntklab.jacobians.inputs import Inputs, InputsLike, as_inputs
from ntklab.jacobians.memory import Progress, parse_memory
from ntklab.jacobians.model import unwrap
from ntklab.jacobians.operator import Jacobian
from ntklab.jacobians.readout import Readout, as_readout
from ntklab.jacobians.registry import ENGINES
from ntklab.parallel import alone

# What `auto` goes through, the first that exists for the model to begin with.
AUTO: tuple[type[Engine], ...] = (Structured, Layerwise, Jacrev, Loop)


def jacobian(
    model: nn.Module,
    x: InputsLike,
    *,
    params: Iterable[str] | None = None,
    readout: Readout | str | Callable[[Any, Inputs], Tensor] | None = None,
    engine: str = "auto",
    memory: int | str | None = None,
    chunk: int | None = None,
    accumulate: torch.dtype = torch.float64,
    progress: Progress | None = None,
    check: bool = True,
) -> Jacobian:
    """J = ∂f/∂θ of any module at inputs x, as a linear operator.

    The rule of `auto`: `structured` for an adapter of this library with all its own parameters,
    none frozen; else `layerwise` where every parameter has a layer and its count of multiply-adds
    and numbers moved is the lowest; else `jacrev` where torch.func can trace the model (tried on
    one sample); else `loop`. Before numbers of an engine leave, those of two samples are compared
    with `loop`, in the size of batch that is used; where they differ by more than rounding, or the
    engine fails, `auto` goes on with the next and warns, and an engine asked for by name is an
    error. Adapters of this library are not compared again: their tests do that.

    The model is left as it was, with the random state; grad mode, inference mode and autocast
    around the call make no difference.

    Args:
        model: any `nn.Module` in a mode where a sample's outputs depend on neither other samples,
            nor chance, nor earlier calls (else it is refused); they are (N, …), flattened to C
            numbers a sample, and a model output with `logits` is taken by them. `DataParallel` and
            `torch.compile` are taken off.
        x: inputs (N, …), tensors or numpy arrays; a tuple or list of them is positional arguments,
            a mapping keyword arguments, each with leading dimension N; or a DataLoader that does
            not shuffle, whose targets are left out.
        params: names or patterns (`*`) of the parameters to differentiate by; all that require
            gradients if None. Those that reach no output are named in a warning.
        readout: what the C numbers of a sample are, see `ntklab.jacobians.readout`: all logits
            (None), a name like "loss", a value like `TokenLogits((319, 7194))`, or a function of
            what the model returns and its inputs.
        engine: `auto`, `structured`, `layerwise`, `jacrev`, `vjp-jvp` or `loop`.
        memory: what results and working space may take, bytes or text like "4GiB"; a share of
            what is free if None.
        chunk: samples at a time; what fits if None.
        accumulate: dtype in which products of rows are summed.
        progress: called with (samples done, N).
        check: False takes an engine's numbers without comparing them.

    Raises:
        InputError: unknown engine or parameter, NaN inputs, a model or inputs that it cannot take,
            none of the parameters reaches an output, an amount of memory that is none, a chunk
            below 1.

    Cost: forward passes of four samples here; the comparison, later, 2·C backward passes for each
    size of batch.

    Example:
        >>> model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
        >>> jacobian(model, torch.randn(5, 3), params=["2.*"]).shape
        (10, 10)
    """
    if chunk is not None and chunk < 1:
        raise InputError(f"chunk = {chunk} must be at least 1 sample.")
    module = unwrap(model)
    inputs = as_inputs(x, module)
    # What is small is dearer to divide among threads than to do.
    with alone() if isinstance(module, Adapter) else nullcontext():
        shape = _known_shape(module, inputs) if readout is None else None
        reader = as_readout(readout)
        functional = Functional(module, inputs, params, output_shape=shape, readout=reader)
    (first, *successors), choice = _engines(engine, functional, inputs)
    return Jacobian(
        first.build(functional, inputs),
        inputs,
        memory=None if memory is None else parse_memory(memory),
        chunk=chunk,
        accumulate=accumulate,
        progress=progress,
        successors=successors,
        check=check,
        choice=choice,
    )


def _known_shape(module: nn.Module, x: Inputs) -> torch.Size | None:
    """The output shape of an adapter of ours; None where only a run would tell."""
    if isinstance(module, Adapter) and is_own_adapter(module) and isinstance(x, Tensor):
        fits = x.ndim == 2 and x.shape[1] == module.in_features
        return torch.Size([module.out_features]) if fits else None
    return None


def _engines(engine: str, functional: Functional, x: Inputs) -> tuple[list[type[Engine]], str]:
    """The engine to begin with, those to go on with, and why this one."""
    if engine == "auto":
        kinds = [kind for kind in AUTO if kind.supports(functional, x)]
        if Layerwise not in kinds[:1]:
            return kinds, f"{kinds[0].name}: the first that exists for this model"
        counts = Layerwise.counts(functional, x)
        if counts is None:  # left to fail, which says why
            return kinds, "layerwise: tried, since no layers could be counted"
        if counts[0] >= counts[1]:
            kinds.remove(Layerwise)
        least, most = (f"{count:.1e}" for count in sorted(counts))
        other = "jacrev" if counts[0] < counts[1] else "layerwise"
        return kinds, f"{kinds[0].name}: {least} counted, {most} for {other}"
    if engine not in ENGINES:
        raise unknown("engine", engine, ["auto", *ENGINES])
    kind: type[Engine] = ENGINES[engine]
    if not kind.supports(functional, x):
        raise InputError(
            f"engine '{engine}' needs an adapter with all its own parameters, none frozen, "
            f"features (N, d) and no readout, not {type(functional.module).__name__} with "
            f"{len(functional.names)} of them: use 'auto'."
        )
    return [kind], f"{engine}: asked for"
