"""Eq. 25: the kernel of TensorGuide through the derivative of the generated weights."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ntklab import TensorGuide, build_adapter, ntk
from ntklab.claims import Check, Claim, Effort, Finding, Measured, Sample, Verdict
from ntklab.jacobians.weight_space import weight_jacobian, weight_kernel

CLAIM = Claim(
    id="eq25",
    title="TensorGuide's kernel by the chain rule",
    words="The kernel of TensorGuide is the product of the network's derivative by the generated "
    "weights and the derivative of the tensor train by its cores.",
    formula=r"K_{TG} = G_w\, J_{TT} J_{TT}^\top\, G_w^\top,\quad G_w = \frac{\partial f}"
    r"{\partial w},\ J_{TT} = \frac{\partial w}{\partial \theta}",
    assumptions=("a latent z that is fixed while the kernel is taken",),
)

SAMPLE = Sample("small heads, Gaussian features", why="An identity knows no task.")

Tangent = Callable[[TensorGuide], Tensor]
ACTIVATIONS = ("identity", "relu")


def head_of(activation: str, seed: int, preset: str = "ntk") -> TensorGuide:
    """A TensorGuide small enough for every dense factor: 12 features, 2 outputs, width 8."""
    head = build_adapter(
        *("tensorguide", 12, 2),
        width=8,
        in_dims=(1, 2, 2),
        out_dims=(7, 4, 4),
        tt_ranks=(1, 2, 2, 1),
        activation=activation,
        preset=preset,
        generator=torch.Generator().manual_seed(seed),
        dtype=torch.float64,
    )
    assert isinstance(head, TensorGuide)
    return head


def own_tangent(head: TensorGuide) -> Tensor:
    """J_TT at the head's own cores and latent."""
    return head.tangent_map()


def trial(activation: str, seed: int, tangent: Tangent = own_tangent) -> dict[str, object]:
    """The chain, the library's engine and one gradient an output, on one random head."""
    head = head_of(activation, seed)
    generator = torch.Generator().manual_seed(1000 + seed)
    features = torch.randn(6, head.in_features, generator=generator, dtype=torch.float64)
    G = weight_jacobian(head, features)
    J = G @ tangent(head)
    autograd = ntk(head, features, engine="loop")
    structured = ntk(head, features, engine="structured")
    direct = weight_kernel(head, features)
    return {
        **{"activation": activation, "seed": seed, "P": J.shape[1], "D": G.shape[1]},
        "chain_error": _relative(J @ J.T, autograd),
        "engine_error": _relative(structured, autograd),
        "weight_kernel_error": _relative(direct, G @ G.T),
    }


def measure(effort: Effort) -> Measured:
    """Three routes to one kernel, linear as released and with ReLU as described."""
    return collect([trial(name, seed) for name in ACTIVATIONS for seed in SAMPLE.seeds(effort)])


def collect(rows: Sequence[dict[str, object]]) -> Measured:
    """The largest disagreement of each route."""
    names = ("chain_error", "engine_error", "weight_kernel_error")
    seeds = len({row["seed"] for row in rows})
    return Measured(
        {name: max(float(str(row[name])) for row in rows) for name in names}, rows, seeds
    )


def judge(measured: Measured) -> Finding:
    """OK if chain, engine and autograd agree."""
    chain, engine = measured.values["chain_error"], measured.values["engine_error"]
    if max(chain, engine, measured.values["weight_kernel_error"]) < 1e-12:
        return Finding(
            Verdict.OK,
            f"On {len(measured.rows)} random heads, linear and ReLU, the product of the two dense "
            f"factors equals the kernel from one gradient an output to {chain:.1e}, and the "
            f"library's engine, which never forms them, to {engine:.1e}. For C outputs this is a "
            "matrix of size NC, a C by C block a pair of samples.",
        )
    return Finding(
        Verdict.FALSE,
        f"Against one gradient an output, the product of the two factors is off by {chain:.1e} "
        f"and the library's engine by {engine:.1e}.",
    )


def _relative(measured: Tensor, wanted: Tensor) -> float:
    return float((measured - wanted).norm() / wanted.norm())


CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels={
        "chain_error": "eq 25 against autograd, largest relative difference",
        "engine_error": "structured engine against autograd, largest relative difference",
        "weight_kernel_error": "closed form of the weight-space kernel, largest difference",
    },
    columns={
        **{"activation": "σ", "seed": "seed", "P": "P", "D": "D"},
        "chain_error": "eq 25",
        "engine_error": "engine",
    },
    sample=SAMPLE,
)
