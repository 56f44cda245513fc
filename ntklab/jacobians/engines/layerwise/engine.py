"""Engine `layerwise`: every layer's inputs and cotangents, from one backward pass an output."""

import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.errors import InputError
from ntklab.jacobians.engines.engine import Engine, Output
from ntklab.jacobians.engines.layerwise.capture import Forward
from ntklab.jacobians.engines.layerwise.plan import NotLayerwise, plan_of
from ntklab.jacobians.engines.layerwise.stream import Stream
from ntklab.jacobians.engines.layerwise.terms import summed_rows
from ntklab.jacobians.functional import Functional
from ntklab.jacobians.inputs import Inputs, count_samples
from ntklab.jacobians.memory import Progress
from ntklab.jacobians.symmetric import mirror

# In multiply-adds: what a call of a layer costs in Python, a tenth of a millisecond, and a number
# of a row that is written, converted and read; passes of the plan.
_A_CALL, _A_NUMBER, _PLANNING = 500_000, 4, 3


class Layerwise(Engine):
    """K = Σ_layers K_l, each from what its layer saw: no N·C × P array is ever formed.

    Samples do not see each other, so one backward pass of Σ_n f_c(x_n) gives the cotangents of all
    samples at once. A forward pass keeps every trained layer's inputs, C backward passes the
    cotangents at its outputs; the layer's rule (`ntklab.jacobians.engines.layerwise.rules`) turns
    both into rows, or into products of pairs where these are cheaper. Uses of a shared parameter
    are summed before anything is multiplied.

    Cost: one forward and C backward passes of the batch, then for every layer the cheaper of
    N·C·T·p + (N·C)² p and (N·C·T)² l + (N·T)² r multiply-adds (docs/layers.md). Memory: inputs and
    cotangents, and one layer's rows; blocks of samples where these do not fit.
    """

    name = "layerwise"

    @staticmethod
    def counts(functional: Functional, x: Inputs) -> tuple[int, int] | None:
        """Work that this engine and `jacrev` do not share; None where there is no plan.

        Counted in multiply-adds, of which a number that is moved takes four. Both pass through the
        model as often, and products of rows cost here what they cost there or less. `jacrev` writes
        and reads N·C·P numbers besides, and its batching rules copy the cotangents of all
        activations; this engine calls every layer's rule in Python, C times.
        """
        try:
            plan = plan_of(functional, x)
        except NotLayerwise:
            return None
        passes = functional.n_outputs + _PLANNING
        numbers = functional.parameter_count + plan.graph_bytes // plan.itemsize
        moved = count_samples(x) * functional.n_outputs * numbers
        return passes * len(plan.calls) * _A_CALL, _A_NUMBER * moved

    def try_on(self, x: Inputs) -> None:
        """Plan the model."""
        plan_of(self.functional, x)

    def bytes_per_sample(self, x: Inputs) -> int:
        """Rows twice (layer by layer, then side by side), and what they are made of."""
        f = self.functional
        try:
            plan = plan_of(f, x)
        except NotLayerwise as error:
            raise InputError(
                f"engine 'layerwise' cannot run this model ({error}): use engine='auto' or 'loop'."
            ) from error
        itemsize = f.dtype.itemsize
        rows = f.n_outputs * f.parameter_count * itemsize
        return 2 * rows + plan.kept_bytes(f.n_outputs) + plan.graph_bytes

    @torch.no_grad()
    def rows(self, x: Inputs) -> Float[Tensor, "n C P"]:
        """One forward pass and C backward passes, then a rule a layer."""
        f, plan = self.functional, plan_of(self.functional, x)
        forward = Forward(plan, f, x)
        captured = forward.back(torch.eye(f.n_outputs).to(forward.outputs))
        parts = {}
        for group in range(len(plan.groups)):
            for name, terms in captured.terms(group).items():
                parts[name] = summed_rows(terms)
        n = count_samples(x)
        whole = torch.empty(n, f.n_outputs, f.parameter_count, dtype=f.dtype, device=f.device)
        for name, place in zip(f.names, whole.split(f.sizes, dim=2), strict=True):
            if name in parts:
                place.copy_(parts.pop(name))
            else:
                place.zero_()
        return whole

    def kernel_bytes(self, x: Inputs, output: Output, memory: int) -> tuple[int, int]:
        """Bytes of the inputs that layers keep during `kernel`, and of one layer's rows."""
        stream = Stream(self.functional, x, x, output, memory)
        return stream.held_bytes, stream.block_bytes

    @torch.no_grad()
    def kernel(
        self,
        x1: Inputs,
        x2: Inputs,
        output: Output,
        dtype: torch.dtype,
        memory: int,
        progress: Progress | None = None,
    ) -> Tensor:
        """K(x1, x2), added up layer by layer within `memory`; symmetric where x2 is x1."""
        total = self._zeros(x1, x2, output, dtype)
        left = memory - total.numel() * total.element_size()
        Stream(self.functional, x1, x2, output, left, progress).add_to(lambda name: total)
        return mirror(total) if x2 is x1 else total

    @torch.no_grad()
    def layer_kernels(
        self, x: Inputs, output: Output, dtype: torch.dtype, memory: int
    ) -> dict[str, Tensor]:
        """The same by layer: a parameter counts where the model holds it first."""
        layers = {name: name.rpartition(".")[0] for name in self.functional.names}
        kernels = {layer: self._zeros(x, x, output, dtype) for layer in layers.values()}
        left = memory - sum(k.numel() * k.element_size() for k in kernels.values())
        Stream(self.functional, x, x, output, left).add_to(lambda name: kernels[layers[name]])
        return kernels

    def _zeros(self, x1: Inputs, x2: Inputs, output: Output, dtype: torch.dtype) -> Tensor:
        n, m, c = count_samples(x1), count_samples(x2), self.functional.n_outputs
        shape = {"full": (n * c, m * c), "diagonal": (c, n, m)}.get(output, (n, m))
        return torch.zeros(shape, dtype=dtype, device=self.functional.device)
