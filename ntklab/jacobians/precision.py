"""What a kernel computed in float32 is off by, measured rather than assumed."""

from copy import deepcopy

import torch

from ntklab.jacobians.functional import Functional
from ntklab.jacobians.inputs import count_samples, first_samples
from ntklab.jacobians.operator import Jacobian


def kernel_error(J: Jacobian, samples: int = 8) -> float:
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
    exact = torch.utils._pytree.tree_map(lambda t: t.double() if t.is_floating_point() else t, few)
    model = deepcopy(J.engine.functional.module).double()
    functional = Functional(model, exact, J.engine.functional.names)
    reference = Jacobian(type(J.engine)(functional), exact, memory=J.memory).gram()
    measured = Jacobian(J.engine, few, memory=J.memory, accumulate=J.accumulate).gram()
    return float((measured.double() - reference).abs().max() / reference.abs().max())
