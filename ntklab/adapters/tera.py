"""TeRA: frozen shared random Tucker factors, trained scaling vectors (arXiv 2509.03234)."""

from collections.abc import Sequence
from functools import reduce
from itertools import accumulate
from math import prod
from operator import mul
from typing import Self

import opt_einsum
import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from ntklab.adapters.head import DeltaAdapter
from ntklab.adapters.presets import Draws, check_preset, largest, source
from ntklab.adapters.spec import AdapterSpec
from ntklab.errors import InputError
from ntklab.tensor_train import TTShape, fitting_error, plan_matrix


class TeRA(DeltaAdapter):
    """f = base(φ) + scale · φ ΔW, ΔW reshaped to dims = core ×_k (U_k diag v_k).

    Reconstructed from the abstract: core and U_k are frozen and random and may be shared across
    layers; only the vectors v_k are trained.

    State: `scalings.k` (R_k,); buffers `core` (R_1, …, R_K), `factors.k` (m_k, R_k).

    Args:
        in_features: d.
        out_features: C.
        dims: m_1..m_K with Π m_k = d C.
        ranks: R_1..R_K, sizes of the core.
        scale: factor of the update; 1 if None.
        base: frozen linear layer or None.
        preset: all three draw v_k = 1 and frozen entries with Var ΔW = 1/d (core ~
            N(0, 1/(d Π R_k)), U_k ~ N(0, 1)): the abstract names no other start.
        shared: another TeRA of the same dims and ranks whose frozen tensors are used, not copied;
            they stay in its state alone.
        generator: source of the draws; torch's global one if None.
        seed: of the draws, in place of a generator.
        dtype: of the parameters.
        device: of the parameters.

    Raises:
        InputError: dims that do not multiply to d C, ranks of another length, or a `shared` of
            another shape.

    Example:
        >>> adapter = TeRA(512, 2, dims=(32, 16, 2), ranks=(8, 8, 2))
        >>> adapter.parameter_count, adapter.function_rank_bound(512)
        (18, 16)
    """

    method = "tera"

    uses = frozenset({"rank", "out_dims", "tt_ranks"})

    @classmethod
    def from_sizes(
        cls, in_features: int, out_features: int, sizes: AdapterSpec, **common: object
    ) -> Self:
        """Modes that cut between inputs and outputs, and ranks of at most 8, unless given."""
        if sizes.out_dims is None:
            dims = plan_matrix(in_features, out_features, ranks=1).shape.out_dims
        else:
            dims = sizes.out_dims
        largest = 8 if sizes.rank is None else sizes.rank
        ranks = sizes.tt_ranks
        if ranks is None:
            ranks = tuple(min(m, largest) for m in dims)
        return cls(in_features, out_features, dims=dims, ranks=ranks, **common)  # type: ignore[arg-type]

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        dims: Sequence[int],
        ranks: Sequence[int],
        scale: float | None = None,
        base: nn.Linear | None = None,
        preset: str = "ntk",
        shared: Self | None = None,
        generator: Generator | None = None,
        seed: int | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__(
            in_features,
            out_features,
            scale=1.0 if scale is None else scale,
            base=base,
            preset=check_preset(preset),
        )
        self.dims, self.ranks = tuple(dims), tuple(ranks)
        self._check_dims()
        if shared is not None and (shared.dims, shared.ranks) != (self.dims, self.ranks):
            raise InputError(
                f"the shared adapter has dims {list(shared.dims)} and ranks {list(shared.ranks)}, "
                f"but this one has {list(self.dims)} and {list(self.ranks)}: share equal shapes."
            )
        draws = Draws(source(generator, seed), dtype, device)
        self._owner: tuple[Self, ...] = ()
        if shared is None:
            std = (in_features * prod(self.ranks)) ** -0.5
            self.register_buffer("core", draws.normal(*self.ranks, std=std))
            pairs = zip(self.dims, self.ranks, strict=True)
            self.factors = _Frozen([draws.normal(m, r) for m, r in pairs])
        else:
            self._refer_to(shared)
        like = self.core if shared is None else shared.frozen()[0]
        ones = (torch.ones(r, dtype=like.dtype, device=like.device) for r in self.ranks)
        self.scalings = nn.ParameterList([nn.Parameter(v) for v in ones])

    core: Tensor
    factors: "_Frozen"

    def frozen(self) -> tuple[Tensor, list[Tensor]]:
        """Core and factors, its own or those of the adapter that it shares with."""
        if not self._owner:
            return self.core, self.factors.tensors()
        core, factors = self._owner[0].frozen()
        here = self.scalings[0].device  # layers of one model may stand on several devices
        return core.to(here), [factor.to(here) for factor in factors]

    @property
    def sharing_key(self) -> tuple[object, ...]:
        """Sizes of the layer, dims and ranks."""
        return (self.in_features, self.out_features, self.dims, self.ranks)

    def share(self, owner: Self) -> None:
        """Drop the own frozen tensors for those of `owner`, which alone keeps them in its state."""
        if owner.sharing_key != self.sharing_key:
            raise InputError(
                f"sizes and ranks {list(owner.sharing_key)} and {list(self.sharing_key)} differ: "
                "share equal shapes."
            )
        del self.core, self.factors
        self._refer_to(owner)

    def _refer_to(self, owner: Self) -> None:
        # A tuple hides the owner from torch: its tensors are saved, moved and cast once, as its
        # own. deepcopy follows the tuple and copies the owner once as well.
        self._owner = owner._owner or (owner,)

    def start_at_zero(self) -> bool:
        """The longest v_k = 0: only that one moves at first."""
        largest(self.scalings).data.zero_()
        return True

    def _check_dims(self) -> None:
        needed = self.in_features * self.out_features
        if prod(self.dims) != needed:
            raise fitting_error(TTShape.plain(self.dims, (1,) * (len(self.dims) + 1)), needed)
        if len(self.ranks) != len(self.dims) or min(self.ranks, default=0) < 1:
            raise InputError(
                f"ranks {list(self.ranks)} must be {len(self.dims)} whole numbers of at least 1, "
                "one for each of dims."
            )

    def delta(self) -> Float[Tensor, "d C"]:
        """ΔW = core ×_k (U_k diag v_k), reshaped."""
        core, factors = self.frozen()
        scaled = [u * v for u, v in zip(factors, self.scalings, strict=True)]
        symbol, count = opt_einsum.get_symbol, len(self.dims)
        inner = [symbol(k) for k in range(count)]
        outer = [symbol(count + k) for k in range(count)]
        terms = [o + i for o, i in zip(outer, inner, strict=True)]
        equation = ",".join(["".join(inner), *terms]) + "->" + "".join(outer)
        update = opt_einsum.contract(equation, core, *scaled)
        return update.reshape(self.in_features, self.out_features)

    def update_gram(self, moment: Float[Tensor, "d d"]) -> Float[Tensor, "P P"] | None:
        """In the space of the core: ΔW = A X Bᵀ with A, B frozen, if dims cut between d and C.

        Memory: P Π R_k numbers.
        """
        sizes = list(accumulate(self.dims, mul))[:-1]
        if self.in_features not in sizes:
            return None
        cut = sizes.index(self.in_features) + 1
        factors = [u.to(moment.dtype) for u in self.frozen()[1]]
        a, b = reduce(torch.kron, factors[:cut]), reduce(torch.kron, factors[cut:])
        moved = self._core_tangent(moment.dtype).reshape(-1, a.shape[1], b.shape[1])
        weighted = (a.T @ moment @ a) @ moved @ (b.T @ b)
        return weighted.flatten(1) @ moved.flatten(1).T

    def _core_tangent(self, dtype: torch.dtype) -> Float[Tensor, "P *R"]:
        """∂X/∂θ of the scaled core X = core ∘ (v_1 ⊗ ⋯ ⊗ v_K): one slice a parameter."""
        scalings = [v.detach().to(dtype) for v in self.scalings]
        blocks = []
        for k, rank in enumerate(self.ranks):
            rest = self.frozen()[0].to(dtype)
            for j, v in enumerate(scalings):
                if j != k:
                    rest = rest * v.reshape([-1 if i == j else 1 for i in range(rest.ndim)])
            block = rest.new_zeros(rank, *self.ranks)
            block.diagonal(dim1=0, dim2=k + 1).copy_(rest.movedim(k, -1))
            blocks.append(block)
        return torch.cat(blocks)

    def function_rank_bound(self, features_rank: int) -> int:
        """Σ R_k − K + 1: the scalings' K − 1 exchanges of a factor are null directions."""
        return sum(self.ranks) - len(self.ranks) + 1


class _Frozen(nn.Module):
    """A list of buffers whose state-dict names are their positions (`factors.0`, …)."""

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        super().__init__()
        for k, tensor in enumerate(tensors):
            self.register_buffer(str(k), tensor)

    def tensors(self) -> list[Tensor]:
        """The buffers in order."""
        return list(self.buffers())
