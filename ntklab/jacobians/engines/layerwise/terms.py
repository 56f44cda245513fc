"""A parameter's gradients in the form a layer gives them: rows, or sums of outer products.

Index names: n sample, c output, g group, t position (a token, a pixel), l and r the two sides of a
weight. A side that does not depend on the output has c = 1.
"""

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Vectors:
    """One side of outer products: a vector for every sample, output, group and position.

    Attributes:
        values: shape (n, C or 1, G, T, size).
    """

    values: Float[Tensor, "n c G T s"]

    @property
    def shape(self) -> tuple[int, int, int, int, int]:
        """(n, C or 1, G, T, size)."""
        return tuple(self.values.shape)  # type: ignore[return-value]

    def take(self, start: int, stop: int) -> "Vectors":
        """The samples start..stop."""
        return Vectors(self.values[start:stop])


@dataclass(frozen=True)
class Choices:
    """One side of outer products whose vectors are unit vectors: entry `index` is 1.

    Attributes:
        index: which, shape (n, T).
        size: entries of each vector.
    """

    index: Int[Tensor, "n T"]
    size: int

    @property
    def shape(self) -> tuple[int, int, int, int, int]:
        """(n, 1, 1, T, size)."""
        return self.index.shape[0], 1, 1, self.index.shape[1], self.size

    def take(self, start: int, stop: int) -> "Choices":
        """The samples start..stop."""
        return Choices(self.index[start:stop], self.size)


@dataclass(frozen=True)
class Rows:
    """Gradients as they are.

    Attributes:
        values: shape (n, C, p), the parameter flattened row-major.
    """

    values: Float[Tensor, "n C p"]

    @property
    def size(self) -> int:
        """p, the entries of the parameter."""
        return self.values.shape[2]

    def rows(self) -> Float[Tensor, "n C p"]:
        """The gradients."""
        return self.values


@dataclass(frozen=True)
class Outer:
    """Gradients Σ_t left_t ⊗ right_t, one matrix a group, of a parameter (G, l, r).

    Attributes:
        left: the vectors that run along the first dimension of a group's matrix.
        right: those along the second.

    Example:
        >>> import torch
        >>> left = Vectors(torch.ones(2, 3, 1, 4, 5))
        >>> Outer(left, Vectors(torch.ones(2, 1, 1, 4, 6))).rows().shape
        torch.Size([2, 3, 30])
    """

    left: Vectors | Choices
    right: Vectors

    @property
    def size(self) -> int:
        """p = G l r, the entries of the parameter."""
        return self.left.shape[2] * self.left.shape[4] * self.right.shape[4]

    @property
    def outputs(self) -> int:
        """C."""
        return max(self.left.shape[1], self.right.shape[1])

    def rows(self) -> Float[Tensor, "n C p"]:
        """The gradients, formed: n C T p multiply-adds, or n C T r where the left side chooses."""
        return self.slice(0, self.left.shape[4]).flatten(2)

    def slice(self, start: int, stop: int) -> Float[Tensor, "n C G k r"]:
        """The part start..stop of the left side of every matrix."""
        if isinstance(self.left, Choices):
            return _scatter(self.left.index, self.right.values, start, stop)
        return _outer_sum(self.left.values[..., start:stop], self.right.values)


Term = Rows | Outer


def _outer_sum(
    left: Float[Tensor, "n c G T l"], right: Float[Tensor, "n c G T r"]
) -> Float[Tensor, "n C G l r"]:
    """Σ_t left_t rightᵀ_t; the side that all outputs share is read once, not once an output."""
    n, outputs, groups, positions, size = left.shape
    if right.shape[1] == 1:
        stacked = left.permute(0, 2, 1, 4, 3).reshape(n, groups, outputs * size, positions)
        product = stacked @ right[:, 0]
        return product.reshape(n, groups, outputs, size, -1).transpose(1, 2)
    if outputs == 1:
        stacked = right.permute(0, 2, 3, 1, 4).flatten(3)
        product = left[:, 0].mT @ stacked
        return product.reshape(n, groups, size, right.shape[1], -1).permute(0, 3, 1, 2, 4)
    return left.mT @ right


def _scatter(
    index: Int[Tensor, "n T"], right: Float[Tensor, "n c 1 T r"], start: int, stop: int
) -> Float[Tensor, "n C 1 k r"]:
    n, outputs, _, _, size = right.shape
    inside = (index >= start) & (index < stop)
    sample, position = inside.nonzero(as_tuple=True)
    rows = right.new_zeros(n * (stop - start), outputs, size)
    place = sample * (stop - start) + index[sample, position] - start
    rows.index_add_(0, place, right[sample, :, 0, position])
    return rows.reshape(n, stop - start, outputs, 1, size).permute(0, 2, 3, 1, 4)


def summed_rows(terms: list[Term]) -> Float[Tensor, "n C p"]:
    """The gradients that several uses of one parameter add up to.

    >>> import torch
    >>> term = Rows(torch.ones(2, 1, 3))
    >>> summed_rows([term, term])[0].tolist()
    [[2.0, 2.0, 2.0]]
    """
    total = terms[0].rows()
    for term in terms[1:]:
        total = total + term.rows()
    return total
