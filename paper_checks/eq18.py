"""Eq. 18: the complexity is bounded by the trace of the kernel."""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ntklab.bounds import (
    exact_rademacher,
    khintchine_bound,
    monte_carlo_rademacher,
    trace_bound,
)
from ntklab.jacobian import jacobian
from ntklab.sweeps import SpectrumConfig, adapter_for, jacobian_for, sampled_task
from paper_checks._least_eigenvalues import Setting
from paper_checks._tasks import images
from paper_checks.harness.claim import Check, Claim, Effort, Finding, Measured, Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CLAIM = Claim(
    id="eq18",
    title="The trace bound on the complexity",
    words="The supremum is B times the norm of a random sum of kernel functions, whose mean is at "
    "most the square root of the kernel's trace.",
    formula=r"\mathcal{R}_S = \frac{B}{N}\,\mathbb{E}_\sigma\sqrt{\sigma^\top K\sigma} "
    r"\le \frac{B}{N}\sqrt{\operatorname{tr} K}",
    assumptions=(
        "a ball fixed before the samples; K may be singular",
        "Bartlett and Mendelson 2002, Lemma 22; the step is Jensen's inequality",
    ),
)

EXACT, SAMPLED = "all signs", "random signs"
METHODS = ("lora", "tt-lora", "tensorguide", "linear-probe")
SMALL = Setting(label="Gaussian, N=5", regime="", samples=5, features=6)


def measure(effort: Effort) -> Measured:
    """R_S beside the trace form and Khintchine's lower bound: enumerated, and by Monte Carlo."""
    rows = [
        exact_row(SMALL.label, method, _gram(SMALL, method, seed), SMALL.samples)
        for method in METHODS[:1] + METHODS[2:]
        for seed in list(effort.seeds)[:3]
    ]
    rows += [
        sampled_row("quantum dots", method, *_quantum_dot(effort, method), effort)
        for method in METHODS
    ]
    rows += [exact_row("rank one", "planted", torch.ones(2, 2, dtype=torch.float64), 2)]
    rows += [exact_row("orthonormal", "planted", torch.eye(6, dtype=torch.float64), 6)]
    return Measured(summary(rows), rows)


def _gram(setting: Setting, method: str, seed: int) -> Tensor:
    x, outputs = setting.inputs(seed)
    return jacobian(setting.adapter(method, x.shape[1], outputs, seed), x).gram()


def _quantum_dot(effort: Effort, method: str) -> tuple[Tensor, int]:
    config = SpectrumConfig(
        method=method, images=images(effort.full), samples=256 if effort.full else 64
    )
    task = sampled_task(config)
    return jacobian_for(config, task, adapter_for(config, task)).gram(), config.samples


def exact_row(name: str, method: str, K: Tensor, n_samples: int) -> dict[str, Any]:
    """A kernel of at most 20 rows, all sign vectors."""
    value = exact_rademacher(K, n_samples=n_samples).value
    return _row(name, method, EXACT, K, n_samples, value, 0.0)


def sampled_row(
    name: str, method: str, K: Tensor, n_samples: int, effort: Effort
) -> dict[str, Any]:
    """A larger kernel: the estimate, and three of its standard errors as its doubt."""
    draws = 20000 if effort.full else 4000
    found = monte_carlo_rademacher(K, n_samples=n_samples, draws=draws)
    return _row(name, method, SAMPLED, K, n_samples, found.value, 3 * found.standard_error)


def _row(
    name: str, method: str, how: str, K: Tensor, n_samples: int, value: float, doubt: float
) -> dict[str, Any]:
    upper = trace_bound(K, n_samples=n_samples).value or 0.0
    lower = khintchine_bound(K, n_samples=n_samples).value or 0.0
    return {
        "data": name,
        "method": method,
        "how": how,
        "size": len(K),
        "complexity": value,
        "doubt": doubt,
        "upper": upper,
        "lower": lower,
        "ratio": value / upper,
    }


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """How tight the trace form was."""
    ratios = [row["ratio"] for row in rows]
    return {
        "kernels": len(rows),
        "least_ratio": min(ratios),
        "largest_ratio": max(ratios),
        "above": sum(row["complexity"] - row["doubt"] > row["upper"] * (1 + 1e-9) for row in rows),
        "below": sum(row["complexity"] + row["doubt"] < row["lower"] * (1 - 1e-9) for row in rows),
    }


def judge(measured: Measured) -> Finding:
    """OK if the trace form bounds R_S everywhere; VACUOUS if it is far above it."""
    values = measured.values
    if values["above"]:
        return Finding(
            Verdict.FALSE,
            f"R_S lies above (B/N)√tr K for {values['above']} of {values['kernels']} kernels, by "
            f"a factor up to {values['largest_ratio']:.3f}.",
        )
    told = (
        f"R_S lies between {values['least_ratio']:.3f} and {values['largest_ratio']:.3f} of the "
        f"trace form for {values['kernels']} kernels (enumerated up to 10 rows, sampled beyond)"
    )
    if values["below"]:
        return Finding(
            Verdict.MEND,
            f"{told}, for {values['below']} of them below 1/√2 of it: an upper bound only.",
            mended="The trace form bounds R_S from above, but does not determine it.",
        )
    return Finding(
        Verdict.OK,
        f"{told}, never below 1/√2, as Khintchine's inequality demands. So at equal B comparing "
        "complexities is comparing traces, that is, output scales: λ_min plays no part.",
    )


def draw(measured: Measured) -> "Figure":
    """R_S over the trace form, a point a kernel, between 1/√2 and 1."""
    from matplotlib.figure import Figure

    from ntklab.figures import drawing, method_style

    groups = list(dict.fromkeys((row["data"], row["method"]) for row in measured.rows))
    with drawing("neurips", height_to_width=0.5):
        figure = Figure(layout="constrained")
        axes = figure.subplots()
        for row in measured.rows:
            style = method_style(row["method"])
            place = groups.index((row["data"], row["method"]))
            error = row["doubt"] / row["upper"]
            axes.errorbar(
                row["ratio"], place, xerr=error, fmt=style.marker, color=style.colour, markersize=4
            )
        axes.axvline(0.5**0.5, color="#404040", linestyle="--", linewidth=0.8)
        axes.axvline(1.0, color="#404040", linewidth=0.8)
        labels = [f"{method_style(method).label}, {data}" for data, method in groups]
        axes.set_yticks(range(len(groups)), labels, fontsize="small")
        axes.invert_yaxis()
        axes.set_xlabel(r"$\mathcal{R}_S$ over the trace form (dashed: $1/\sqrt{2}$, Khintchine)")
    return figure


CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels={
        "kernels": "kernels",
        "least_ratio": "least R_S over the trace form",
        "largest_ratio": "largest R_S over the trace form",
        "above": "kernels with R_S above the trace form",
        "below": "kernels with R_S below 1/√2 of it",
    },
    columns={
        "data": "data",
        "method": "method",
        "how": "R_S from",
        "size": "N·C",
        "lower": "Khintchine (B = 1)",
        "complexity": "R_S (B = 1)",
        "upper": "eq. 18 (B = 1)",
        "ratio": "R_S over eq. 18",
    },
    draw=draw,
    caption="Rademacher complexity over the trace form of eq. 18; bars are three standard errors "
    "of 4000 or more random sign vectors, none where all signs were enumerated.",
)
