"""A model seen as a pure function of the parameters one differentiates by."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from math import prod

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ntklab.accelerator import same_random_state
from ntklab.errors import InputError
from ntklab.jacobians.guards.agreement import coarsest_dtype
from ntklab.jacobians.guards.inside import single_inside
from ntklab.jacobians.guards.surroundings import undisturbed, without_graph
from ntklab.jacobians.guards.trial import Trial, Tried
from ntklab.jacobians.inputs import Inputs, call_arguments, check_finite, first_samples, one_sample
from ntklab.jacobians.model import (
    check_mode,
    select_parameters,
    unwrap,
    warn_of_single_precision,
)
from ntklab.jacobians.readout import Logits, Readout

Params = dict[str, Tensor]


class Functional:
    """f(params, x): a module with some of its parameters lifted out (`torch.func`'s view).

    Columns of every Jacobian follow `names`, each parameter flattened row-major. The module is
    left as it is: buffers that a forward pass changes are copied for every call.

    Attributes:
        module: the model, without shells like `DataParallel`.
        names: the parameters differentiated by, in the module's order.
        sizes: the number of entries of each.
        readout: of what the C outputs are.
        output_shape: shape of one sample's output, before it is flattened to C numbers; the model
            is tried on its first samples if it is not given (`ntklab.jacobians.guards.trial`).

    Example:
        >>> f = Functional(nn.Linear(3, 2), torch.zeros(1, 3))
        >>> f.names, f.parameter_count, f.n_outputs
        (['weight', 'bias'], 8, 2)
    """

    def __init__(
        self,
        module: nn.Module,
        x: Inputs,
        params: Iterable[str] | None = None,
        *,
        output_shape: torch.Size | None = None,
        readout: Readout | None = None,
    ) -> None:
        self.module = unwrap(module)
        check_mode(self.module)
        self.readout = Logits() if readout is None else readout
        parameters = dict(self.module.named_parameters())
        self.names = select_parameters(parameters, params)
        everything = {name: without_graph(p) for name, p in parameters.items()}
        warn_of_single_precision(everything, self.names)
        self.params: Params = {name: everything[name] for name in self.names}
        self._frozen = {n: p for n, p in everything.items() if n not in self.params}
        self._buffers = {n: without_graph(b) for n, b in self.module.named_buffers()}
        self._changing: frozenset[str] = frozenset()
        self.sizes = [p.numel() for p in self.params.values()]
        check_finite(x)
        if isinstance(x, Tensor) and x.is_floating_point() and x.dtype != self.dtype:
            raise InputError(
                f"inputs are {x.dtype} and the model's parameters {self.dtype}: cast one of them."
            )
        self._some = first_samples(x, 2)
        self._trial = None if output_shape is not None else self._try(x)
        if self._trial is not None:
            output_shape, self._changing = self._trial.output_shape, self._trial.changing
        assert output_shape is not None
        self.output_shape = output_shape

    @property
    def parameter_count(self) -> int:
        """P."""
        return sum(self.sizes)

    @property
    def n_outputs(self) -> int:
        """C, the outputs of one sample."""
        return prod(self.output_shape)

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the parameters."""
        return next(iter(self.params.values())).dtype

    @cached_property
    def coarsest_dtype(self) -> torch.dtype:
        """The dtype of least precision that the model computes in: it sets a gradient's rounding.

        That of all parameters; float32 where a float64 model goes through a coarser one inside.
        """
        dtype = coarsest_dtype({**self.params, **self._frozen}.values())
        return torch.float32 if dtype == torch.float64 and self.single_inside else dtype

    @cached_property
    def single_inside(self) -> tuple[str, ...]:
        """Kinds of modules of a float64 model that compute in a coarser dtype inside."""
        first = first_samples(self._some, 1)
        with undisturbed():
            return single_inside(self.module, lambda: self.outputs(self.params, first))

    @property
    def device(self) -> torch.device:
        """The device of the parameters."""
        return next(iter(self.params.values())).device

    @cached_property
    def saved_bytes(self) -> int:
        """Bytes that a forward pass of one sample keeps for its backward pass."""
        return (self._trial or self._try(self._some)).saved_bytes

    def outputs(self, params: Mapping[str, Tensor], x: Inputs) -> Float[Tensor, "n C"]:
        """f(x) for a batch, flattened to C numbers a sample."""
        copies = {name: self._buffers[name].clone() for name in self._changing}
        raw = self._call({**params, **self._frozen, **self._buffers, **copies}, x)
        return raw.reshape(raw.shape[0], -1)

    def one(self, params: Mapping[str, Tensor], x: Inputs) -> Float[Tensor, " C"]:
        """f(x) for one sample without its batch dimension: what `vmap` maps."""
        return self.outputs(params, one_sample(x)).squeeze(0)

    def split(self, vector: Float[Tensor, " P"]) -> Params:
        """A vector of all parameters as a dict of tensors."""
        parts = vector.split(self.sizes)
        return {n: part.view_as(self.params[n]) for n, part in zip(self.names, parts, strict=True)}

    def join(self, tensors: Params, batch: int = 0) -> Tensor:
        """A dict of tensors (with `batch` leading dimensions) as columns, last dimension P."""
        parts = (tensors[name] for name in self.names)
        return torch.cat([part.reshape(*part.shape[:batch], -1) for part in parts], dim=-1)

    def _call(self, state: Mapping[str, Tensor], x: Inputs) -> Tensor:
        args, kwargs = call_arguments(self.readout.inputs(x))

        def run() -> object:
            return torch.func.functional_call(self.module, dict(state), args, kwargs)

        with _same_parameters(self.module):
            outputs = self.readout.read(self.module, run, x)
        return outputs.unsqueeze(-1) if outputs.ndim == 1 else outputs

    def _try(self, x: Inputs) -> Trial:
        with undisturbed(), same_random_state(self.device):
            return Tried(self._call, self.params, self._frozen, self._buffers, x).result()


@contextmanager
def _same_parameters(module: nn.Module) -> Iterator[None]:
    """The module's parameters and buffers are afterwards what they were.

    `functional_call` (torch 2.13) leaves its tensors in a module that the model holds twice.
    """
    parts = list(module.modules())
    before = [(dict(part._parameters), dict(part._buffers)) for part in parts]
    try:
        yield
    finally:
        for part, (parameters, buffers) in zip(parts, before, strict=True):
            part._parameters.update(parameters)
            part._buffers.update(buffers)
