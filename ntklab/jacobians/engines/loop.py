"""Engine `loop`: the slow truth, and the rescue where torch.func cannot trace a model."""

import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.jacobians.engines.engine import Engine
from ntklab.jacobians.functional import Inputs, count_samples, take


class Loop(Engine):
    """One `torch.autograd.grad` an output and sample, nothing vectorized.

    Cost: N·C backward passes.
    """

    name = "loop"

    def rows(self, x: Inputs) -> Float[Tensor, "n C P"]:
        """Row by row."""
        f = self.functional
        params = {name: p.clone().requires_grad_() for name, p in f.params.items()}
        rows = []
        for n in range(count_samples(x)):
            with torch.enable_grad():
                outputs = f.outputs(params, take(x, n, n + 1)).squeeze(0)
            if not outputs.requires_grad:
                # None of the parameters reaches the outputs, which autograd refuses to say.
                rows += [outputs.new_zeros(f.parameter_count)] * f.n_outputs
                continue
            for output in outputs:
                grads = torch.autograd.grad(
                    output, list(params.values()), retain_graph=True, materialize_grads=True
                )
                rows.append(torch.cat([grad.reshape(-1) for grad in grads]))
        return torch.stack(rows).reshape(-1, f.n_outputs, f.parameter_count)
