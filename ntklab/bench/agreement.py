"""How far a kernel is from the slow truth: the float64 `loop` engine on a few of the samples."""

import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.bench.problem import Problem
from ntklab.jacobians import jacobian


class Truth:
    """The kernel of a few samples, spread over all, by one backward pass a row in float64.

    The weights and features are those of the contenders, rounded to their dtype and then widened:
    what is measured is the contenders' arithmetic, not the rounding of the inputs.

    Args:
        problem: the head and its features.
        dtype: what contenders compute in.
        count: how many samples.

    Example:
        >>> from ntklab.jacobians import ntk
        >>> problem = Problem("lora", 6, in_features=5)
        >>> K = ntk(problem.model(torch.float64), problem.features(torch.float64))
        >>> Truth(problem, torch.float64).error(K) < 1e-12
        True
    """

    def __init__(self, problem: Problem, dtype: torch.dtype, count: int = 4) -> None:
        spread = torch.linspace(0, problem.samples - 1, min(count, problem.samples))
        self.samples = spread.round().long().unique()
        model, x = problem.model(dtype).double(), problem.features(dtype).double()
        self.kernel = jacobian(model, x[self.samples], engine="loop").gram()
        outputs = self.kernel.shape[0] // len(self.samples)
        self.rows = (self.samples.unsqueeze(1) * outputs + torch.arange(outputs)).flatten()

    def error(self, kernel: Float[Tensor, "NC NC"]) -> float:
        """The largest difference on these samples, over the largest entry of the truth."""
        here = kernel.detach().cpu().double()[self.rows][:, self.rows]
        return float((here - self.kernel).abs().max() / self.kernel.abs().max())
