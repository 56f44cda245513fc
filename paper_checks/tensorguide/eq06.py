"""Eq. 6: the approximation error in two parts."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Generator, Tensor

from ntklab.bounds.maurey import maurey_network
from ntklab.claims.claim import Check, Claim, Effort, Finding, Measured, Sample, Verdict
from ntklab.tasks.barron import barron_target
from ntklab.tensor_train import plan, reconstruct, tt_svd

CLAIM = Claim(
    id="eq06",
    title="The approximation error in two parts",
    words="The adapter is at most as far from the target as a dense network is, plus the distance "
    "between the two.",
    formula=r"\|h^* - f_{TG}\| \le \|h^* - f_{MLP}\| + \|f_{MLP} - f_{TG}\|",
    assumptions=(
        "one norm in all three places",
        "one dense network in both terms on the right",
    ),
)

SAMPLE = Sample(
    "targets of known Barron constant",
    why="The target h* must be known as a function, which it is for a made one only.",
)

Distance = Callable[[Tensor, Tensor], float]
NORMS: Mapping[str, Distance] = {
    "root mean square": lambda f, g: float((f - g).square().mean().sqrt()),
    "mean": lambda f, g: float((f - g).abs().mean()),
    "largest": lambda f, g: float((f - g).abs().max()),
}
RANKS = ((1, 2, 2, 1, 1), (1, 2, 2, 2, 1), (1, 4, 4, 4, 1))
_FEATURES, _WIDTHS = 4, (8, 32, 128)


@torch.no_grad()
def measure(effort: Effort) -> Measured:
    """All three norms on targets, dense networks and what TT-SVD leaves of them."""
    seeds = SAMPLE.seeds(effort)
    triples = [triple for seed in seeds for triple in triples_of(seed)]
    rows = [{"norm": name, **slack(distance, triples)} for name, distance in NORMS.items()]
    broken = [broken_by_two_networks(seed) for seed in seeds]
    squared = slack(lambda f, g: float((f - g).square().mean()), triples)
    return Measured(
        {
            "triples": len(triples),
            "two_networks": sum(broken),
            "two_networks_of": len(broken),
            "squared_violations": squared["violations"],
        },
        rows,
        len(broken),
    )


def triples_of(seed: int) -> list[tuple[Tensor, Tensor, Tensor]]:
    """(h, f_MLP, f_TG) on samples: the dense network of Barron's proof, then its truncations."""
    return [
        (h, dense, cut)
        for width in _WIDTHS
        for h, dense, cuts in [_networks(seed, width, RANKS)]
        for cut in cuts
    ]


def slack(distance: Distance, triples: Sequence[tuple[Tensor, Tensor, Tensor]]) -> dict[str, Any]:
    """How far the right-hand side is above the left, as a share of the right."""
    shares = []
    for h, dense, cut in triples:
        right = distance(h, dense) + distance(dense, cut)
        shares.append((right - distance(h, cut)) / right)
    return {
        "triples": len(shares),
        "least_slack": min(shares),
        "mean_slack": sum(shares) / len(shares),
        "violations": sum(share < -1e-12 for share in shares),
    }


def broken_by_two_networks(seed: int) -> bool:
    """Whether a wide network in the first term and a narrow one in the second break eq. 6."""
    rms = NORMS["root mean square"]
    h, wide, _ = _networks(seed, 16 * _WIDTHS[-1], ())
    _, narrow, (cut,) = _networks(seed, _WIDTHS[0], ((1, 16, 16, 16, 1),))
    return rms(h, cut) > rms(h, wide) + rms(narrow, cut)


def _networks(
    seed: int, width: int, ranks: Sequence[tuple[int, ...]]
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Outputs of the target, of a dense network of its own, and of that network cut."""
    generator = Generator().manual_seed(seed)
    target = barron_target(
        torch.ones(_FEATURES, dtype=torch.float64), terms=4, bandwidth=1.0, seed=seed
    )
    x = torch.randn(256, _FEATURES, generator=generator, dtype=torch.float64)
    network = maurey_network(target, width, float(x.norm(dim=1).max()), generator=generator)
    phi = torch.cat([x, torch.ones(len(x), 1, dtype=x.dtype)], dim=1)
    first = torch.cat([network.directions, network.biases.unsqueeze(1)], dim=1).T
    second = network.coefficients.unsqueeze(1)
    affine = x @ network.slope + network.offset
    balance = (second.norm() / first.norm()).sqrt()  # norms shared evenly: the same function
    weights = torch.cat([(first * balance).reshape(-1), (second / balance).reshape(-1)])
    cuts = []
    for rank in ranks:
        shape = plan(_FEATURES + 1, 1, width, ranks=rank).shape
        train = tt_svd(weights.reshape(shape.out_dims), ranks=shape.bond_ranks)
        cut = reconstruct(train.cores).reshape(-1)
        first_cut = cut[: first.numel()].reshape(first.shape)
        second_cut = cut[first.numel() :].reshape(second.shape)
        cuts.append(((phi @ first_cut).relu() @ second_cut).squeeze(1) + affine)
    return target(x), network(x), cuts


def judge(measured: Measured) -> Finding:
    """OK if no triple breaks the inequality in any norm."""
    values = measured.values
    failing = [row["norm"] for row in measured.rows if row["violations"]]
    if failing:
        return Finding(
            Verdict.FALSE,
            f"The inequality fails on triples of functions measured by: {', '.join(failing)}.",
        )
    least = min(row["least_slack"] for row in measured.rows)
    because = (
        f"The triangle inequality: on {values['triples']} triples (target, dense network, its "
        f"truncation) it holds in {len(measured.rows)} norms, with a slack of {least:.1%} of the "
        "right-hand side at the least. "
    )
    if values["squared_violations"]:
        because += (
            f"It is not one for mean squared errors, which break it {values['squared_violations']} "
            "times. "
        )
    if values["two_networks"]:
        because += (
            "And both terms must speak of one network: a wide one in the first and a narrow one "
            f"in the second break it at {values['two_networks']} of "
            f"{values['two_networks_of']} seeds, which matters for eq. 9."
        )
    return Finding(Verdict.OK, because.strip())


CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels={
        "triples": "triples (h, dense network, its truncation)",
        "squared_violations": "triples whose mean squared errors break it",
        "two_networks": "seeds at which two different dense networks break it",
        "two_networks_of": "seeds",
    },
    columns={
        "norm": "norm",
        "triples": "triples",
        "violations": "violations",
        "least_slack": "least slack, share of the right",
        "mean_slack": "mean slack",
    },
    sample=SAMPLE,
)
