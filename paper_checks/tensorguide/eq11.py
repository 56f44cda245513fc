"""Eq. 11: TensorGuide's kernel, through the weights that it generates."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Generator, Tensor

from ntklab.adapters import build_adapter
from ntklab.adapters.head import FactorAdapter
from ntklab.claims.claim import Check, Claim, Effort, Finding, Measured, Sample, Verdict
from ntklab.errors import InputError
from ntklab.jacobians import jacobian
from ntklab.spectra import relative_distance

CLAIM = Claim(
    id="eq11",
    title="TensorGuide's kernel by the chain rule",
    words="The kernel between two inputs is the gradient of the output by the generated weights, "
    "times the generator's Jacobian and its transpose, times the gradient at the other input.",
    formula=r"K_{tg}(x,x') = \nabla_w f(x)^\top J_{TT}\, J_{TT}^\top\, \nabla_w f(x'),\quad "
    r"J_{TT} = \frac{\partial w}{\partial\theta}",
    assumptions=(
        "parameters at which f is differentiable",
        "with several outputs the gradient is a matrix with a column an output, and K(x, x') is "
        "C × C",
    ),
)

SAMPLE = Sample("random heads, Gaussian features", why="An identity knows no task.")

#: (d, C, M, TT-ranks): aligned and collapsed, not collapsed, and with a width no mode divides.
SHAPES = (
    (12, 2, 8, (1, 2, 2, 1, 1)),
    (16, 3, 8, (1, 2, 2, 2, 1)),
    (10, 4, 5, None),
    (9, 2, 7, None),
)
ACTIVATIONS = ("identity", "relu", "tanh")

#: From a head to J_TT, (D, P).
TangentMap = Callable[[FactorAdapter], Tensor]


def library_map(head: FactorAdapter) -> Tensor:
    """J_TT by contraction of the cores' environments."""
    return head.tangent_map()


def measure(effort: Effort) -> Measured:
    """The product of eq 11 against kernels by autodiff through all cores and by the fast engine."""
    rows = []
    for index, (d, C, M, ranks) in enumerate(SHAPES):
        for activation in ACTIVATIONS:
            for seed in SAMPLE.seeds(effort):
                head = random_head(d, C, M, ranks, activation, seed=10 * seed + index)
                rows.append(compared(head, seed))
    names = ("by_autodiff", "by_structured")
    worst = {name: max(row[name] for row in _by_case(rows)) for name in names}
    shared = [row["cross_class"] for row in rows]
    table = _by_case(rows)
    return Measured(
        worst | {"heads": len(rows), "cross_class": max(shared)}, table, len(rows) // len(table)
    )


def random_head(
    d: int, C: int, M: int, ranks: tuple[int, ...] | None, activation: str, *, seed: int
) -> FactorAdapter:
    """A TensorGuide of these sizes; an activation that scales ranks out is planned around."""
    head = build_adapter(
        "tensorguide",
        d,
        C,
        width=M,
        tt_ranks=ranks,
        activation=activation,
        generator=Generator().manual_seed(seed),
        dtype=torch.float64,
    )
    if not isinstance(head, FactorAdapter):
        raise InputError("TensorGuide is expected to generate two factors.")
    return head


def compared(
    head: FactorAdapter, seed: int, tangent_map: TangentMap = library_map
) -> dict[str, Any]:
    """One head: eq 11 multiplied out, against two kernels that know nothing of weights."""
    source = Generator().manual_seed(seed)
    x = torch.randn(7, head.in_features, generator=source, dtype=torch.float64)
    by_weights = weight_gradients(head, x) @ tangent_map(head)
    K = by_weights @ by_weights.T
    C = head.out_features
    same = torch.eye(C, dtype=torch.bool).repeat(len(x), len(x))
    return {
        "d": head.in_features,
        "C": C,
        "M": head.width,
        "activation": head.activation.name,
        "shape": str(next(iter(head.shapes.values()))),
        "by_autodiff": relative_distance(jacobian(head, x, engine="loop").gram(), K),
        "by_structured": relative_distance(jacobian(head, x, engine="structured").gram(), K),
        "cross_class": float(K[~same].norm() / K.norm()) if C > 1 else 0.0,
    }


def weight_gradients(head: FactorAdapter, x: Tensor) -> Tensor:
    """∂f/∂w at the generated weights, (N·C, D), by autodiff of the two-layer network alone."""
    d, M, C = head.in_features, int(head.width or 0), head.out_features

    def outputs(w: Tensor) -> Tensor:
        first, second = w[: d * M].reshape(d, M), w[d * M :].reshape(M, C)
        return (head.scale * head.activation.function(x @ first) @ second).reshape(-1)

    with torch.no_grad():
        w = head.generate().detach()
    return torch.func.jacrev(outputs)(w)


def _by_case(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The worst of the seeds of each shape and activation."""
    cases: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        key = tuple(row[name] for name in ("d", "C", "M", "activation"))
        most = cases.setdefault(key, row)
        worst = {
            name: max(most[name], row[name])
            for name in ("by_autodiff", "by_structured", "cross_class")
        }
        cases[key] = most | worst
    return list(cases.values())


def judge(measured: Measured) -> Finding:
    """OK if all routes agree to rounding; FALSE if one does not."""
    values = measured.values
    worst = max(values["by_autodiff"], values["by_structured"])
    if worst < 1e-10:
        return Finding(
            Verdict.OK,
            f"On {values['heads']} heads the product of eq. 11 equals the kernel by autodiff "
            f"through all cores to {values['by_autodiff']:.1e} and that of the structured engine "
            f"to {values['by_structured']:.1e}. It is matrix-valued: entries between different "
            f"outputs hold up to {100 * values['cross_class']:.0f} % of its norm.",
        )
    return Finding(
        Verdict.FALSE,
        f"On {values['heads']} heads the product of eq. 11 differs from the kernel by "
        f"{worst:.1e} of its norm.",
    )


CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels={
        "heads": "heads",
        "by_autodiff": "largest distance from the kernel by autodiff, over its norm",
        "by_structured": "the same for the structured engine",
        "cross_class": "largest share of the norm between different outputs",
    },
    columns={
        "d": "d",
        "C": "C",
        "M": "M",
        "activation": "σ",
        "shape": "train",
        "by_autodiff": "from autodiff",
        "by_structured": "from structured",
        "cross_class": "between outputs",
    },
    sample=SAMPLE,
)
