"""Engine `loop`: the slow truth, and the rescue where torch.func cannot trace a model."""

from collections.abc import Sequence
from functools import reduce

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

    def rows(self, x: Inputs) -> Float[Tensor, "n C P"]:
        """Row by row."""
        return self.rows_by(self.functional.names, x)

    @torch.enable_grad()
    def rows_by(self, names: Sequence[str], x: Inputs) -> Float[Tensor, "n C p"]:
        """The columns of some parameters, in the order given: memory for these alone."""
        f = self.functional
        leaves = {name: f.params[name].clone().requires_grad_() for name in names}
        count, size = count_samples(x), sum(leaf.numel() for leaf in leaves.values())
        dtype = reduce(torch.promote_types, (p.dtype for p in f.params.values()))
        rows = torch.zeros(count, f.n_outputs, size, dtype=dtype, device=f.device)
        for n in range(count):
            self._fill(rows[n], leaves, take(x, n, n + 1))
        return rows

    def _fill(self, rows: Float[Tensor, "C p"], leaves: Params, sample: Inputs) -> None:
        f = self.functional
        outputs = f.outputs({**f.params, **leaves}, sample).squeeze(0)
        if not outputs.requires_grad:
            return  # None of the parameters reaches the outputs, which autograd refuses to say.
        sizes = [leaf.numel() for leaf in leaves.values()]
        for output, row in zip(outputs.unbind(), rows, strict=True):
            grads = torch.autograd.grad(
                output, list(leaves.values()), retain_graph=True, materialize_grads=True
            )
            for grad, part in zip(grads, row.split(sizes), strict=True):
                part.copy_(_dense(grad).reshape(-1))


def _dense(gradient: Tensor) -> Tensor:
    """A gradient that an embedding keeps sparse, in full."""
    return gradient if gradient.layout is torch.strided else gradient.to_dense()
