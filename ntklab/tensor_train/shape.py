"""The shape of a tensor train: an immutable value that knows what it can and cannot express."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from ntklab.errors import InputError


@dataclass(frozen=True)
class TTShape:
    """Modes and ranks of a tensor train that maps a latent to a weight vector (eq 3).

    Core k has shape `(ranks[k], in_dims[k], out_dims[k], ranks[k+1])`; the boundary ranks are 1.
    A plain train has `in_dims` all 1.

    Args:
        in_dims: n_1..n_K, the modes of the latent z.
        out_dims: m_1..m_K, the modes of the generated weights, row-major.
        ranks: r_0..r_K with r_0 = r_K = 1.

    Raises:
        InputError: a length, a mode or a boundary rank does not fit; the sentence says which.

    Example:
        The head of width 1024 that the TensorGuide paper trains on 512 features, 2 classes:

        >>> shape = TTShape((1, 2, 2, 1), (16, 8, 257, 16), (1, 2, 2, 1, 1))
        >>> shape.out_size == 1024 * (512 + 2), shape.parameters, shape.rank_bound
        (True, 1140, 1119)
        >>> shape.effective_width(1024)
        64
    """

    in_dims: tuple[int, ...]
    out_dims: tuple[int, ...]
    ranks: tuple[int, ...]

    def __post_init__(self) -> None:
        for name in ("in_dims", "out_dims", "ranks"):
            object.__setattr__(self, name, _positive_ints(name, getattr(self, name)))
        k = len(self.out_dims)
        if k == 0:
            raise InputError("a tensor train needs at least one core: out_dims is empty.")
        if len(self.in_dims) != k:
            raise InputError(
                f"in-dims {list(self.in_dims)} has {len(self.in_dims)} entries and out-dims "
                f"{list(self.out_dims)} has {k}: give both the same length."
            )
        if len(self.ranks) != k + 1:
            raise InputError(
                f"TT-ranks {list(self.ranks)} has {len(self.ranks)} entries, but {k} cores need "
                f"{k + 1} (r_0..r_{k}, both ends 1)."
            )
        if self.ranks[0] != 1 or self.ranks[-1] != 1:
            raise InputError(
                f"TT-ranks {list(self.ranks)} must begin and end with 1: the boundary bonds of a "
                "train are trivial."
            )

    @classmethod
    def plain(cls, out_dims: Sequence[int], ranks: Sequence[int]) -> "TTShape":
        """A train without latent: every n_k = 1.

        >>> TTShape.plain((3, 4), (1, 2, 1)).core_shapes
        [(1, 1, 3, 2), (2, 1, 4, 1)]
        """
        return cls((1,) * len(out_dims), tuple(out_dims), tuple(ranks))

    @property
    def length(self) -> int:
        """K, the number of cores."""
        return len(self.out_dims)

    @property
    def in_size(self) -> int:
        """Π n_k, the number of latent entries."""
        return prod(self.in_dims)

    @property
    def out_size(self) -> int:
        """D = Π m_k, the number of generated weights."""
        return prod(self.out_dims)

    @property
    def core_shapes(self) -> list[tuple[int, int, int, int]]:
        """(r_{k-1}, n_k, m_k, r_k) for every core."""
        return list(zip(self.ranks, self.in_dims, self.out_dims, self.ranks[1:], strict=False))

    @property
    def parameters(self) -> int:
        """P = Σ r_{k-1} n_k m_k r_k, the trainable entries."""
        return sum(prod(core) for core in self.core_shapes)

    @property
    def schmidt_ranks(self) -> tuple[int, ...]:
        """s_1..s_{K-1}: ranks of a generic latent across each bond.

        >>> TTShape((1, 2, 2, 1), (16, 8, 257, 16), (1, 2, 2, 1, 1)).schmidt_ranks
        (1, 2, 1)
        """
        return tuple(
            min(prod(self.in_dims[:k]), prod(self.in_dims[k:])) for k in range(1, self.length)
        )

    @property
    def bond_ranks(self) -> tuple[int, ...]:
        """R_0..R_K: ranks of the generated weights across each bond, at most r_k s_k (P1).

        Capped by what the unfoldings can hold.
        """
        products = [r * s for r, s in zip(self.ranks[1:-1], self.schmidt_ranks, strict=True)]
        return attainable_ranks([1, *products, 1], self.out_dims)

    @property
    def rank_bound(self) -> int:
        """An upper bound on rank ∂w/∂θ at every θ.

        Attained generically where every core touches at most one entangled latent bond; a latent
        that entangles both sides of a core can leave more null directions (2 × 2 × 2 latent, out
        8 × 8 × 8, ranks 2: rank 8 lower). `exact_nullity` decides.

        The smallest of D, of the parameters less the gauge freedom Σ r_k², and of the dimension
        of the variety of trains with ranks R_k = r_k s_k (theory P1). A rank that the unfoldings
        cannot hold is reduced first, since the image does not change.
        """
        modes = [n * m for n, m in zip(self.in_dims, self.out_dims, strict=True)]
        own = attainable_ranks(self.ranks, modes)
        return min(
            self.out_size,
            _train_dimension(own, modes),
            _train_dimension(self.bond_ranks, self.out_dims),
        )

    def effective_width(self, width: int) -> int:
        """The largest rank that W1 (d × M) can have when this train generates it (theory P2).

        A bond whose trailing modes have product Q with Q | M leaves M/Q groups of columns, each
        in a space of dimension R_k; a bond with M | Q leaves Q/M groups of rows. For a last bond
        of rank 1 this is also the number of distinct hidden directions, whatever σ is.

        Args:
            width: M, the hidden width of the generated network.
        """
        best = width
        for k, rank in enumerate(self.bond_ranks[1:-1], start=1):
            trailing = prod(self.out_dims[k:])
            if width % trailing == 0:
                best = min(best, rank * (width // trailing))
            elif trailing % width == 0:
                best = min(best, rank * (trailing // width))
        return best

    def __str__(self) -> str:
        ins, outs, ranks = (
            ",".join(map(str, v)) for v in (self.in_dims, self.out_dims, self.ranks)
        )
        return f"in [{ins}] out [{outs}] ranks [{ranks}]"


def attainable_ranks(ranks: Sequence[int], modes: Sequence[int]) -> tuple[int, ...]:
    """Ranks reduced to what the unfoldings can hold: r_k ≤ r_{k-1} m_k and r_k ≤ m_{k+1} r_{k+1}.

    >>> attainable_ranks((1, 9, 9, 1), (2, 3, 4))
    (1, 2, 4, 1)
    """
    reduced = list(ranks)
    for k in range(1, len(modes)):
        reduced[k] = min(reduced[k], reduced[k - 1] * modes[k - 1])
    for k in range(len(modes) - 1, 0, -1):
        reduced[k] = min(reduced[k], reduced[k + 1] * modes[k])
    return tuple(reduced)


def _train_dimension(ranks: Sequence[int], modes: Sequence[int]) -> int:
    """Dimension of the variety of trains: Σ r_{k-1} m_k r_k − Σ r_k² (Holtz et al. 2012)."""
    cores = sum(a * m * b for a, m, b in zip(ranks, modes, ranks[1:], strict=False))
    return cores - sum(r * r for r in ranks[1:-1])


def _positive_ints(name: str, values: Sequence[int]) -> tuple[int, ...]:
    label = name.replace("_", "-") if name != "ranks" else "TT-ranks"
    values = tuple(values)
    if any(isinstance(v, bool) or int(v) != v or v < 1 for v in values):
        raise InputError(f"{label} {list(values)} must be whole numbers of at least 1.")
    return tuple(int(v) for v in values)
