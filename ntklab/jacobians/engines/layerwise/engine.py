"""Engine `layerwise`: every layer's inputs and cotangents, from one backward pass an output."""

from collections.abc import Callable, Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.errors import InputError
from ntklab.jacobians.engines.engine import Engine, Output
from ntklab.jacobians.engines.layerwise.capture import Captured, Forward
from ntklab.jacobians.engines.layerwise.plan import make_plan
from ntklab.jacobians.engines.layerwise.products import ROWS_AT_ONCE, block
from ntklab.jacobians.engines.layerwise.terms import summed_rows
from ntklab.jacobians.functional import Functional
from ntklab.jacobians.inputs import Inputs, count_samples, take
from ntklab.jacobians.memory import Progress, format_memory, spans

# Where a parameter's block of the kernel is added up.
Into = Callable[[str], Tensor]


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

    def __init__(self, functional: Functional, x: Inputs) -> None:
        super().__init__(functional)
        self.plan = make_plan(functional, x)

    def bytes_per_sample(self, x: Inputs) -> int:
        """Rows twice (layer by layer, then side by side), and what they are made of."""
        f = self.functional
        itemsize = torch.empty((), dtype=f.dtype).element_size()
        rows = f.n_outputs * f.parameter_count * itemsize
        return 2 * rows + self.plan.kept_bytes + self.plan.graph_bytes

    @torch.no_grad()
    def rows(self, x: Inputs) -> Float[Tensor, "n C P"]:
        """One forward pass and C backward passes, then a rule a layer."""
        f = self.functional
        captured = Forward(self.plan, f, x).back()
        parts = {}
        for group in range(len(self.plan.groups)):
            for name, terms in captured.terms(group).items():
                parts[name] = summed_rows(terms)
        n = count_samples(x)
        whole = torch.empty(n, f.n_outputs, f.parameter_count, dtype=f.dtype, device=f.device)
        for name, place in zip(f.names, whole.split(f.sizes, dim=2), strict=True):
            place.copy_(parts.pop(name)) if name in parts else place.zero_()
        return whole

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
        self._add_up(x1, x2, output, lambda name: total, left, progress)
        return total

    @torch.no_grad()
    def layer_kernels(
        self, x: Inputs, output: Output, dtype: torch.dtype, memory: int
    ) -> dict[str, Tensor]:
        """The same by layer: a parameter counts where the model holds it first."""
        layers = {name: name.rpartition(".")[0] for name in self.functional.names}
        kernels = {layer: self._zeros(x, x, output, dtype) for layer in layers.values()}
        left = memory - sum(k.numel() * k.element_size() for k in kernels.values())
        self._add_up(x, x, output, lambda name: kernels[layers[name]], left, None)
        return kernels

    def _zeros(self, x1: Inputs, x2: Inputs, output: Output, dtype: torch.dtype) -> Tensor:
        n, m, c = count_samples(x1), count_samples(x2), self.functional.n_outputs
        shape = {"full": (n * c, m * c), "diagonal": (c, n, m)}.get(output, (n, m))
        return torch.zeros(shape, dtype=dtype, device=self.functional.device)

    def _add_up(
        self,
        x1: Inputs,
        x2: Inputs,
        output: Output,
        into: Into,
        memory: int,
        progress: Progress | None,
    ) -> None:
        """Every block of samples: one is held while those of the other side come and go."""
        symmetric = x2 is x1
        n, m = count_samples(x1), count_samples(x2)
        size = self._samples_at_once(max(n, m), memory, alone=symmetric)
        most = max(1 << 12, min(ROWS_AT_ONCE, memory // 128))
        step = self.functional.n_outputs if output == "full" else 1
        for start, stop in spans(n, size):
            here, held = slice(start * step, stop * step), self._capture(x1, start, stop)
            if symmetric:
                for name, part in _blocks(held, None, output, into, most):
                    into(name)[..., here, here] += part
            for begin, end in spans(start if symmetric else m, size):
                there, other = slice(begin * step, end * step), self._capture(x2, begin, end)
                for name, part in _blocks(held, other, output, into, most):
                    into(name)[..., here, there] += part
                    if symmetric:
                        into(name)[..., there, here] += part.mT
                del other
            del held
            if progress is not None:
                progress(stop, n)

    def _capture(self, x: Inputs, start: int, stop: int) -> Captured:
        return Forward(self.plan, self.functional, take(x, start, stop)).back()

    def _samples_at_once(self, samples: int, memory: int, *, alone: bool) -> int:
        """Samples of a block: all where they fit, else two blocks of as many as do."""
        kept, passing = self.plan.kept_bytes, self.plan.graph_bytes
        # The rest is for one layer's rows.
        budget = memory - memory // 4
        if alone and samples * (kept + passing) <= budget:
            return samples
        size = budget // max(1, 2 * kept + passing)
        if size < 1:
            least = (2 * kept + passing) * 4 // 3
            raise InputError(
                f"what one sample's layers see takes {format_memory(least)} beside the kernel, "
                f"more than the {format_memory(memory)} that are left for it: allow more memory, "
                "or ask for fewer outputs (`readout`)."
            )
        return min(size, samples)


def _blocks(
    first: Captured, second: Captured | None, output: Output, into: Into, most: int
) -> Iterator[tuple[str, Tensor]]:
    """Every parameter's block of the kernel."""
    for group in range(len(first.plan.groups)):
        left = first.terms(group)
        right = left if second is None else second.terms(group)
        for name in left.keys() & right.keys():
            dtype = into(name).dtype
            other = None if second is None else right[name]
            yield name, block(left[name], other, output, dtype, most)
