"""Eq. 2: the tensor train."""

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import torch
from torch import Tensor

from ntklab.claims.claim import Check, Claim, Effort, Finding, Measured, Sample, Verdict
from ntklab.tensor_train import TTShape, attainable_ranks, contract, reconstruct, tt_svd

CLAIM = Claim(
    id="eq02",
    title="The tensor train",
    words="Every entry of a tensor of order K is a product of K matrices, one slice of each core.",
    formula=r"\mathcal{X}(i_1,\ldots,i_K) = G_1[i_1]\,G_2[i_2]\cdots G_K[i_K],\quad "
    r"G_k[i_k]\in\mathbb{R}^{r_{k-1}\times r_k},\quad r_0=r_K=1",
    assumptions=(
        "a definition where the ranks are given",
        "that every tensor has this form needs ranks as large as those of its unfoldings",
    ),
)

SAMPLE = Sample("random trains and tensors", quick=12, why="A definition knows no task.")

Contraction = Callable[[Sequence[Tensor], Tensor], Tensor]


def measure(effort: Effort) -> Measured:
    """The library's trains against products of slices, and what ranks a train can have."""
    rows = [compare(seed) for seed in SAMPLE.seeds(effort)]
    return Measured(
        {
            "largest_error": max(row["error"] for row in rows),
            "largest_exact_error": max(row["exact_error"] for row in rows),
            "smallest_cut_error": min(row["cut_error"] for row in rows),
        },
        rows,
        len(rows),
    )


@torch.no_grad()
def compare(seed: int, contraction: Contraction = contract) -> dict[str, Any]:
    """One random shape: entry by entry, its unfoldings, and TT-SVD of a tensor without structure.

    Args:
        seed: of shape and entries.
        contraction: what is to be compared, cores and latent to entries.
    """
    generator = torch.Generator().manual_seed(seed)

    def draw(low: int, high: int) -> int:
        return int(torch.randint(low, high, (), generator=generator))

    modes = tuple(draw(2, 6) for _ in range(draw(2, 6)))
    ranks = attainable_ranks([1, *(draw(1, 5) for _ in modes[1:]), 1], modes)
    shape = TTShape.plain(modes, ranks)
    cores = [
        torch.randn(size, generator=generator, dtype=torch.float64) for size in shape.core_shapes
    ]
    fast = contraction(cores, cores[0].new_ones(1))
    wanted = slice_products(cores)
    free = torch.randn(modes, generator=generator, dtype=torch.float64)
    largest = attainable_ranks([1, *[free.numel()] * (len(modes) - 1), 1], modes)
    return {
        "modes": " × ".join(map(str, modes)),
        "ranks": ", ".join(map(str, ranks[1:-1])),
        "parameters": shape.parameters,
        "entries": shape.out_size,
        "error": float((fast - wanted).norm() / wanted.norm()),
        "ranks_kept": _unfolding_ranks(fast.reshape(modes)) == list(ranks[1:-1]),
        "exact_error": _svd_error(free, largest),
        "cut_error": _svd_error(free, tuple(max(1, r // 2) for r in largest)),
    }


def slice_products(cores: Sequence[Tensor]) -> Tensor:
    """Eq. 2 as it stands: for every index, the product of K small matrices."""
    slices = [core.squeeze(1) for core in cores]
    entries = []
    for index in product(*(range(core.shape[1]) for core in slices)):
        row = slices[0][:, index[0]]
        for core, i in zip(slices[1:], index[1:], strict=True):
            row = row @ core[:, i]
        entries.append(row.squeeze())
    return torch.stack(entries)


def judge(measured: Measured) -> Finding:
    """A definition: only a contraction or a decomposition that fails can speak against it."""
    error, exact = measured.values["largest_error"], measured.values["largest_exact_error"]
    cut = measured.values["smallest_cut_error"]
    count = len(measured.rows)
    if error > 1e-12 or not all(row["ranks_kept"] for row in measured.rows):
        return Finding(
            Verdict.FALSE,
            f"On {count} random trains the contraction differs from the products of slices by "
            f"{error:.1e}, or an unfolding has another rank than its bond.",
        )
    if exact > 1e-12:
        return Finding(
            Verdict.FALSE,
            f"A tensor without structure is missed by {exact:.1e} at full ranks, so the format "
            "would not hold every tensor.",
        )
    return Finding(
        Verdict.OK,
        f"On {count} random trains the library's contraction equals the product of slices to "
        f"{error:.1e}, and every unfolding has the rank of its bond. Every tensor is a train at "
        f"full ranks (to {exact:.1e}), but not at smaller ones: at half the ranks, tensors "
        f"without structure are missed by at least {cut:.0%} of their norm.",
    )


def _svd_error(tensor: Tensor, ranks: tuple[int, ...]) -> float:
    approximation = reconstruct(tt_svd(tensor, ranks=ranks).cores).reshape(tensor.shape)
    return float((tensor - approximation).norm() / tensor.norm())


def _unfolding_ranks(tensor: Tensor) -> list[int]:
    sizes = [tensor.shape[:k].numel() for k in range(1, tensor.ndim)]
    return [int(torch.linalg.matrix_rank(tensor.reshape(rows, -1))) for rows in sizes]


CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels={
        "largest_error": "largest relative difference from the products of slices",
        "largest_exact_error": "largest TT-SVD error at full ranks, of the norm",
        "smallest_cut_error": "smallest TT-SVD error at half of them, of the norm",
    },
    columns={
        "modes": "modes",
        "ranks": "TT-ranks",
        "parameters": "parameters",
        "entries": "entries",
        "error": "difference",
        "exact_error": "TT-SVD error, full ranks",
        "cut_error": "TT-SVD error, half ranks",
    },
    sample=SAMPLE,
)
