"""Eq. 23: the kernel of LoRA through the derivative of BA."""

from collections.abc import Callable

import torch
from torch import Tensor

from ntklab import build_adapter, ntk
from ntklab.adapters import LoRA
from ntklab.claims import Check, Claim, Effort, Finding, Measured, Sample, Verdict

CLAIM = Claim(
    id="eq23",
    title="LoRA's kernel by the chain rule",
    words="The kernel of LoRA is that of the merged matrix, seen through the derivative of BA by "
    "A and B.",
    formula=r"K_{lora} = \nabla_w f\, J_{lora} J_{lora}^\top\, \nabla_w f^\top,\quad "
    r"J_{lora} = [\,B\otimes I \mid I\otimes A^\top\,]",
    assumptions=(
        "w is the merged update BA, flattened row by row, and the parameters come as A, then B",
        "with the scale α/r of the update, J carries it as a factor",
    ),
)

SAMPLE = Sample("random shapes and features", quick=20, why="An identity knows no task.")

Derivative = Callable[[Tensor, Tensor], Tensor]


def by_rows(A: Tensor, B: Tensor) -> Tensor:
    """[B ⊗ I | I ⊗ Aᵀ]: the derivative of vec(BA), row by row, by vec A and vec B."""
    d, C, eye = A.shape[1], B.shape[0], torch.eye
    by_a = torch.kron(B, eye(d, dtype=A.dtype))
    return torch.cat([by_a, torch.kron(eye(C, dtype=A.dtype), A.T.contiguous())], dim=1)


def chained(head: LoRA, features: Tensor, derivative: Derivative = by_rows) -> Tensor:
    """The right-hand side of eq 23, every factor written out."""
    A, B = (p.detach() for p in (head.A, head.B))
    outputs = torch.eye(head.out_features, dtype=features.dtype)
    gradient = torch.cat([torch.kron(outputs, phi[None]) for phi in features])
    J = head.scale * derivative(A, B)
    return gradient @ J @ J.T @ gradient.T


def trial(seed: int, derivative: Derivative = by_rows) -> dict[str, float]:
    """One random shape: the chain, the closed form and autograd, relative to λ_max's scale."""
    generator = torch.Generator().manual_seed(seed)
    d, C, r, N = (int(torch.randint(2, 13, (), generator=generator)) for _ in range(4))
    head = build_adapter(
        "lora", d, C, rank=r, preset="released", generator=generator, dtype=torch.float64
    )
    assert isinstance(head, LoRA)
    features = torch.randn(N, d, generator=generator, dtype=torch.float64)
    autograd = ntk(head, features, engine="loop")
    closed = ntk(head, features, engine="structured")
    product = chained(head, features, derivative)
    size = autograd.norm()
    return {
        **{"d": d, "C": C, "r": r, "N": N},
        "chain_error": float((product - autograd).norm() / size),
        "closed_error": float((closed - autograd).norm() / size),
    }


def measure(effort: Effort) -> Measured:
    """Three routes to one kernel on random shapes."""
    return collect([trial(seed) for seed in SAMPLE.seeds(effort)])


def collect(rows: list[dict[str, float]]) -> Measured:
    """The largest disagreement of each route with autograd."""
    largest = {name: max(row[name] for row in rows) for name in ("chain_error", "closed_error")}
    released = build_adapter("lora", 512, 2, preset="released").scale ** 2
    return Measured({**largest, "scale_squared": released}, rows, len(rows))


def judge(measured: Measured) -> Finding:
    """OK if the chain gives the kernel that autograd gives."""
    chain, closed = measured.values["chain_error"], measured.values["closed_error"]
    if max(chain, closed) < 1e-12:
        return Finding(
            Verdict.OK,
            f"On {len(measured.rows)} random shapes the written-out chain equals the kernel from "
            f"autograd to {chain:.1e}, and the closed form s²[ΦAᵀAΦᵀ ⊗ I + ΦΦᵀ ⊗ BBᵀ] to "
            f"{closed:.1e}. The released scale enters squared: leaving it out of J makes the "
            f"kernel {measured.values['scale_squared']:.3g} times too small.",
        )
    return Finding(
        Verdict.FALSE,
        f"The written-out chain differs from the kernel that autograd gives by {chain:.1e}, the "
        f"closed form by {closed:.1e}.",
    )


CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels={
        "chain_error": "eq 23 against autograd, largest relative difference",
        "closed_error": "closed form against autograd, largest relative difference",
        "scale_squared": "(α/r)² as released",
    },
    columns={
        **{"d": "d", "C": "C", "r": "r", "N": "N"},
        "chain_error": "eq 23",
        "closed_error": "closed form",
    },
    sample=SAMPLE,
)
