"""A model seen as a pure function of the parameters one differentiates by."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatchcase
from math import prod

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from ntklab.errors import InputError, unknown

Inputs = Tensor | Mapping[str, Tensor]
Params = dict[str, Tensor]


class Functional:
    """f(params, x): a module with some of its parameters lifted out (`torch.func`'s view).

    Columns of every Jacobian follow `names`, each parameter flattened row-major.

    Attributes:
        module: the model, left as it is.
        names: the parameters differentiated by, in the module's order.
        sizes: the number of entries of each.
        output_shape: shape of one sample's output, before it is flattened to C numbers; the model
            is run on one sample if it is not given.

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
    ) -> None:
        _check_mode(module)
        self.module = module
        everything = dict(module.named_parameters())
        self.names = _select(everything, params)
        self.params: Params = {name: everything[name].detach() for name in self.names}
        self._rest = {n: p.detach() for n, p in everything.items() if n not in self.params}
        self._rest |= {n: b.detach() for n, b in module.named_buffers()}
        self.sizes = [p.numel() for p in self.params.values()]
        check_finite(x)
        if isinstance(x, Tensor) and x.is_floating_point() and x.dtype != self.dtype:
            raise InputError(
                f"inputs are {x.dtype} and the model's parameters {self.dtype}: cast one of them."
            )
        self.output_shape = _output_shape(module, x) if output_shape is None else output_shape

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

    @property
    def device(self) -> torch.device:
        """The device of the parameters."""
        return next(iter(self.params.values())).device

    def outputs(self, params: Params, x: Inputs) -> Float[Tensor, "n C"]:
        """f(x) for a batch, flattened to C numbers a sample."""
        raw = self._raw(params, x)
        return raw.reshape(raw.shape[0], -1)

    def one(self, params: Params, x: Inputs) -> Float[Tensor, " C"]:
        """f(x) for one sample without its batch dimension: what `vmap` maps."""
        return self.outputs(params, pytree.tree_map(lambda t: t.unsqueeze(0), x)).squeeze(0)

    def split(self, vector: Float[Tensor, " P"]) -> Params:
        """A vector of all parameters as a dict of tensors."""
        parts = vector.split(self.sizes)
        return {n: part.view_as(self.params[n]) for n, part in zip(self.names, parts, strict=True)}

    def join(self, tensors: Params, batch: int = 0) -> Tensor:
        """A dict of tensors (with `batch` leading dimensions) as columns, last dimension P."""
        parts = (tensors[name] for name in self.names)
        return torch.cat([part.reshape(*part.shape[:batch], -1) for part in parts], dim=-1)

    def _raw(self, params: Params, x: Inputs) -> Tensor:
        args, kwargs = _arguments(x)
        parameters = {**params, **self._rest}
        with _same_parameters(self.module):
            return _batch(torch.func.functional_call(self.module, parameters, args, kwargs))


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


def _output_shape(module: nn.Module, x: Inputs) -> torch.Size:
    """By running the model on one sample."""
    with torch.no_grad():
        args, kwargs = _arguments(first_samples(x, 1))
        shape = _batch(module(*args, **kwargs)).shape
    if len(shape) == 0 or shape[0] != 1:
        raise InputError(
            f"the model maps one sample to outputs of shape {tuple(shape)}: outputs need the "
            "samples as their leading dimension, here 1."
        )
    return shape[1:]


def _arguments(x: Inputs) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
    """Positional and keyword arguments of a call of the model."""
    return ((), dict(x)) if isinstance(x, Mapping) else ((x,), {})


def _batch(result: object) -> Tensor:
    """What a model returns as a tensor with at least one dimension beside the samples'."""
    outputs = _outputs_of(result)
    return outputs.unsqueeze(-1) if outputs.ndim == 1 else outputs


def _outputs_of(result: object) -> Tensor:
    """The tensor in what a model returns: itself, its `logits`, or the first of a sequence."""
    if isinstance(result, Mapping):
        result = result.get("logits", next(iter(result.values()), None))
    elif hasattr(result, "logits"):
        result = result.logits
    elif isinstance(result, (tuple, list)) and result:
        result = result[0]
    if not isinstance(result, Tensor):
        raise InputError(
            f"the model returns {type(result).__name__}, but a Jacobian needs a tensor, something "
            "with `logits`, or a tuple or mapping that begins with a tensor."
        )
    return result


def count_samples(x: Inputs) -> int:
    """N, the length of the leading dimension.

    >>> count_samples({"ids": torch.zeros(4, 7)})
    4
    """
    return int(_leaves(x)[0].shape[0])


def take(x: Inputs, start: int, stop: int) -> Inputs:
    """Samples start..stop of the inputs."""
    return pytree.tree_map(lambda t: t[start:stop], x)


def first_samples(x: Inputs, count: int) -> Inputs:
    """The first `count` samples of the inputs."""
    return take(x, 0, count)


def check_finite(x: Inputs) -> None:
    """Refuse inputs that are empty or hold NaN or infinity.

    Raises:
        InputError: how many entries are bad and in which sample the first one is, or inputs that
            do not agree on the number of samples.
    """
    leaves = _leaves(x)
    for leaf in leaves:
        if leaf.ndim == 0 or leaf.shape[0] == 0:
            raise InputError(f"inputs have shape {tuple(leaf.shape)}: give at least one sample.")
        if leaf.shape[0] != leaves[0].shape[0]:
            raise InputError(
                f"inputs hold {leaves[0].shape[0]} and {leaf.shape[0]} samples: every tensor needs "
                "the same leading dimension."
            )
        if leaf.is_floating_point() and not _all_finite(leaf):
            bad = ~torch.isfinite(leaf.reshape(leaf.shape[0], -1))
            raise InputError(
                f"inputs hold {int(bad.sum())} NaN or infinite entries, the first in sample "
                f"{int(bad.any(1).nonzero()[0])}: clean them before asking for a kernel."
            )


def _all_finite(values: Tensor) -> bool:
    # NaN and infinity survive a sum, which is one pass; a sum that overflows asks every entry.
    return bool(torch.isfinite(values.sum())) or bool(torch.isfinite(values).all())


def _leaves(x: Inputs) -> list[Tensor]:
    leaves = [leaf for leaf in pytree.tree_leaves(x) if isinstance(leaf, Tensor)]
    if not leaves:
        raise InputError("inputs hold no tensor: give a tensor (N, …) or a mapping of them.")
    return leaves


def _select(everything: Mapping[str, Tensor], params: Iterable[str] | None) -> list[str]:
    if params is None:
        names = [name for name, p in everything.items() if p.requires_grad]
    else:
        patterns = [params] if isinstance(params, str) else list(params)
        for pattern in patterns:
            if not any(fnmatchcase(name, pattern) for name in everything):
                raise unknown("parameter", pattern, everything)
        names = [n for n in everything if any(fnmatchcase(n, pattern) for pattern in patterns)]
    if not names:
        raise InputError(
            "the model has no trainable parameters: set requires_grad on some, or name them in "
            "`params`."
        )
    return names


def _check_mode(module: nn.Module) -> None:
    """A per-sample kernel exists only where samples do not see each other or a dice."""
    for name, part in module.named_modules():
        batch_norm = isinstance(part, nn.modules.batchnorm._BatchNorm)
        dropout = isinstance(part, nn.modules.dropout._DropoutNd) and part.p > 0
        if part.training and (batch_norm or dropout):
            raise InputError(
                f"'{name}' ({type(part).__name__}) is in training mode, where a sample's output "
                "depends on the batch or on chance: call model.eval() first."
            )
