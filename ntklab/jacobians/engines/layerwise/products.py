"""A parameter's block of the kernel from its gradients in factored form, by the cheaper way.

Rows form the gradients block by block and multiply them; products of pairs use
⟨Σ_t l_t ⊗ r_t, Σ_s l'_s ⊗ r'_s⟩ = Σ_{t,s} (l_t · l'_s)(r_t · r'_s), and form nothing of a weight's
size.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from math import prod

import torch
from torch import Tensor

from ntklab.jacobians.engines.engine import Output, multiply_rows, multiply_symmetric
from ntklab.jacobians.engines.layerwise.terms import (
    Choices,
    Outer,
    Rows,
    Term,
    Vectors,
    summed_rows,
)
from ntklab.jacobians.memory import spans

# Numbers of a block of rows, and of a tile of pairs: what the caches and a few threads have use of.
ROWS_AT_ONCE = 1 << 24
PAIRS_AT_ONCE = 1 << 22


@dataclass(frozen=True)
class Work:
    """Multiply-adds of the two ways to a parameter's block of the kernel.

    Attributes:
        rows: forming the gradients and multiplying them.
        pairs: products of pairs; infinite where a gradient has no factored form.
    """

    rows: float
    pairs: float

    @property
    def least(self) -> float:
        """Of the cheaper way."""
        return min(self.rows, self.pairs)


def work_of(first: list[Term], second: list[Term] | None, output: Output) -> Work:
    """Count both ways between gradients at two blocks of samples; None takes the first again.

    Example:
        >>> wide = Outer(Vectors(torch.ones(4, 2, 1, 1, 64)), Vectors(torch.ones(4, 1, 1, 1, 64)))
        >>> work = work_of([wide], None, "full")
        >>> work.pairs < work.rows
        True
    """
    other = first if second is None else second
    n, m, outputs = _samples(first), _samples(other), _outputs(first)
    pairs_of_outputs = {"full": outputs**2, "pseudo": 1}.get(output, outputs)
    size = first[0].size
    forming = sum(_forming(term) for term in (first if second is None else [*first, *other]))
    half = 0.5 if second is None else 1.0
    rows = forming + half * n * m * pairs_of_outputs * size
    one, two = _factored(first), _factored(other)
    if one is None or two is None:
        return Work(rows, float("inf"))
    return Work(rows, sum(_pairing(a, b, output) for a, b in product(one, two)))


def _factored(terms: list[Term]) -> list[Outer] | None:
    """Terms of which products of pairs can be taken: outer products in one group."""
    outer = [term for term in terms if isinstance(term, Outer) and term.left.shape[2] == 1]
    return outer if len(outer) == len(terms) else None


def _samples(terms: list[Term]) -> int:
    term = terms[0]
    return len(term.values) if isinstance(term, Rows) else term.left.shape[0]


def _outputs(terms: list[Term]) -> int:
    term = terms[0]
    return term.values.shape[1] if isinstance(term, Rows) else term.outputs


def _forming(term: Term) -> float:
    if isinstance(term, Rows):
        return 0.0
    n, _, _, positions, _ = term.left.shape
    written = n * term.outputs * term.size
    if isinstance(term.left, Choices):
        return written + prod(term.right.shape)
    return written * positions


def _pairing(a: Outer, b: Outer, output: Output) -> float:
    """(rows of a side)·(rows of the other)·size for both sides, and one number a pair of pairs."""
    total = 0.0
    for x, y in ((a.left, b.left), (a.right, b.right)):
        outputs = x.shape[1] * y.shape[1]
        if output in ("trace", "diagonal"):
            outputs = max(x.shape[1], y.shape[1])
        elif output == "pseudo":
            outputs = 1
        entries = x.shape[0] * x.shape[3] * y.shape[0] * y.shape[3] * outputs
        chosen = isinstance(x, Choices) or isinstance(y, Choices)
        # An entry is written, read and added to the sum: some four flops' time each.
        total += entries * (4 + (0 if chosen else x.shape[4]))
    return total


def block(
    first: list[Term],
    second: list[Term] | None,
    output: Output,
    dtype: torch.dtype,
    most: int = ROWS_AT_ONCE,
) -> Tensor:
    """A parameter's kernel between two blocks of samples, reduced over outputs as asked.

    Args:
        first: its gradients at the first block, one term a use of the parameter.
        second: those at the second; None means the first, and uses symmetry.
        output: `full` (n·C, m·C); `trace` (n, m) = (1/C) Σ_c K_cc; `pseudo` (n, m) =
            (1/C) Σ_{c,c'} K_cc'; `diagonal` (C, n, m).
        dtype: of all products and sums.
        most: numbers of a block of rows.

    Cost: see `work_of`.

    Example:
        >>> left, right = torch.ones(2, 3, 1, 4, 5), torch.ones(2, 1, 1, 4, 6)
        >>> block([Outer(Vectors(left), Vectors(right))], None, "trace", torch.float64)[0]
        tensor([480., 480.], dtype=torch.float64)
    """
    first, second = _without_idle_entries(first, second)
    work = work_of(first, second, output)
    if work.pairs < work.rows:
        one, two = _factored(first), _factored(first if second is None else second)
        assert one is not None
        assert two is not None
        return torch.stack([pairs(a, b, output, dtype) for a, b in product(one, two)]).sum(0)
    return by_rows(first, second, output, dtype, most)


def by_rows(
    first: list[Term],
    second: list[Term] | None,
    output: Output,
    dtype: torch.dtype,
    most: int = ROWS_AT_ONCE,
) -> Tensor:
    """The block by forming gradients, some columns at a time."""
    samples = _samples(first) + (0 if second is None else _samples(second))
    outputs, total = _outputs(first), None
    for part in _columns(first, samples * outputs, most):
        rows = part(first).to(dtype)
        if second is None:
            block = rows.new_empty(_shape(rows, rows, output))
            multiply_symmetric(rows, output, out=block)
        else:
            block = multiply_rows(rows, part(second).to(dtype), output)
        total = block if total is None else total.add_(block)
    assert total is not None
    return total


def _shape(first: Tensor, second: Tensor, output: Output) -> tuple[int, ...]:
    if output == "full":
        return first.shape[0] * first.shape[1], second.shape[0] * second.shape[1]
    pairs_of_samples = (first.shape[0], second.shape[0])
    return (first.shape[1], *pairs_of_samples) if output == "diagonal" else pairs_of_samples


@dataclass(frozen=True)
class _Part:
    """Some of the columns of a parameter's rows."""

    start: int | None
    stop: int | None

    def __call__(self, terms: list[Term]) -> Tensor:
        if self.start is None or self.stop is None:
            return summed_rows(terms)
        slices = [term.slice(self.start, self.stop) for term in terms]  # type: ignore[union-attr]
        return sum(slices[1:], start=slices[0]).flatten(2)


def _columns(terms: list[Term], height: int, most: int) -> Iterator[_Part]:
    """All columns, in parts of at most `most` numbers where all terms can be cut."""
    size, shapes = terms[0].size, set()
    for term in terms:
        shapes.add(None if isinstance(term, Rows) else (term.left.shape[2], term.left.shape[4]))
    shape = shapes.pop()
    if shapes or shape is None or height * size <= most:
        yield _Part(None, None)
        return
    length = shape[1]
    step = max(1, min(length, most * length // (height * size)))
    for start, stop in spans(length, step):
        yield _Part(start, stop)


def _without_idle_entries(
    first: list[Term], second: list[Term] | None
) -> tuple[list[Term], list[Term] | None]:
    """Where every left side chooses, only entries that are chosen at all are numbered."""
    both = [*first, *(second or [])]
    if not all(isinstance(term, Outer) and isinstance(term.left, Choices) for term in both):
        return first, second
    indices = torch.cat([term.left.index.reshape(-1) for term in both])  # type: ignore[union-attr]
    used, numbers = torch.unique(indices, return_inverse=True)
    parts = iter(numbers.split([term.left.index.numel() for term in both]))  # type: ignore[union-attr]

    def numbered(terms: list[Term]) -> list[Term]:
        merged: list[Term] = []
        for term in terms:
            assert isinstance(term, Outer)
            index = next(parts).reshape(term.left.shape[0], -1)
            merged.append(replace(term, left=Choices(index, len(used))))
        return merged

    return numbered(first), None if second is None else numbered(second)


def pairs(first: Outer, second: Outer, output: Output, dtype: torch.dtype) -> Tensor:
    """The block by products of pairs, tile by tile; both terms have one group.

    Arguments and result as `block`.
    """
    if output == "pseudo":
        outputs = max(first.outputs, second.outputs)
        full = pairs(_sum_outputs(first), _sum_outputs(second), "full", dtype) / outputs
        n, m = first.left.shape[0], second.left.shape[0]
        return full.reshape(n, full.shape[0] // n, m, full.shape[1] // m).sum((1, 3))
    one, two = first.outputs, second.outputs
    n, m = first.left.shape[0], second.left.shape[0]
    t, s = first.left.shape[3], second.left.shape[3]
    per_pair = t * s * (one * two if output == "full" else one)
    rows = max(1, min(n, PAIRS_AT_ONCE // max(1, per_pair)))
    columns = max(1, min(m, PAIRS_AT_ONCE // max(1, per_pair * rows)))
    shape = (n, one, m, two) if output == "full" else (one, n, m)
    result = torch.empty(shape, dtype=dtype, device=first.right.values.device)
    tile = _full_tile if output == "full" else _diagonal_tile
    for start, stop in spans(n, rows):
        a = _converted(first, start, stop, dtype)
        for begin, end in spans(m, columns):
            b = _converted(second, begin, end, dtype)
            if output == "full":
                result[start:stop, :, begin:end] = tile(a, b)
            else:
                result[:, start:stop, begin:end] = tile(a, b)
    if output == "full":
        return result.flatten(2).flatten(0, 1)
    return result.mean(0) if output == "trace" else result


def _converted(term: Outer, start: int, stop: int, dtype: torch.dtype) -> Outer:
    left = term.left.take(start, stop)
    if isinstance(left, Vectors):
        left = Vectors(left.values.to(dtype))
    return Outer(left, Vectors(term.right.values[start:stop].to(dtype)))


def _sum_outputs(term: Outer) -> Outer:
    """The gradients of Σ_c f_c, where one side alone depends on the output; else as they are."""
    if term.left.shape[1] == term.right.shape[1]:
        return term

    def summed(side: Vectors) -> Vectors:
        return Vectors(side.values.sum(1, keepdim=True)) if side.shape[1] > 1 else side

    left = term.left if isinstance(term.left, Choices) else summed(term.left)
    return Outer(left, summed(term.right))


def _full_tile(a: Outer, b: Outer) -> Tensor:
    """Σ_{t,s} (l · l')(r · r') for every pair of samples and outputs: (n, C, m, C)."""
    left, right = _products(a.left, b.left), _products(a.right, b.right)
    return (left * right).sum((2, 5))


def _products(a: Vectors | Choices, b: Vectors | Choices) -> Tensor:
    """All inner products (n, c, T, m, c', S) of two sides."""
    n, c, _, t, _ = a.shape
    m, e, _, s, _ = b.shape
    if isinstance(a, Choices) and isinstance(b, Choices):
        equal = a.index.reshape(-1, 1) == b.index.reshape(1, -1)
        return equal.reshape(n, c, t, m, e, s)
    if isinstance(a, Choices):
        assert isinstance(b, Vectors)
        chosen = b.values.reshape(m * e * s, -1)[:, a.index.reshape(-1)]
        return chosen.T.reshape(n, c, t, m, e, s)
    if isinstance(b, Choices):
        chosen = a.values.reshape(n * c * t, -1)[:, b.index.reshape(-1)]
        return chosen.reshape(n, c, t, m, e, s)
    products = a.values.reshape(n * c * t, -1) @ b.values.reshape(m * e * s, -1).T
    return products.reshape(n, c, t, m, e, s)


def _diagonal_tile(a: Outer, b: Outer) -> Tensor:
    """The same for pairs of samples at one output: (C, n, m)."""
    left, right = _products_by_output(a.left, b.left), _products_by_output(a.right, b.right)
    return (left * right).sum((2, 4))


def _products_by_output(a: Vectors | Choices, b: Vectors | Choices) -> Tensor:
    """Inner products (c, n, T, m, S) of two sides at the same output."""
    n, _, _, t, _ = a.shape
    m, _, _, s, _ = b.shape
    if isinstance(a, Choices) or isinstance(b, Choices):
        c = max(a.shape[1], b.shape[1])
        if isinstance(a, Choices):
            return _products(a, b).movedim(4, 0).reshape(c, n, t, m, s)
        return _products(a, b).movedim(1, 0).reshape(c, n, t, m, s)
    one = a.values.transpose(0, 1).flatten(1, 3)
    two = b.values.transpose(0, 1).flatten(1, 3)
    return (one @ two.mT).reshape(-1, n, t, m, s)
