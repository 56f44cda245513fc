"""The error that a model's own arithmetic leaves in its Jacobian, measured rather than assumed."""

from copy import deepcopy
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.utils import _pytree as pytree

from ntklab.errors import InputError
from ntklab.jacobians.engines.engine import Engine
from ntklab.jacobians.engines.loop import Loop
from ntklab.jacobians.engines.vjp_jvp import VjpJvp
from ntklab.jacobians.functional import Functional
from ntklab.jacobians.guards.inside import whole_float64
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

    The reference is the same engine on a copy of the model in float64, which stays in float64
    where the model's code goes through float32 (`whole_float64`). Where that cannot be had (a
    module that cannot be copied, runs in one precision only, or does not fit the memory), it is
    the engine `loop` in the model's own precision. Two results of one precision share part of
    their error: their difference then counts four times, and at least ε·‖rows‖_F is assumed. A
    float64 model that goes through float32 has no such second reference.

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
            with whole_float64():
                reference = twin[0].rows(twin[1])
            return RowErrors(rows, rows - reference, places, TWIN)
        except (InputError, *_NO_TWIN):
            pass
    if J.dtype == torch.float64:
        return None
    try:
        other = Loop(J.engine.functional).rows(few).double()
    except _NO_TWIN:
        return None
    floor = torch.finfo(J.dtype).eps * float(rows.norm())
    return RowErrors(rows, _SPREAD * (rows - other), places, LOOP, floor)


def kernel_error(J: Jacobian, samples: int = SAMPLES) -> float:
    """max |K − K64| / max |K64| over the first samples, K64 by the same engine in float64.

    A float32 forward and backward pass perturbs σ by about 1e-7 σ_1; this is that perturbation
    where the reader can see it. A float64 Jacobian has error 0 against itself, unless its model
    goes through float32 inside.

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
    with whole_float64():
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


def _checked_twin(J: Jacobian, few: Inputs) -> tuple[Engine, Inputs] | None:
    """The float64 twin for some samples, if it fits the memory and its outputs are float64."""
    if not twin_fits(J):
        return None
    try:
        with whole_float64():
            engine, exact = float64_twin(J, few)
            functional = engine.functional
            with torch.no_grad():
                outputs = functional.outputs(functional.params, exact)
            coarse = functional.single_inside
    except (InputError, *_NO_TWIN):
        return None
    # A model that goes back to its own precision on the way is no reference.
    return None if coarse or outputs.dtype != torch.float64 else (engine, exact)


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
        with whole_float64():
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
