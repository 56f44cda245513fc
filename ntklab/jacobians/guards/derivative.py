"""Whether autograd's derivative is the derivative: finite differences beside it.

Training follows autograd. Some modules hand it another gradient than that of their outputs: DoRA
holds its norm constant in the backward pass, others project or quantize gradients. The kernel of
autograd's rows then says how training moves the outputs at first, but is not the kernel of the
function; a record of it should say so.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ntklab.jacobians.engines.loop import Loop
from ntklab.jacobians.functional import Functional, Params
from ntklab.jacobians.inputs import Inputs, first_samples
from ntklab.jacobians.readout import Readout

# Steps relative to a tensor's own size. Rounding grows and truncation falls as they shrink; the
# best of them leaves 1e-5 even where the model rounds to float32 inside.
_STEPS = (3e-2, 1e-2, 3e-3, 1e-3, 1e-4, 1e-5)

#: Above this gap autograd's derivative counts as another function's.
TOLERANCE = 1e-3


@dataclass(frozen=True)
class DerivativeCheck:
    """Autograd beside finite differences.

    Attributes:
        gap: ‖J v − Δ‖ / ‖Δ‖ for the difference quotient Δ at the step where they agree best;
            the largest over the directions. 0 where both vanish.
        worst: the parameter with the largest gap of its own, or None where all agree.
        hooked: parameters whose gradient a hook changes before training sees it (peft's OSF
            projects it). Rows of J are without the hook.
        checked: how many parameter tensors were compared.
    """

    gap: float
    worst: str | None
    hooked: tuple[str, ...] = ()
    checked: int = 0

    @property
    def exact(self) -> bool:
        """Whether training follows the function's derivative: no gap and no hook."""
        return self.gap <= TOLERANCE and not self.hooked

    def __str__(self) -> str:
        if self.exact:
            return f"autograd's derivative is the function's (gap {self.gap:.1e})."
        if self.hooked:
            return (
                f"hooks change the gradients of {len(self.hooked)} parameters before training sees "
                f"them (the first is '{self.hooked[0]}'): the kernel is that of the function, not "
                "that of training."
            )
        return (
            f"autograd's derivative differs from finite differences by {self.gap:.1%}, most in "
            f"'{self.worst}': the kernel is that of training, not that of the function."
        )


def check_derivative(
    model: nn.Module,
    x: Inputs,
    params: Iterable[str] | None = None,
    *,
    samples: int = 2,
    seed: int = 0,
    readout: Readout | None = None,
) -> DerivativeCheck:
    """Compare J v with central differences, along three directions of each parameter tensor.

    Args:
        model: as for `jacobian`.
        x: inputs; the first few are used.
        params: names or patterns; all that require gradients if None.
        samples: how many inputs.
        seed: of the directions.
        readout: what the C numbers of a sample are, as `jacobian` has it; all logits if None.

    Raises:
        InputError: what `jacobian` refuses.

    Cost: `samples`·C backward passes, and up to 36 forward passes a parameter tensor.

    Example:
        >>> check_derivative(nn.Linear(3, 2), torch.ones(2, 3)).exact
        True
        >>> class Detached(nn.Linear):
        ...     def forward(self, x):
        ...         return super().forward(x) / self.weight.norm().detach()
        >>> check_derivative(Detached(3, 2), torch.ones(2, 3)).exact
        False
    """
    few = first_samples(x, samples)
    functional = Functional(model, few, params, readout=readout)
    rows = Loop(functional).rows(few).split(functional.sizes, dim=2)
    generator = torch.Generator().manual_seed(seed)
    overall = _size(list(functional.params.values()))
    sizes = [_size([value], overall) for value in functional.params.values()]
    biggest = max(float(row.norm()) * size for row, size in zip(rows, sizes, strict=True))
    worst: tuple[float, str | None] = (0.0, None)
    for name, row, size in zip(functional.names, rows, sizes, strict=True):
        value = functional.params[name]
        drawn = torch.randn((2, *value.shape), generator=generator, dtype=torch.float64)
        # Along the tensor itself too: a norm that is held constant shows there for certain.
        for direction in (value, *(drawn.to(value) * size)):
            analytic = row @ direction.reshape(-1)
            gap = _gap(functional, few, name, direction, analytic, biggest)
            worst = max(worst, (gap, name), key=lambda pair: pair[0])
    parameters = dict(model.named_parameters())
    hooked = tuple(name for name in functional.names if parameters[name]._backward_hooks)
    named = worst[1] if worst[0] > TOLERANCE else None
    return DerivativeCheck(worst[0], named, hooked, len(functional.names))


def _size(tensors: list[Tensor], default: float = 1.0) -> float:
    """Root mean square of all entries; `default` where they are zero."""
    entries = sum(t.numel() for t in tensors)
    square = sum(float(t.double().square().sum()) for t in tensors) / max(entries, 1)
    return square**0.5 or default


@torch.no_grad()
def _gap(
    functional: Functional,
    x: Inputs,
    name: str,
    direction: Tensor,
    analytic: Float[Tensor, "n C"],
    biggest: float,
) -> float:
    """The relative difference at the step where it is smallest."""
    best = float("inf")
    for step in _STEPS:
        ahead, behind = (
            functional.outputs(_moved(functional, name, sign * step * direction), x).double()
            for sign in (1, -1)
        )
        quotient = (ahead - behind) / (2 * step)
        # A tensor that hardly moves the outputs is judged beside those that do.
        scale = max(float(quotient.norm()), float(analytic.norm()), 1e-3 * biggest)
        best = min(best, float((quotient - analytic).norm()) / scale if scale else 0.0)
        if best <= 0.1 * TOLERANCE:
            break
    return best


def _moved(functional: Functional, name: str, by: Tensor) -> Params:
    return {**functional.params, name: functional.params[name] + by}
