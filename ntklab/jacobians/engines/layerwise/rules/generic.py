"""The rule for any other layer: a vjp of that layer alone."""

from collections.abc import Callable, Collection
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from ntklab.jacobians.engines.layerwise.call import Call
from ntklab.jacobians.engines.layerwise.rules.rule import Rule
from ntklab.jacobians.engines.layerwise.terms import Rows, Term

Params = dict[str, Tensor]


class GenericRule(Rule):
    """Runs the layer again for one sample and pulls the cotangents back through it.

    Samples and outputs are vectorized by `torch.func.vmap`; a layer that cannot be traced goes
    sample by sample.

    Cost: one forward pass of the layer and C backward passes.
    """

    def handles(self, module: nn.Module) -> bool:
        """Every layer."""
        return True

    def terms(self, module: nn.Module, names: Collection[str], call: Call) -> dict[str, Term]:
        """Rows."""
        owned = dict(module.named_parameters(remove_duplicate=False))
        params = {name: owned[name].detach() for name in names}
        tensors = [t.detach() for t in _seen(call)]
        pull = _pullback(module, params, call)
        try:
            rows = torch.func.vmap(pull)(tensors, list(call.cotangents))
        except (RuntimeError, NotImplementedError, ValueError, TypeError):
            rows = _one_by_one(module, params, call, tensors)
        return {name: Rows(values.flatten(2)) for name, values in rows.items()}


def _seen(call: Call) -> list[Tensor]:
    """The tensors among the arguments with samples first: (n, k, …); views."""
    return [
        layout.by_sample(tensor, call.samples)
        for layout, tensor in zip(call.layouts, call.tensors, strict=True)
    ]


def _outputs(module: nn.Module, params: Params, call: Call, tensors: list[Tensor]) -> list[Tensor]:
    """The layer's outputs (k, …) for one sample given (k, …)."""
    leaves, tree = pytree.tree_flatten(call.arguments)
    own = iter(zip(call.layouts, tensors, strict=True))
    filled = [_next_alone(own) if isinstance(leaf, Tensor) else leaf for leaf in leaves]
    args, kwargs = pytree.tree_unflatten(filled, tree)
    result = torch.func.functional_call(module, params, args, kwargs, tie_weights=False)
    results = [leaf for leaf in pytree.tree_leaves(result) if isinstance(leaf, Tensor)]
    return [
        layout.by_sample(leaf, 1).squeeze(0)
        for layout, leaf in zip(call.output_layouts, results, strict=True)
    ]


def _next_alone(own: Any) -> Tensor:
    layout, part = next(own)
    return layout.alone(part)


def _pullback(
    module: nn.Module, params: Params, call: Call
) -> Callable[[list[Tensor], list[Tensor]], Params]:
    def pull(tensors: list[Tensor], cotangents: list[Tensor]) -> Params:
        def outputs(values: Params) -> list[Tensor]:
            return _outputs(module, values, call, tensors)

        back = torch.func.vjp(outputs, params)[1]
        return torch.func.vmap(lambda rows: back(rows)[0])(cotangents)

    return pull


def _one_by_one(module: nn.Module, params: Params, call: Call, tensors: list[Tensor]) -> Params:
    """The same by autograd, sample by sample and output by output."""
    leaves = {name: p.clone().requires_grad_() for name, p in params.items()}
    outputs = call.cotangents[0].shape[1]
    rows = {name: p.new_empty(call.samples, outputs, *p.shape) for name, p in params.items()}
    for n in range(call.samples):
        with torch.enable_grad():
            results = _outputs(module, leaves, call, [t[n] for t in tensors])
        pairs = [
            (f, c[n]) for f, c in zip(results, call.cotangents, strict=True) if f.requires_grad
        ]
        for c in range(outputs):
            grads = torch.autograd.grad(
                [f for f, _ in pairs],
                list(leaves.values()),
                [cotangent[c] for _, cotangent in pairs],
                retain_graph=True,
                materialize_grads=True,
            )
            for name, grad in zip(leaves, grads, strict=True):
                rows[name][n, c] = grad
    return rows
