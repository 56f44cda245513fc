"""Multiply-adds and bytes, stage by stage, of the cheapest contractions we know for each head.

A stage is one pass over the data. Its multiply-adds are counted as a person would count loops, and
a test compares them with loops and with what torch counts while the engine runs. Its bytes are what
cannot be left out once the stages are separate passes: each large array written once and read once.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import prod

from ntklab.adapters import (
    Adapter,
    DeltaAdapter,
    FactorAdapter,
    LinearProbe,
    LoRA,
    TensorGuide,
    TTLoRA,
)
from ntklab.bench.network import network_multiply_adds
from ntklab.tensor_train import TTShape
from ntklab.tensor_train.shifts import Shifts


@dataclass(frozen=True)
class Stage:
    """One pass.

    Attributes:
        name: what it computes.
        multiply_adds: one multiplication with its addition, or a multiplication alone.
        numbers: entries of large arrays that it must read or write.
        product: whether it is a matrix product; else it is elementwise.
    """

    name: str
    multiply_adds: int
    numbers: int
    product: bool = True


Route = list[Stage]

GRAM = "Gram matrix"


def kernel_routes(adapter: Adapter, samples: int) -> dict[str, Route]:
    """Ways to the full kernel (N·C, N·C), each with every stage it needs.

    Args:
        adapter: the head.
        samples: N.

    Returns:
        Routes by name: rows of J by each contraction known for the shape, with the Gram matrix of
        the smaller side; or the closed form of a decoupled head.

    Example:
        >>> from ntklab.adapters import build_adapter
        >>> routes = kernel_routes(build_adapter("lora", 512, 2, rank=4), 1000)
        >>> [stage.name for stage in routes["decoupled"]]
        ['Φ Aᵀ', 'Gram matrix of Φ Aᵀ', 'Gram matrix', 'spread over outputs']
    """
    if isinstance(adapter, (LoRA, LinearProbe)):
        return {"decoupled": decoupled_stages(adapter, samples)}
    gram = gram_stage(samples * adapter.out_features, adapter.parameter_count)
    return {name: [*stages, gram] for name, stages in row_routes(adapter, samples).items()}


def row_routes(adapter: Adapter, samples: int) -> dict[str, Route]:
    """Ways to the rows of J, (N·C, P)."""
    d, outputs, size = adapter.in_features, adapter.out_features, adapter.parameter_count
    through_basis = Stage(
        "features times ∂ΔW/∂θ",
        samples * d * outputs * size,
        d * outputs * size + samples * outputs * size,
    )
    if isinstance(adapter, DeltaAdapter):
        return {"basis": [through_basis], **_network_route(adapter, samples)}
    assert isinstance(adapter, (TensorGuide, TTLoRA))
    routes = _hidden_routes(adapter, samples)
    if adapter.linear:
        for name, stages in _hidden_routes(adapter, d).items():
            routes[f"basis, {name}"] = [*stages, through_basis]
    return routes


def gram_stage(rows: int, columns: int) -> Stage:
    """The Gram matrix J Jᵀ of a (rows, columns) matrix, or of its smaller side if that is shorter.

    The lower triangle of J Jᵀ takes rows (rows + 1) columns / 2; JᵀJ in full columns² rows.

    Example:
        >>> gram_stage(2000, 1140).multiply_adds, smaller_side(2000, 1140)
        (2281140000, 2599200000)
    """
    triangle = rows * (rows + 1) * columns // 2
    least = min(triangle, smaller_side(rows, columns))
    return Stage(GRAM, least, rows * columns + rows * rows)


def smaller_side(rows: int, columns: int) -> int:
    """Multiply-adds of the Gram matrix of the smaller side, in full, its symmetry not used."""
    short, long = sorted((rows, columns))
    return short * short * long


def decoupled_stages(adapter: Adapter, samples: int) -> Route:
    """K = S ⊗ I + S' ⊗ BBᵀ of LoRA, or S ⊗ I of the probe."""
    d, outputs = adapter.in_features, adapter.out_features
    spread = Stage("spread over outputs", 0, 2 * (samples * outputs) ** 2, product=False)
    if isinstance(adapter, LinearProbe):
        return [gram_stage(samples, d), spread]
    assert isinstance(adapter, LoRA)
    rank = adapter.width
    spread = Stage(spread.name, (samples * outputs) ** 2, spread.numbers, product=False)
    return [
        Stage("Φ Aᵀ", samples * d * rank, samples * (d + rank)),
        replace(gram_stage(samples, rank), name="Gram matrix of Φ Aᵀ"),
        gram_stage(samples, d),
        spread,
    ]


def sweep_stage(shape: TTShape, cores: Iterable[int], first: int, beyond: int, batch: int) -> Stage:
    """An adjoint sweep over neighbouring cores: each cotangent meets every core twice, one once.

    The cotangent that reaches core k has entries (first · m.. · m_k) · r_k · beyond, a number each
    for `batch` cotangents; a gradient and, left of it, a cotangent for the next core each cost
    r_{k-1} n_k multiply-adds an entry.

    Args:
        shape: the train.
        cores: positions, in order.
        first: rows of the prefix that stands left of them.
        beyond: latent modes that stay open to their right.
        batch: cotangents.
    """
    order = list(cores)
    total = numbers = 0
    for place in reversed(range(len(order))):
        k = order[place]
        rows = first * prod(shape.out_dims[j] for j in order[: place + 1])
        entries = rows * shape.ranks[k + 1] * beyond * batch
        visits = 2 if place else 1
        total += visits * entries * shape.ranks[k] * shape.in_dims[k]
        if place == len(order) - 1:
            numbers = entries
        beyond *= shape.in_dims[k]
    return Stage("sweep over cores", total, numbers)


def _network_route(adapter: DeltaAdapter, samples: int) -> dict[str, Route]:
    count = network_multiply_adds(adapter, samples)
    if count is None:
        return {}
    rows = samples * adapter.out_features * adapter.parameter_count
    return {"network": [Stage("gradients by each tensor", count, rows)]}


def _hidden_routes(adapter: FactorAdapter, samples: int) -> dict[str, Route]:
    assert isinstance(adapter, (TensorGuide, TTLoRA))
    width, outputs = adapter.width, adapter.out_features
    second: Route = []
    if isinstance(adapter, TensorGuide):
        shape, multiples = adapter.shape, (width, width * outputs)
    else:
        shape, multiples = adapter.shape1, (width, width)
        size = sum(core.numel() for core in adapter.cores2)
        second = [Stage("W2's tangent map", samples * width * outputs * size, 0)]
    routes = {}
    for cut in range(1, shape.length + 1):
        trailing = prod(shape.out_dims[cut:])
        if all(multiple % trailing == 0 for multiple in multiples):
            stages = hidden_stages(shape, cut, samples, adapter.in_features, width, outputs)
            routes[f"cut {cut}"] = [*stages, *second]
            if prod(shape.in_dims[cut:]) == 1:
                shared = adapter.linear
                shifted = _by_shifts(
                    shape, cut, samples, adapter.in_features, width, outputs, shared=shared
                )
                sweep = [stage.name for stage in stages].index("outer products")
                stages = [*stages[:sweep], *shifted, *stages[sweep + 2 :]]
                if shape.ranks[cut] == 1 and adapter.activation.homogeneous:
                    signs = _by_signs(
                        adapter,
                        samples,
                        trailing,
                        below=shape.out_size > adapter.in_features * width,
                    )
                    stages = [*signs, *shifted]
                routes[f"cut {cut} by shifts"] = [*stages, *second]
    return routes


def hidden_stages(
    shape: TTShape, cut: int, samples: int, d: int, width: int, outputs: int
) -> Route:
    """Rows of σ(φ W1) W2 by the cores behind its weights, the train cut after `cut` cores.

    Q trailing modes are contracted with what varies over the hidden layer, R open indices lie on
    the cut; see `ntklab.tensor_train.pullback`. A train with Π m = d M generates W1 alone.

    Args:
        shape: the train.
        cut: how many cores lie left of the cut; Q must divide M and, with W2, M C.
        samples: N.
        d: features.
        width: M.
        outputs: C.
    """
    alone = prod(shape.out_dims) == d * width
    trailing = prod(shape.out_dims[cut:])
    beyond = prod(shape.in_dims[cut:])
    rank = shape.ranks[cut] * beyond
    groups, pairs = width // trailing, samples * outputs
    above = d * groups * rank
    below = 0 if alone else groups * outputs * rank
    stages = [
        _preactivation(samples, d, width, groups * rank, trailing),
        Stage("fold W2 σ'", pairs * width * rank, 0),
    ]
    spread = 1 if trailing % outputs == 0 else outputs
    if not alone:
        stages.append(Stage("fold σ", pairs * width * rank * spread, 0))
    stages.append(Stage("outer products", pairs * above, pairs * (above + below), product=False))
    stages.append(sweep_stage(shape, range(cut), 1, beyond, pairs))
    if cut < shape.length:
        stages += _trailing_stages(shape, cut, samples, width, outputs, rank, alone, spread)
    return stages


def _by_shifts(
    shape: TTShape, cut: int, samples: int, d: int, width: int, outputs: int, *, shared: bool
) -> Route:
    """The last leading core met by shifts instead of outer products, then the cores before it.

    See `ntklab.tensor_train.shifts`; W2's share of a cotangent is left out, as it is little. A
    linear σ has filters that all samples share, so that one correlation serves them.
    """
    k = cut - 1
    length, following = shape.out_dims[k], shape.ranks[cut]
    rank = shape.ranks[k] * shape.in_dims[k]
    size = width // prod(shape.out_dims[cut:])
    window, pairs = length + size - 1, samples * outputs
    meetings = len(Shifts.of(d, size, length).row)
    stages = [
        Stage("φ by shift", samples * rank * meetings, samples * d),
        Stage(
            "convolution",
            pairs * rank * length * size * following,
            pairs * rank * length * following,
        ),
    ]
    if k == 0:
        return stages
    rows = prod(shape.out_dims[:k])
    correlated = (outputs if shared else pairs) * rank * window
    return [
        *stages,
        Stage("correlation", correlated * size * following, correlated),
        Stage("φ times correlation", pairs * rank * meetings, correlated, product=False),
        sweep_stage(shape, range(k), 1, prod(shape.in_dims[k:]), pairs),
        Stage("rows of E", 0, pairs * rank * rows, product=False),
    ]


def _by_signs(adapter: FactorAdapter, samples: int, trailing: int, *, below: bool) -> Route:
    """A homogeneous σ behind a bond of rank 1: F = φ left stands for Q hidden units at a time.

    See `ntklab.adapters.layer_rows`. What depends on the train alone is not counted.
    """
    outputs, groups = adapter.out_features, adapter.width // trailing
    pairs = samples * outputs
    stages = [
        Stage(
            "F", samples * adapter.in_features * groups, samples * (adapter.in_features + groups)
        ),
        Stage("W2 σ' by sign", pairs * groups, pairs * groups, product=False),
    ]
    if below:
        stages.append(Stage("σ by sign", pairs * groups * outputs, pairs * groups * outputs, False))
    if trailing == 1:
        return stages
    stages += [
        Stage("trailing cotangent", 2 * samples * groups * trailing * outputs, 0),
        Stage("σ' on it", 2 * pairs * trailing, 0, product=False),
    ]
    if below:
        places = 2 * samples * trailing * outputs
        stages.append(Stage("trailing cotangent of W2", 2 * samples * groups * outputs + places, 0))
    return stages


def _preactivation(samples: int, d: int, width: int, projected: int, trailing: int) -> Stage:
    """φ W1, directly or through the left part of the cut, which the trailing cores need anyway."""
    through = samples * (d * projected + projected * trailing)
    return Stage("φ W1", min(samples * d * width, through), samples * (d + width))


def _trailing_stages(
    shape: TTShape,
    cut: int,
    samples: int,
    width: int,
    outputs: int,
    rank: int,
    alone: bool,
    spread: int,
) -> Route:
    """Gradients by the cores right of the cut: cotangents of Q R entries."""
    stages = [
        Stage("σ' on projections", samples * width * rank, 0, product=False),
        Stage("trailing cotangent", samples * outputs * width * rank, 0),
    ]
    if not alone:
        tail = width * outputs * outputs if spread > 1 else width
        stages.append(Stage("trailing cotangent of W2", samples * rank * tail, 0))
    after = sweep_stage(shape, range(cut, shape.length), rank, 1, samples * outputs)
    return [*stages, Stage("trailing sweep", after.multiply_adds, after.numbers)]
