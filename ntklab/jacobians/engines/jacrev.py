"""Engine `jacrev`: reverse mode for any module, vectorized over samples and outputs."""

import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.jacobians.engines.engine import Engine
from ntklab.jacobians.inputs import Inputs, sample_axes


class Jacrev(Engine):
    """`torch.func.vmap(jacrev)` over `functional_call`: the torch NTK tutorial's first method.

    Cost: C backward passes a sample, batched; memory grows with whatever a pass keeps, which the
    chunk bounds.
    """

    name = "jacrev"

    def rows(self, x: Inputs) -> Float[Tensor, "n C P"]:
        """One vectorized backward pass for all samples and outputs of the batch."""
        f = self.functional
        blocks = torch.func.vmap(torch.func.jacrev(f.one), (None, sample_axes(x)))(f.params, x)
        return f.join(blocks, batch=2)
