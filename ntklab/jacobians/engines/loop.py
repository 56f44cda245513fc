"""Engine `loop`: the slow truth, and the rescue where torch.func cannot trace a model."""

import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.jacobians.engines.engine import Engine
from ntklab.jacobians.functional import Params
from ntklab.jacobians.inputs import Inputs, count_samples, take


class Loop(Engine):
    """One `torch.autograd.grad` an output, on a batch of one sample: nothing vectorized.

    A sample's outputs are by definition those that the model gives it alone, so this is the
    reference that other engines are compared with.

    Cost: N·C backward passes.
    """

    name = "loop"

    def vouches(self) -> bool:
        """By definition."""
        return True

    @torch.enable_grad()
    def rows(self, x: Inputs) -> Float[Tensor, "n C P"]:
        """Row by row."""
        leaves = {name: p.clone().requires_grad_() for name, p in self.functional.params.items()}
        samples = range(count_samples(x))
        return torch.stack([self._rows_of_one(leaves, take(x, n, n + 1)) for n in samples])

    def _rows_of_one(self, leaves: Params, sample: Inputs) -> Float[Tensor, "C P"]:
        f = self.functional
        outputs = f.outputs(leaves, sample).squeeze(0)
        if not outputs.requires_grad:
            # None of the parameters reaches the outputs, which autograd refuses to say.
            return outputs.new_zeros(f.n_outputs, f.parameter_count)
        rows = []
        for output in outputs.unbind():
            grads = torch.autograd.grad(
                output, list(leaves.values()), retain_graph=True, materialize_grads=True
            )
            rows.append(torch.cat([_dense(grad).reshape(-1) for grad in grads]))
        return torch.stack(rows)


def _dense(gradient: Tensor) -> Tensor:
    """A gradient that an embedding keeps sparse, in full."""
    return gradient if gradient.layout is torch.strided else gradient.to_dense()
