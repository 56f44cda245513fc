"""The error that a model's own arithmetic leaves in its Jacobian, measured rather than assumed."""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from ntklab.errors import InputError
from ntklab.jacobians.engines.engine import Engine
from ntklab.jacobians.engines.loop import Loop
from ntklab.jacobians.engines.vjp_jvp import VjpJvp
from ntklab.jacobians.functional import Functional
from ntklab.jacobians.guards.surroundings import undisturbed
from ntklab.jacobians.inputs import Inputs, count_samples, first_samples, gather
from ntklab.jacobians.operator import Jacobian

#: Samples whose rows are computed a second time.
SAMPLES = 8

# With more outputs than this, kernels go ways that form no rows, and so must what measures them.
_MOST_OUTPUTS = 256

TWIN = "a float64 copy of the model"
LOOP = "engine 'loop'"

# Two results of one precision need not differ where both are wrong: their distance counts so often.
_SPREAD = 4

# Errors of a model that cannot be copied, converted or run in float64.
_NO_TWIN = (RuntimeError, NotImplementedError, TypeError, ValueError, AttributeError)


@dataclass(frozen=True, eq=False)
class RowErrors:
    """Rows of a Jacobian at a few samples, and by how much they are off.

    Attributes:
        rows: as the model computed them, in float64, shape (n, C, P); (n, 1, P) if `combined`.
        errors: rows less their reference, same shape.
        samples: their places among the N samples.
        reference: `TWIN`, or `LOOP` where no float64 copy could be made.
        floor: a lower limit for the 2-norm of the errors; 0 beside a float64 copy.
        combined: whether each is one random combination of its sample's C rows, with signs ±1,
            whose square has the Frobenius norm of them all for its mean.
    """

    rows: Float[Tensor, "n C P"]
    errors: Float[Tensor, "n C P"]
    samples: Int[Tensor, " n"]
    reference: str
    floor: float = 0.0
    combined: bool = False


@undisturbed()
def row_errors(J: Jacobian, samples: int = SAMPLES) -> RowErrors | None:
    """Rows of some samples, evenly spread, beside the same rows in float64.

    The reference is the same engine on a copy of the model in float64. Where that cannot be had
    (a module that cannot be copied, runs in one precision only, or does not fit the memory), it is
    the engine `loop` in the model's own precision. Two results of one precision share part of
    their error: their difference then counts four times, and at least ε·‖rows‖_F is assumed.

    Args:
        J: the Jacobian in question.
        samples: how many of its samples, at most.

    Where the memory does not hold the rows of one sample, or there are more than 256 (a whole
    vocabulary), one combination of them a sample is taken, by reverse mode.

    Returns:
        The rows and their errors; None where no reference can be computed.

    Cost: rows of so many samples twice, once in float64, and a float64 copy of the model.

    Example:
        >>> from ntklab.jacobians import jacobian
        >>> model = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Tanh())
        >>> measured = row_errors(jacobian(model, torch.randn(20, 3)))
        >>> measured.errors.shape, 0 < float(measured.errors.abs().max()) < 1e-5
        (torch.Size([8, 8, 32]), True)
    """
    fitting = _fitting(J)
    count = min(samples, J.n_samples, fitting or samples)
    places = torch.linspace(0, J.n_samples - 1, count).round().long()
    few = gather(J.x, places.tolist())
    twin = _checked_twin(J, few)
    if not fitting:
        return None if twin is None else _combined(J, few, places, *twin)
    rows = J.engine.rows(few).double()
    if twin is not None:
        try:
            return RowErrors(rows, rows - twin[0].rows(twin[1]), places, TWIN)
        except (InputError, *_NO_TWIN):
            pass
    try:
        other = Loop(J.engine.functional).rows(few).double()
    except _NO_TWIN:
        return None
    floor = torch.finfo(J.dtype).eps * float(rows.norm())
    return RowErrors(rows, _SPREAD * (rows - other), places, LOOP, floor)


def kernel_error(J: Jacobian, samples: int = SAMPLES) -> float:
    """max |K − K64| / max |K64| over the first samples, K64 by the same engine in float64.

    A float32 forward and backward pass perturbs σ by about 1e-7 σ_1; this is that perturbation
    where the reader can see it. A float64 Jacobian has error 0 against itself.

    Args:
        J: the Jacobian of the kernel in question.
        samples: how many of its samples to compare on.

    Cost: two kernels of so many samples, and a float64 copy of the model.

    Example:
        >>> from ntklab.jacobians import jacobian
        >>> model = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Tanh())
        >>> 0 < kernel_error(jacobian(model, torch.randn(4, 3))) < 1e-5
        True
    """
    few = first_samples(J.x, min(samples, count_samples(J.x)))
    reference = Jacobian(*float64_twin(J, few), memory=J.memory).gram()
    measured = Jacobian(J.engine, few, memory=J.memory, accumulate=J.accumulate).gram()
    return float((measured.double() - reference).abs().max() / reference.abs().max())


def float64_twin(J: Jacobian, x: Inputs | None = None) -> tuple[Engine, Inputs]:
    """The engine of J on a float64 copy of its model, and inputs (those of J unless given) for it.

    Parameters, buffers and inputs are converted exactly, so that only the arithmetic differs.
    """
    exact = pytree.tree_map(_double, J.x if x is None else x)
    model = deepcopy(J.engine.functional.module).double()
    own = J.engine.functional
    functional = Functional(model, exact, own.names, readout=own.readout)
    return type(J.engine).build(functional, exact), exact


def twin_fits(J: Jacobian) -> bool:
    """Whether the memory holds a float64 copy of the model."""
    module = J.engine.functional.module
    return 8 * sum(t.numel() for t in [*module.parameters(), *module.buffers()]) <= J.memory


def single_inside(model: nn.Module, x: Inputs) -> tuple[str, ...]:
    """Kinds of modules of a float64 model that compute in a coarser dtype inside.

    The norms of many language models do, whatever the model's dtype: their rows look like float64
    and are good to float32.

    Args:
        model: any module.
        x: its inputs, as keyword arguments; one sample is run, without `labels`.

    Returns:
        Names of classes, in order; none for a model whose own dtype is not float64.

    Example:
        >>> class Coarse(nn.Linear):
        ...     def forward(self, input):
        ...         return super().forward(input.float().double())
        >>> single_inside(Coarse(2, 1).double(), {"input": torch.ones(1, 2, dtype=torch.float64)})
        ('Coarse',)
    """
    if next(p.dtype for p in model.parameters() if p.is_floating_point()) != torch.float64:
        return ()
    running: list[nn.Module] = []
    found: dict[str, None] = {}

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None):  # type: ignore[no-untyped-def]
            result = func(*args, **(kwargs or {}))
            given = args[0] if args else None
            if (
                running
                and isinstance(given, Tensor)
                and isinstance(result, Tensor)
                and given.dtype == torch.float64
                and result.is_floating_point()
                and result.dtype != torch.float64
            ):
                found[type(running[-1]).__name__] = None
            return result

    handles = []
    for part in model.modules():
        handles.append(part.register_forward_pre_hook(lambda m, _: running.append(m)))
        handles.append(part.register_forward_hook(lambda *_: running.pop() and None))
    one = {name: value[:1] for name, value in x.items() if name != "labels"}  # type: ignore[union-attr]
    try:
        with torch.no_grad(), Watch():
            model(**one)
    finally:
        for handle in handles:
            handle.remove()
    return tuple(found)


def _checked_twin(J: Jacobian, few: Inputs) -> tuple[Engine, Inputs] | None:
    """The float64 twin for some samples, if it fits the memory and its outputs are float64."""
    if not twin_fits(J):
        return None
    try:
        engine, exact = float64_twin(J, few)
        functional = engine.functional
        with torch.no_grad():
            outputs = functional.outputs(functional.params, exact)
    except (InputError, *_NO_TWIN):
        return None
    # A model that goes back to its own precision on the way is no reference.
    return (engine, exact) if outputs.dtype == torch.float64 else None


def _combined(
    J: Jacobian, few: Inputs, places: Tensor, twin: Engine, exact: Inputs
) -> RowErrors | None:
    """One combination of the rows of each sample, in both precisions."""
    count, generator = len(places), torch.Generator().manual_seed(0)
    signs = 2.0 * torch.randint(0, 2, (count, 1, J.n_outputs, 1), generator=generator) - 1
    signs = signs.to(J.device, torch.float64)

    def combinations(functional: Functional, x: Inputs) -> Float[Tensor, "n 1 P"]:
        pull = VjpJvp(functional).rmatvec
        return torch.stack([pull(gather(x, [n]), signs[n]).T for n in range(count)])

    try:
        rows = combinations(J.engine.functional, few)
        reference = combinations(twin.functional, exact)
    except _NO_TWIN:
        return None
    return RowErrors(rows, rows - reference, places, TWIN, combined=True)


def _fitting(J: Jacobian) -> int:
    """How many samples may be measured: rows thrice in float64, and twice the engine's own need."""
    if J.n_outputs > _MOST_OUTPUTS:
        return 0
    rows = 8 * J.n_outputs * J.shape[1]
    left = J.memory - J.engine.fixed_bytes()
    return max(left, 0) // (3 * rows + 2 * J.bytes_per_sample)


def _double(leaf: object) -> object:
    floating = isinstance(leaf, Tensor) and leaf.is_floating_point()
    return leaf.double() if floating else leaf  # type: ignore[attr-defined]
