"""Gradients of a linear head as tensor networks: what their cheapest pairwise contractions cost."""

from dataclasses import dataclass
from itertools import accumulate
from math import prod
from operator import mul

import opt_einsum

from ntklab.adapters import DeltaAdapter, TeRA, TTDelta

# One letter an index: n samples, then letters from opt_einsum for modes and bonds.
_SAMPLES = "n"


@dataclass(frozen=True)
class _Network:
    """ΔW as tensors joined by bonds.

    Attributes:
        sizes: length of each index.
        modes: the indices of ΔW in order.
        tensors: indices of each tensor.
        trained: for each trained tensor, its place in `tensors` and the indices of its gradient.
        stays: whether the tensor takes part in its own gradient (a diagonal's frozen factor does).
    """

    sizes: dict[str, int]
    modes: str
    tensors: list[str]
    trained: list[tuple[int, str]]
    stays: bool


def network_multiply_adds(adapter: DeltaAdapter, samples: int) -> int | None:
    """Multiply-adds of ∂f/∂θ for every sample and output, tensor by tensor, by opt_einsum's path.

    Nothing is shared between the tensors, so a cleverer order may save more; None where the head
    is no network, or no bond lies between its inputs and its outputs.

    Args:
        adapter: a TT-delta or TeRA head.
        samples: N.

    Example:
        >>> from ntklab.adapters import build_adapter
        >>> network_multiply_adds(build_adapter("linear-probe", 8, 2), 5) is None
        True
    """
    network = _network(adapter)
    if network is None:
        return None
    lengths = list(accumulate((network.sizes[m] for m in network.modes), mul))
    if adapter.in_features not in lengths:
        return None
    inputs = network.modes[: lengths.index(adapter.in_features) + 1]
    sizes = network.sizes | {_SAMPLES: samples}
    return sum(_gradient_cost(network, inputs, sizes, *tensor) for tensor in network.trained)


def _gradient_cost(
    network: _Network, inputs: str, sizes: dict[str, int], place: int, indices: str
) -> int:
    others = [t for k, t in enumerate(network.tensors) if k != place or network.stays]
    outputs = "".join(m for m in network.modes if m not in inputs)
    # An output mode of the tensor itself picks one slice of it: no sum, no further entries.
    last = indices if network.stays else "".join(i for i in indices if i not in outputs)
    open_outputs = "".join(m for m in outputs if any(m in other for other in others))
    terms = [_SAMPLES + inputs, *others]
    equation = ",".join(terms) + "->" + _SAMPLES + open_outputs + last
    shapes = [tuple(sizes[i] for i in term) for term in terms]
    path = opt_einsum.contract_path(equation, *shapes, shapes=True, optimize="optimal")[1]
    return sum(_pairwise_cost(step[2], sizes) for step in path.contraction_list)


def _pairwise_cost(equation: str, sizes: dict[str, int]) -> int:
    return prod(sizes[index] for index in set(equation) - set(",->"))


def _network(adapter: DeltaAdapter) -> _Network | None:
    if isinstance(adapter, TTDelta):
        return _train(adapter)
    return _tucker(adapter) if isinstance(adapter, TeRA) else None


def _letters(count: int) -> str:
    alphabet = "".join(letter for letter in map(opt_einsum.get_symbol, range(count + 1)))
    return alphabet.replace(_SAMPLES, "")[:count]


def _train(adapter: TTDelta) -> _Network:
    """The bonds at the ends have one value and are left out."""
    dims, ranks = adapter.shape.out_dims, adapter.shape.ranks[1:-1]
    letters = _letters(2 * len(dims) - 1)
    modes, bonds = letters[: len(dims)], letters[len(dims) :]
    tensors = [bonds[max(k - 1, 0) : k] + modes[k] + bonds[k : k + 1] for k in range(len(dims))]
    sizes = dict(zip(letters, (*dims, *ranks), strict=True))
    return _Network(sizes, modes, tensors, list(enumerate(tensors)), stays=False)


def _tucker(adapter: TeRA) -> _Network:
    dims, ranks = adapter.dims, adapter.ranks
    letters = _letters(2 * len(dims))
    modes, bonds = letters[: len(dims)], letters[len(dims) :]
    tensors = [bonds, *(m + b for m, b in zip(modes, bonds, strict=True))]
    sizes = dict(zip(letters, (*dims, *ranks), strict=True))
    return _Network(sizes, modes, tensors, [(k + 1, b) for k, b in enumerate(bonds)], stays=True)
