"""Choosing the shape of a tensor train: modes, latent and ranks for a head, a factor or ΔW."""

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import nsmallest
from math import prod

from ntklab.errors import InputError
from ntklab.tensor_train.factoring import (
    balanced_modes,
    count_ordered_factorings,
    head_modes,
    ordered_factorings,
)
from ntklab.tensor_train.gauge import is_separable
from ntklab.tensor_train.shape import TTShape
from ntklab.tensor_train.shape_warnings import (
    collapse_warnings,
    idle_rank_warnings,
    prime_warnings,
    useful_ranks,
)

DEFAULT_LENGTH = 4
# Rank of the cut of ΔW, and so of ΔW itself: the LoRA rank of the released experiments.
DEFAULT_MATRIX_RANK = 4
MOST_CANDIDATES = 200_000


@dataclass(frozen=True)
class Plan:
    """A shape and what its user should know before training it.

    Attributes:
        shape: the tensor train.
        warnings: whole sentences; empty if nothing is amiss.
    """

    shape: TTShape
    warnings: tuple[str, ...] = ()


def plan(
    in_features: int,
    out_features: int,
    width: int,
    *,
    ranks: int | Sequence[int] | None = None,
    budget: int | None = None,
    length: int | None = None,
    in_dims: Sequence[int] | None = None,
    out_dims: Sequence[int] | None = None,
) -> Plan:
    """A train for w = [vec W1; vec W2], the D = M (d + C) weights of a head of width M.

    What is not given is chosen: out-dims by the rule of `head_modes`; in-dims 2 at inner cores
    and 1 at the two ends, so that the latent entangles the inner cores only; ranks 2 at every
    bond but the last, which has 1, or, with a budget, the largest that fit.

    Args:
        in_features: d.
        out_features: C.
        width: M.
        ranks: r_0..r_K, or one number for all inner bonds.
        budget: the most parameters allowed; ranks grow evenly until the next step would exceed
            it or no unfolding can use more. Not together with `ranks`.
        length: K; 4 unless another argument tells.
        in_dims: n_1..n_K.
        out_dims: m_1..m_K, with product D.

    Returns:
        The shape, and warnings for: a collapsed width (theory P2), a prime that unbalances the
        modes, and ranks that the unfoldings cannot hold.

    Raises:
        InputError: sizes below 1, arguments of different lengths, out-dims with another product
            (the sentence proposes some that fit), or a budget below the shape at ranks 1.

    Example:
        The released heads of the TensorGuide paper:

        >>> for width in (1024, 2048, 4096):
        ...     found = plan(512, 2, width)
        ...     print(found.shape, found.shape.parameters)
        in [1,2,2,1] out [16,8,257,16] ranks [1,2,2,1,1] 1140
        in [1,2,2,1] out [16,8,257,32] ranks [1,2,2,1,1] 1156
        in [1,2,2,1] out [16,16,257,32] ranks [1,2,2,1,1] 1220
        >>> print(plan(512, 2, 1024).warnings[0].split(":")[0])
        width 1024 acts as 64
    """
    _check_positive(in_features=in_features, out_features=out_features, width=width)
    k = _length(DEFAULT_LENGTH, length, ranks, in_dims, out_dims)
    rows = in_features + out_features
    outs = head_modes(rows, width, k) if out_dims is None else tuple(out_dims)
    ins = _inner_latent(k) if in_dims is None else tuple(in_dims)
    shape = _with_ranks(ins, outs, ranks, budget, default=_released_ranks(k))
    if shape.out_size != rows * width:
        raise _misfit(outs, rows * width, head_modes(rows, width, k))
    return Plan(
        shape,
        (
            *collapse_warnings(shape, width),
            *prime_warnings(shape, rows=rows, width=width),
            *idle_rank_warnings(shape),
        ),
    )


def plan_factor(
    size: int,
    *,
    ranks: int | Sequence[int] | None = None,
    budget: int | None = None,
    length: int | None = None,
    in_dims: Sequence[int] | None = None,
    out_dims: Sequence[int] | None = None,
) -> Plan:
    """A train for one block of weights, such as W1 alone in TT-LoRA.

    Out-dims are `balanced_modes` of the size; in-dims all 1 (a plain train) unless given; ranks 2
    at every bond, reduced to what the unfoldings hold, or by budget as in `plan`.

    Args:
        size: D, the number of weights.
        ranks: as in `plan`.
        budget: as in `plan`.
        length: K; 3 unless another argument tells.
        in_dims: n_1..n_K.
        out_dims: m_1..m_K, with product `size`.

    Returns:
        The shape, and warnings for large primes and ranks that the unfoldings cannot hold.

    Raises:
        InputError: as `plan`.

    Example:
        >>> print(plan_factor(512 * 10).shape)
        in [1,1,1] out [16,16,20] ranks [1,2,2,1]
        >>> plan_factor(512 * 10, in_dims=(8, 8, 8), out_dims=(8, 8, 80)).shape.parameters
        1664
    """
    _check_positive(size=size)
    k = _length(3, length, ranks, in_dims, out_dims)
    outs = balanced_modes(size, k) if out_dims is None else tuple(out_dims)
    ins = (1,) * k if in_dims is None else tuple(in_dims)
    shape = _with_ranks(ins, outs, ranks, budget, default=_uniform_ranks(k, 2))
    if shape.out_size != size:
        raise fitting_error(shape, size)
    return Plan(shape, (*prime_warnings(shape), *idle_rank_warnings(shape)))


def plan_matrix(
    in_features: int,
    out_features: int,
    *,
    ranks: int | Sequence[int] | None = None,
    budget: int | None = None,
    length: int | None = None,
) -> Plan:
    """A plain train for ΔW (d × C) with a bond on the cut between inputs and outputs.

    d and C are factored apart, so the rank of that bond bounds rank ΔW, and outputs can be
    computed core by core (arXiv 2408.01008). Of the ways to share K modes between d and C the one
    with the smallest largest mode is taken, then the one with fewest parameters.

    Args:
        in_features: d.
        out_features: C.
        ranks: as in `plan`; 4 at every bond by default, reduced to what the unfoldings hold.
        budget: as in `plan`.
        length: K of at least 2; 4 unless `ranks` tells.

    Returns:
        The shape, and warnings as in `plan_factor`.

    Raises:
        InputError: as `plan`, or a length below 2.

    Example:
        >>> print(plan_matrix(512, 2).shape)
        in [1,1,1,1] out [8,8,8,2] ranks [1,4,4,2,1]
    """
    _check_positive(in_features=in_features, out_features=out_features)
    k = _length(DEFAULT_LENGTH, length, ranks)
    if k < 2:
        raise InputError(f"length {k} leaves no bond between inputs and outputs: give 2 or more.")
    splits = [
        balanced_modes(in_features, a) + balanced_modes(out_features, k - a) for a in range(1, k)
    ]
    ins = (1,) * k

    def shaped(outs: tuple[int, ...]) -> TTShape:
        default = _uniform_ranks(k, DEFAULT_MATRIX_RANK)
        return _with_ranks(ins, outs, ranks, budget, default)

    least = min(max(outs) for outs in splits)
    fitting = [shaped(outs) for outs in splits if max(outs) == least]
    shape = min(fitting, key=lambda s: (s.parameters, s.out_dims))
    return Plan(shape, (*prime_warnings(shape), *idle_rank_warnings(shape)))


def candidates(
    in_features: int,
    out_features: int,
    width: int,
    *,
    ranks: Sequence[int] | None = None,
    in_dims: Sequence[int] | None = None,
    limit: int = 10,
) -> list[TTShape]:
    """Shapes for a head by merit: largest effective width first, then fewest parameters.

    All ordered factorings of D = M (d + C) into modes of at least 2 that can hold the ranks. An
    effective width beyond min(d, M) counts as min(d, M): W1 has no larger rank. Shapes with equal
    merit come in the order of their modes.

    Args:
        in_features: d.
        out_features: C.
        width: M.
        ranks: r_0..r_K; those of `plan` by default.
        in_dims: n_1..n_K; those of `plan` by default.
        limit: how many to return at most.

    Returns:
        Shapes; empty if none holds the ranks.

    Raises:
        InputError: sizes below 1, or more than 200 000 factorings.

    Cost: about 20 µs a factoring; 1456 of them at width 1024 with 4 modes.

    Example:
        At the released ranks no mode needs to collapse the width, at fewer parameters than 1140:

        >>> best = candidates(512, 2, 1024, limit=1)[0]
        >>> best.effective_width(1024) > 64, best.parameters < 1140
        (True, True)
    """
    _check_positive(in_features=in_features, out_features=out_features, width=width)
    k = _length(DEFAULT_LENGTH, None, ranks, in_dims)
    size = width * (in_features + out_features)
    number = count_ordered_factorings(size, k)
    if number > MOST_CANDIDATES:
        raise InputError(
            f"{size} weights can be split into {k} modes in {number} ways, more than "
            f"{MOST_CANDIDATES}: choose fewer cores."
        )
    ins = _inner_latent(k) if in_dims is None else tuple(in_dims)
    rank_list = _released_ranks(k) if ranks is None else tuple(ranks)
    shapes = (
        TTShape(ins, outs, rank_list) for outs in ordered_factorings(size, k) if min(outs) > 1
    )

    def merit(shape: TTShape) -> tuple[int, int, tuple[int, ...]]:
        reach = min(shape.effective_width(width), in_features, width)
        return -reach, shape.parameters, shape.out_dims

    return nsmallest(limit, (s for s in shapes if not idle_rank_warnings(s)), key=merit)


def fitting_error(shape: TTShape, needed: int) -> InputError:
    """The error for a train that generates another number of weights than needed.

    Args:
        shape: the train that was asked for.
        needed: the number of weights that it should generate.

    Returns:
        An error to raise, which names both numbers and out-dims that would fit.

    Example:
        >>> print(fitting_error(TTShape.plain((16, 8), (1, 2, 1)), 100))
        out-dims [16, 8] multiply to 128, but 100 weights are needed: out-dims [10, 10] would fit.
    """
    return _misfit(shape.out_dims, needed, balanced_modes(needed, shape.length))


def _misfit(outs: tuple[int, ...], needed: int, proposal: tuple[int, ...]) -> InputError:
    return InputError(
        f"out-dims {list(outs)} multiply to {prod(outs)}, but {needed} weights are needed: "
        f"out-dims {list(proposal)} would fit."
    )


def _inner_latent(length: int) -> tuple[int, ...]:
    return tuple(2 if 0 < k < length - 1 else 1 for k in range(length))


def _released_ranks(length: int) -> tuple[int, ...]:
    return (1, *([2] * (length - 2)), 1, 1) if length > 1 else (1, 1)


def _uniform_ranks(length: int, rank: int) -> tuple[int, ...]:
    return (1, *([rank] * (length - 1)), 1)


def _capacities(ins: tuple[int, ...], outs: tuple[int, ...]) -> list[int]:
    """The largest r_1..r_{K−1} that both sides of each unfolding can use."""
    frame = TTShape(ins, outs, (1,) * (len(outs) + 1))
    if is_separable(frame):
        sides = [min(prod(outs[:k]), prod(outs[k:])) for k in range(1, len(outs))]
        return [-(-side // s) for side, s in zip(sides, frame.schmidt_ranks, strict=True)]
    modes = [n * m for n, m in zip(ins, outs, strict=True)]
    return [min(prod(modes[:k]), prod(modes[k:])) for k in range(1, len(outs))]


def _with_ranks(
    ins: tuple[int, ...],
    outs: tuple[int, ...],
    ranks: int | Sequence[int] | None,
    budget: int | None,
    default: tuple[int, ...],
) -> TTShape:
    if budget is not None and ranks is not None:
        raise InputError(f"TT-ranks {ranks} and a budget of {budget} exclude each other: give one.")
    if budget is not None:
        return _without_idle_ranks(_largest_within(ins, outs, budget))
    if ranks is None:
        # A default is ours to fit to the modes; ranks that were asked for are kept and warned of.
        return _without_idle_ranks(TTShape(ins, outs, default))
    if isinstance(ranks, int):
        ranks = _uniform_ranks(len(outs), ranks)
    return TTShape(ins, outs, tuple(ranks))


def _without_idle_ranks(shape: TTShape) -> TTShape:
    return TTShape(shape.in_dims, shape.out_dims, useful_ranks(shape))


def _largest_within(ins: tuple[int, ...], outs: tuple[int, ...], budget: int) -> TTShape:
    """Raise the smallest rank first, the cheapest among equals, until nothing more fits."""
    best = TTShape(ins, outs, (1,) * (len(outs) + 1))
    if best.parameters > budget:
        raise InputError(
            f"a budget of {budget} parameters is below the {best.parameters} that out-dims "
            f"{list(outs)} need at ranks 1: raise it, or use more and smaller modes."
        )
    capacities = _capacities(ins, outs)
    while True:
        grown = [
            (rank, TTShape(ins, outs, (*best.ranks[:k], rank + 1, *best.ranks[k + 1 :])))
            for k, (rank, cap) in enumerate(zip(best.ranks[1:-1], capacities, strict=True), 1)
            if rank < cap
        ]
        grown = [(rank, shape) for rank, shape in grown if shape.parameters <= budget]
        if not grown:
            return best
        best = min(grown, key=lambda pair: (pair[0], pair[1].parameters))[1]


def _length(default: int, length: int | None, *given: int | Sequence[int] | None) -> int:
    """K from whatever tells it; ranks count one more than modes. Order: ranks, in, out."""
    lengths = [length] if length is not None else []
    for position, values in enumerate(given):
        if values is not None and not isinstance(values, int):
            lengths.append(len(values) - (1 if position == 0 else 0))
    if len(set(lengths)) > 1:
        raise InputError(
            f"length, TT-ranks, in-dims and out-dims imply {sorted(set(lengths))} cores: give "
            "K modes and K + 1 ranks for one K."
        )
    k = lengths[0] if lengths else default
    _check_positive(length=k)
    return k


def _check_positive(**sizes: int) -> None:
    for name, value in sizes.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            word = name.replace("_", "-")
            raise InputError(f"{word} {value} must be a whole number of at least 1.")
