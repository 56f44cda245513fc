"""A code for trained heads, fixed before the data: gauge-fixed cores, rounded to a few bits.

A bond of rank r can be gauged so that r rows of the core on its left are the identity: the function
stays, and r² coordinates need not be written (theory P1: Σ r_k² is the least that the gauge takes;
where latents let it take more, this code does not use it). Written are, for every core, its scale
(32 bits), which rows are the identity, and the other entries on a grid of 2^b values.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import torch
from torch import Tensor, nn

from ntklab.adapters import Adapter
from ntklab.bounds.bound import Bound
from ntklab.bounds.compression import compression_bound

#: Bits a coordinate are between 1 and this; which, the code says in log2 of it.
MOST_BITS = 8
_SCALE_BITS = 32
_SCALES = tuple(2 ** (-k / 2) for k in range(7))


@dataclass(frozen=True)
class Code:
    """The length of a rounded head, written in bits.

    Attributes:
        coordinates: P_eff, the entries that the gauge does not fix.
        bits: for each of them.
        overhead_bits: scales, places of identity rows, the choice of `bits`.
    """

    coordinates: int
    bits: int
    overhead_bits: float


@dataclass(frozen=True, eq=False)
class _Core:
    """One core of a train: (rows, s), rows over its left bond and modes."""

    parameter: nn.Parameter
    tensor: Tensor
    back: Callable[[Tensor], Tensor]

    @property
    def matrix(self) -> np.ndarray:
        return self.tensor.detach().double().cpu().numpy().reshape(-1, self.tensor.shape[-1])


@contextmanager
def coded(head: Adapter, bits: int) -> Iterator[Code]:
    """Within the block the head's parameters are what the code says; they come back after.

    Args:
        head: any adapter; parameters that belong to no train are written entry by entry.
        bits: for each coordinate, 1 to `MOST_BITS`.

    Example:
        >>> from ntklab.adapters import build_adapter
        >>> head = build_adapter("lora", 6, 3, rank=2, generator=torch.Generator().manual_seed(0))
        >>> before = head(torch.eye(6))
        >>> with coded(head, 8) as code:
        ...     code.coordinates, bool((head(torch.eye(6)) - before).abs().max() < 0.2)
        (14, True)
        >>> torch.equal(head(torch.eye(6)), before)
        True
    """
    before = {name: p.detach().clone() for name, p in head.named_parameters()}
    coordinates, overhead = 0, math.log2(MOST_BITS)
    try:
        for train in _trains(head):
            fixed = _gauge_fixed([core.matrix for core in train])
            for core, (matrix, free, places) in zip(train, fixed, strict=True):
                _write(core, _rounded(matrix, free, bits))
                coordinates += int(free.sum())
                overhead += _SCALE_BITS + places
        yield Code(coordinates, bits, overhead)
    finally:
        with torch.no_grad():
            for name, parameter in head.named_parameters():
                parameter.copy_(before[name])


def counting_bound(
    head: Adapter,
    errors: Callable[[], tuple[float, float | None]],
    *,
    n_samples: int,
    delta: float = 0.05,
) -> tuple[Bound, Code]:
    """Occam's bound of a trained classifier, written in the number of bits where it is least.

    The head is written in this module's code with 1 to 8 bits a coordinate; each bound is that of
    the *rounded* classifier, with its training error as measured, and the code counts the choice
    of the bits. It holds for any training, in the NTK regime or not.

    Args:
        head: trained; it comes back as it was.
        errors: called while the head is rounded: error rates on the training samples and on
            others (None if there are none).
        n_samples: N of the training samples.
        delta: probability of failure.

    Returns:
        The least bound and its code.

    Example:
        >>> from ntklab.adapters import build_adapter
        >>> head = build_adapter("lora", 8, 2, rank=1, generator=torch.Generator().manual_seed(0))
        >>> bound, code = counting_bound(head, lambda: (0.1, None), n_samples=40)
        >>> code.coordinates, code.bits, bound.vacuous
        (9, 1, False)
    """
    bounds = []
    for bits in range(1, MOST_BITS + 1):
        with coded(head, bits) as code:
            train_error, test_error = errors()
        bound = compression_bound(
            train_error=train_error,
            effective_parameters=code.coordinates,
            bits=bits,
            overhead_bits=code.overhead_bits,
            n_samples=n_samples,
            delta=delta,
            measured=test_error,
        )
        bounds.append((bound, code))
    return min(bounds, key=lambda pair: pair[0].value or float("inf"))


def _trains(head: Adapter) -> list[list[_Core]]:
    """Parameters as trains (r, modes, s); LoRA's is (Aᵀ, Bᵀ), TeRA's scalings have bonds of 1."""
    names = dict(head.named_parameters())
    if head.method == "lora":
        a, b = names["A"], names["B"]
        return [
            [
                _Core(a, a.T.unsqueeze(0), lambda core: core.squeeze(0).T),
                _Core(b, b.T.unsqueeze(-1), lambda core: core.squeeze(-1).T),
            ]
        ]
    trains, seen = [], set()
    for name, part in head.named_children():
        if isinstance(part, nn.ParameterList) and name.startswith(("cores", "scalings")):
            cores = [p if p.ndim > 1 else p.reshape(1, -1, 1) for p in part]
            trains.append([_as_given(p, core) for p, core in zip(part, cores, strict=True)])
            seen |= {id(p) for p in part}
    alone = [p for p in head.parameters() if p.requires_grad and id(p) not in seen]
    return [*trains, *([_as_given(p, p.reshape(1, -1, 1))] for p in alone)]


def _as_given(parameter: nn.Parameter, core: Tensor) -> _Core:
    return _Core(parameter, core, lambda moved: moved.reshape(parameter.shape))


def _gauge_fixed(cores: list[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray, float]]:
    """The same train with identity rows; which entries are free; bits that name the rows.

    The rows are those that a pivoted QR picks, so that the others stay small in terms of them.
    A bond whose core has not so many independent rows is left as it is.
    """
    fixed: list[tuple[np.ndarray, np.ndarray, float]] = []
    following = [*cores[1:], np.ones((1, 1))]
    matrix = cores[0]
    for after in following:
        rank = matrix.shape[1]
        free, places = np.ones(matrix.shape, dtype=bool), 0.0
        last = len(fixed) == len(cores) - 1
        pivots = [] if last or len(matrix) < rank else _independent_rows(matrix)
        change = matrix[pivots]
        if len(pivots) == rank and np.linalg.cond(change) < 1e8:
            matrix = np.linalg.solve(change.T, matrix.T).T
            free[pivots] = False
            matrix[pivots] = np.eye(rank)
            places = rank * math.log2(len(matrix))
        else:
            change = np.eye(rank)
        fixed.append((matrix, free, places))
        if not last:
            matrix = (change @ after.reshape(rank, -1)).reshape(after.shape)
    return fixed


def _independent_rows(matrix: np.ndarray) -> list[int]:
    _, _, order = scipy.linalg.qr(matrix.T, pivoting=True, mode="economic")
    return [int(row) for row in order[: matrix.shape[1]]]


def _rounded(matrix: np.ndarray, free: np.ndarray, bits: int) -> np.ndarray:
    """Free entries at the middles of 2^b equal cells of [−scale, scale]; the others are exact.

    Of a few scales the one that moves the entries least; any could be written in its 32 bits.
    """
    values = matrix[free]
    largest = float(np.abs(values).max()) if len(values) else 0.0
    if largest == 0.0:
        return matrix
    tried = [_on_grid(values, float(np.float32(largest * s)), 2**bits) for s in _SCALES]
    rounded = matrix.copy()
    rounded[free] = min(tried, key=lambda on_grid: float(np.square(on_grid - values).sum()))
    return rounded


def _on_grid(values: np.ndarray, scale: float, cells: int) -> np.ndarray:
    place = np.clip(np.floor((values / scale + 1) / 2 * cells), 0, cells - 1)
    return scale * (2 * (place + 0.5) / cells - 1)


@torch.no_grad()
def _write(core: _Core, matrix: np.ndarray) -> None:
    moved = torch.from_numpy(np.ascontiguousarray(matrix)).to(core.parameter)
    core.parameter.copy_(core.back(moved.reshape(core.tensor.shape)))
