"""Eq. 3: one train generates both factors."""

from collections.abc import Callable
from itertools import product
from math import prod
from typing import Any

import torch
from torch import Tensor

from ntklab.adapters import TensorGuide
from ntklab.claims.claim import Check, Claim, Effort, Finding, Measured, Sample, Verdict
from ntklab.tensor_train import TTShape, plan

CLAIM = Claim(
    id="eq03",
    title="One train generates both factors",
    words="A Gaussian latent z is contracted with the cores of one train, and the result is cut "
    "into the two factors of the update.",
    formula=r"\left[\mathrm{vec}\,W_1;\,\mathrm{vec}\,W_2\right] = \mathrm{TT}(z;G),\quad "
    r"w_{m_1\ldots m_K} = \sum_{n_1\ldots n_K} z_{n_1\ldots n_K}\prod_k G_k[n_k, m_k]",
    assumptions=(
        "a definition, once two things are said: which z is used after training, and in which "
        "order the modes of w meet the rows of the factors",
    ),
)

SAMPLE = Sample("random heads", quick=8, why="A definition knows no task.")

# The released heads on 512 features and 2 classes, by hidden width.
RELEASED = (1024, 2048, 4096)


@torch.no_grad()
def measure(effort: Effort) -> Measured:
    """Generated factors against the sum written out; then what the formula leaves open."""
    seeds = SAMPLE.seeds(effort)
    agreement = [compare(small_head(seed)) for seed in seeds]
    rows = [straddling(width) for width in RELEASED]
    cosines = [latent_cosine(seed) for seed in seeds]
    return Measured(
        {
            "shapes": len(agreement),
            "largest_error": max(row["error"] for row in agreement),
            "cut_in_order": all(row["cut_in_order"] for row in agreement),
            "fresh_latent_cosine": sum(cosines) / len(cosines),
        },
        rows,
        min(len(agreement), len(cosines)),
    )


def small_head(seed: int) -> TensorGuide:
    """A head of random sizes whose latent has several modes."""
    generator = torch.Generator().manual_seed(seed)
    d, C, M = (int(torch.randint(2, 7, (), generator=generator)) for _ in range(3))
    k = int(torch.randint(2, 5, (), generator=generator))
    ins = tuple(int(torch.randint(1, 4, (), generator=generator)) for _ in range(k))
    ranks = (1, *(int(torch.randint(1, 4, (), generator=generator)) for _ in range(k - 1)), 1)
    shape = plan(d, C, M, ranks=ranks, in_dims=ins).shape
    return TensorGuide(d, C, M, shape=shape, generator=generator, dtype=torch.float64)


@torch.no_grad()
def compare(
    head: TensorGuide, generate: Callable[[TensorGuide], Tensor] = TensorGuide.generate
) -> dict[str, Any]:
    """Generated weights against the sum written out, and the cut into W1 and W2.

    Args:
        head: a small one: every entry is a sum over the whole latent.
        generate: what is to be compared.
    """
    wanted = summed(head)
    fast = generate(head)
    first, second = head.factors()
    in_order = torch.cat([first.reshape(-1), second.reshape(-1)])
    return {
        "error": float((fast - wanted).norm() / wanted.norm()),
        "cut_in_order": bool(torch.equal(in_order, head.generate())),
    }


def summed(head: TensorGuide) -> Tensor:
    """Eq. 3 as it stands: over every m and n, a product of K small matrices."""
    cores = [core.detach() for core in head.cores]
    z = head.latent.reshape(head.shape.in_dims)
    weights = []
    for m in product(*map(range, head.shape.out_dims)):
        total = z.new_zeros(())
        for n in product(*map(range, head.shape.in_dims)):
            chain = z[n] * torch.ones(1, 1, dtype=z.dtype)
            for core, i, j in zip(cores, n, m, strict=True):
                chain = chain @ core[:, i, j]
            total = total + chain.squeeze()
        weights.append(total)
    return torch.stack(weights)


def straddling(width: int, in_features: int = 512, outputs: int = 2) -> dict[str, Any]:
    """How the modes of a planned head meet the rows of W1 and the cut between W1 and W2."""
    shape: TTShape = plan(in_features, outputs, width).shape
    block = prod(shape.out_dims[2:])
    split = sum(
        row * width // block != ((row + 1) * width - 1) // block for row in range(in_features)
    )
    return {
        "width": width,
        "out_dims": " × ".join(map(str, shape.out_dims)),
        "block": block,
        "rows_split": split,
        "rows": in_features,
        "factors_share_block": in_features * width % block != 0,
    }


@torch.no_grad()
def latent_cosine(seed: int, draws: int = 8) -> float:
    """Cosine between the weights of one released head under its z and under fresh ones."""
    generator = torch.Generator().manual_seed(seed)
    shape = plan(512, 2, RELEASED[0]).shape
    head = TensorGuide(
        512, 2, RELEASED[0], shape=shape, preset="released", generator=generator,
        dtype=torch.float64,
    )  # fmt: skip
    own = head.generate()
    cosines = []
    for _ in range(draws):
        head.resample_latent(generator)
        cosines.append(torch.cosine_similarity(own, head.generate(), dim=0).abs())
    return float(torch.stack(cosines).mean())


def judge(measured: Measured) -> Finding:
    """OK if weights and cut agree; a latent that changes the weights is named as an open end."""
    error, cosine = measured.values["largest_error"], measured.values["fresh_latent_cosine"]
    if error > 1e-12 or not measured.values["cut_in_order"]:
        return Finding(
            Verdict.FALSE,
            f"Generated weights differ from the sum over the latent by {error:.1e}, or the "
            "factors are not the two parts of the generated vector in order.",
        )
    widest = max(measured.rows, key=lambda row: row["rows_split"])
    shared = [str(row["width"]) for row in measured.rows if row["factors_share_block"]]
    because = (
        f"On {measured.values['shapes']} random heads the generated factors equal the sum over "
        f"the latent to {error:.1e}. "
    )
    if cosine < 0.99:
        because += (
            "The formula does not say which z is used after training, and it matters: under a "
            f"fresh z the weights of a released head have a mean |cosine| of {cosine:.2f} with "
            "the ones before. "
        )
    if widest["rows_split"]:
        because += (
            f"Modes and rows are not aligned: at M = {widest['width']}, {widest['rows_split']} "
            f"of {widest['rows']} rows of the first factor straddle two blocks of "
            f"{widest['block']} weights. "
        )
    if shared:
        because += f"At M = {', '.join(shared)} one such block belongs to both factors."
    return Finding(Verdict.OK, because.strip())


CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels={
        "shapes": "random heads compared",
        "largest_error": "largest relative difference from the sum written out",
        "cut_in_order": "the factors are the two parts in order",
        "fresh_latent_cosine": "mean |cosine| of the weights under z and under a fresh z",
    },
    columns={
        "width": "M",
        "out_dims": "modes of w",
        "block": "weights a block (last two modes)",
        "rows_split": "rows of W1 that straddle blocks",
        "rows": "of",
        "factors_share_block": "W1 and W2 share a block",
    },
    sample=SAMPLE,
)
