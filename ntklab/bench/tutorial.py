"""The two methods of PyTorch's tutorial on empirical NTKs, written plainly: what we race against.

https://docs.pytorch.org/tutorials/intermediate/neural_tangent_kernels.html shows both for any
module through `torch.func`. Two courtesies are added, neither of which costs it time: one Jacobian
where both sets of samples are the same, and samples in chunks so that it fits in memory.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

Params = dict[str, Tensor]


def jacobian_contraction(
    model: nn.Module, x: Float[Tensor, "N d"], *, chunk: int = 32
) -> Float[Tensor, "NC NC"]:
    """K by `vmap(jacrev)` for every sample, then one einsum a parameter tensor.

    Args:
        model: any module that torch.func can trace.
        x: inputs.
        chunk: samples differentiated at a time; all at once is faster nowhere and needs as much
            memory as N Jacobians of the generated weights.

    Cost: N·C backward passes through everything the model does, then N² C² P multiply-adds.

    Example:
        >>> jacobian_contraction(nn.Linear(2, 1, bias=False), torch.eye(2)).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    params, one = _functional(model)
    per_sample = torch.func.vmap(torch.func.jacrev(one), (None, 0))
    parts = [per_sample(params, part) for part in x.split(chunk)]
    jacobian = [torch.cat([part[name] for part in parts]).flatten(2) for name in params]
    blocks = torch.stack([torch.einsum("Naf,Mbf->NMab", j, j) for j in jacobian]).sum(0)
    return _as_matrix(blocks)


def ntk_vector_products(
    model: nn.Module, x: Float[Tensor, "N d"], *, chunk: int = 32
) -> Float[Tensor, "NC NC"]:
    """K from products of each pair's C × C block with the unit vectors, by vjp then jvp.

    Args:
        model: any module that torch.func can trace in both modes.
        x: inputs.
        chunk: how many second samples are paired with a first one at a time.

    Cost: N² C backward and forward passes; the tutorial offers it where C or P is large.

    Example:
        >>> ntk_vector_products(nn.Linear(2, 1, bias=False), torch.eye(2)).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    params, one = _functional(model)

    def block(first: Tensor, second: Tensor) -> Tensor:
        outputs, pull = torch.func.vjp(lambda p: one(p, first), params)[:2]

        def product(cotangent: Tensor) -> Tensor:
            return torch.func.jvp(lambda p: one(p, second), (params,), pull(cotangent))[1]

        # Row a of the result is e_aᵀ J(x1) J(x2)ᵀ.
        return torch.func.vmap(product)(torch.eye(len(outputs)).to(outputs))

    against_all = torch.func.vmap(block, (None, 0), chunk_size=chunk)
    return _as_matrix(torch.stack([against_all(first, x) for first in x]))


def _functional(model: nn.Module) -> tuple[Params, Callable[[Params, Tensor], Tensor]]:
    params = {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}

    def one(values: Params, sample: Tensor) -> Tensor:
        return torch.func.functional_call(model, values, (sample.unsqueeze(0),)).squeeze(0)

    return params, one


def _as_matrix(blocks: Float[Tensor, "N M a b"]) -> Float[Tensor, "Na Mb"]:
    n, m, a, b = blocks.shape
    return blocks.permute(0, 2, 1, 3).reshape(n * a, m * b)
