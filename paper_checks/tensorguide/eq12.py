"""Eq. 12: the generator's Jacobian."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ntklab.adapters.head import FactorAdapter
from ntklab.claims.claim import Check, Claim, Effort, Finding, Measured, Sample, Verdict
from ntklab.spectra import spectrum
from ntklab.spectra.operator import DenseJacobian
from paper_checks.tensorguide.eq11 import SHAPES, random_head

CLAIM = Claim(
    id="eq12",
    title="The Jacobian of the tensor-train generator",
    words="J_TT is the derivative of all generated weights by all entries of the cores; with it "
    "the kernel of eq. 11 is a sum of one kernel a core.",
    formula=r"J_{TT} = \frac{\partial\, \mathrm{TT}(z; G)}{\partial (G_1,\dots,G_K)} "
    r"\in \mathbb{R}^{D\times P}",
    assumptions=("a definition; that it has full rank is not part of it, and does not hold",),
)

SAMPLE = Sample("random trains", why="A definition knows no task.")

TangentMap = Callable[[FactorAdapter], Tensor]


def library_map(head: FactorAdapter) -> Tensor:
    """J_TT by contraction of the cores' environments."""
    return head.tangent_map()


def measure(effort: Effort) -> Measured:
    """J_TT against exact differences, Euler's identity, and its rank, on random trains."""
    rows, seeds = [], SAMPLE.seeds(effort)
    for index, (d, C, M, ranks) in enumerate(SHAPES):
        heads = [
            tried(random_head(d, C, M, ranks, "identity", seed=10 * seed + index)) for seed in seeds
        ]
        worst = {name: max(row[name] for row in heads) for name in ("difference", "euler")}
        nullity = min(row["nullity"] for row in heads)
        rows.append(heads[0] | worst | {"seeds": len(heads), "nullity": nullity})
    return Measured(
        {
            "difference": max(row["difference"] for row in rows),
            "euler": max(row["euler"] for row in rows),
            "trains": sum(row["seeds"] for row in rows),
            "least_nullity": min(row["nullity"] for row in rows),
        },
        rows,
        min(row["seeds"] for row in rows),
    )


@torch.no_grad()
def tried(head: FactorAdapter, tangent_map: TangentMap = library_map) -> dict[str, Any]:
    """One train. w is linear in each core, so w(G_k + E) − w(G_k) is the derivative, exactly."""
    J = tangent_map(head)
    weights = head.generate()
    cores = nn.ParameterList(head.get_submodule("cores").parameters())
    source, offset = torch.Generator().manual_seed(0), 0
    worst, euler = 0.0, 0.0
    for core in cores:
        block = J[:, offset : offset + core.numel()]
        offset += core.numel()
        start = core.clone()
        step = torch.randn(core.shape, generator=source, dtype=core.dtype) * start.norm()
        core.add_(step)
        moved = head.generate() - weights
        core.copy_(start)
        worst = max(worst, float((moved - block @ step.reshape(-1)).norm() / moved.norm()))
        euler = max(euler, float((block @ start.reshape(-1) - weights).norm() / weights.norm()))
    s = spectrum(DenseJacobian(J, 1))
    return {
        "shape": str(next(iter(head.shapes.values()))),
        "D": J.shape[0],
        "P": J.shape[1],
        "rank": s.rank,
        "nullity": J.shape[1] - s.rank,
        "difference": worst,
        "euler": euler,
    }


def judge(measured: Measured) -> Finding:
    """OK if J_TT is the derivative, to rounding; what its rank is stands beside."""
    values = measured.values
    worst = max(values["difference"], values["euler"])
    if worst > 1e-10:
        return Finding(
            Verdict.FALSE,
            f"Moving one core changes the weights by other amounts than J_TT says: they differ by "
            f"{worst:.1e} of the change, or of the weights.",
        )
    flat = (
        f" In no direction of the weights' space beyond P does it move anything, and at least "
        f"{values['least_nullity']} directions of the cores move nothing (the gauge)."
        if values["least_nullity"] > 0
        else ""
    )
    return Finding(
        Verdict.OK,
        f"A definition. On {values['trains']} trains J_TT agrees with the change of the weights "
        f"when one core moves to {values['difference']:.1e}, and with Euler's identity "
        f"J_k G_k = w to {values['euler']:.1e}." + flat,
        brief=f"J_TT is the derivative of the weights to {values['difference']:.0e} on "
        f"{values['trains']} trains",
    )


CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels={
        "trains": "trains",
        "difference": "largest relative distance from exact differences",
        "euler": "largest relative error of J_k G_k = w",
        "least_nullity": "least number of directions of the cores that move nothing",
    },
    columns={
        "shape": "train",
        "seeds": "seeds",
        "D": "D",
        "P": "P",
        "rank": "rank J_TT",
        "nullity": "null directions",
        "difference": "from differences",
        "euler": "from Euler",
    },
    sample=SAMPLE,
)
