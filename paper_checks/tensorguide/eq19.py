"""Eq. 19: the complexity through κ, or through λ_min."""

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ntklab.bounds import (
    fit_bound,
    kappa_bound,
    lambda_min_bound,
    minimum_norm_fit,
    monte_carlo_rademacher,
    trace_bound,
)
from ntklab.claims.claim import Check, Claim, Effort, Finding, Measured, Sample, Verdict
from ntklab.jacobians import jacobian
from ntklab.spectra import spectrum
from ntklab.spectra.operator import DenseJacobian
from paper_checks.tensorguide._tasks import drawn_rows, images, start_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CLAIM = Claim(
    id="eq19",
    title="Complexity through the least eigenvalue",
    words="The complexity is at most Bκ/√N with κ² the largest diagonal entry of the kernel, and, "
    "since the labels are fitted with B ≤ ‖y‖/√λ_min, a larger λ_min makes it smaller.",
    formula=r"\mathcal{R}_S(\mathcal{F}) \le \frac{B\kappa}{\sqrt{N}},\quad "
    r"B \le \frac{\|y\|}{\sqrt{\lambda_{\min}}}",
    confidence="L",
    assumptions=(
        "reading A: a ball of radius B, whatever λ_min is",
        "reading B: the ball that holds the interpolant of labels ±1, for which λ_min > 0 is "
        "needed",
        "a complexity of 1 is reached by all functions with values ±1: from there on a bound says "
        "nothing",
    ),
)

METHODS = ("lora", "tensorguide", "linear-probe")
SAMPLE = Sample("quantum dots; kernels aligned with drawn labels")


def measure(effort: Effort) -> Measured:
    """Kernels of the quantum-dot margin at growing N, and one aligned with its labels."""
    sizes = (32, 64, 128, 256, 512) if effort.full else (16, 32, 64, 128)
    seeds = SAMPLE.seeds(effort)
    rows = [
        row_of("quantum dots", method, *quantum_dots(method, n, effort, seed))
        for method in METHODS
        for n in sizes
        for seed in seeds
    ]
    rows += [
        row_of("aligned with the labels", "planted", *aligned(n, seed=seed))
        for n in sizes
        for seed in seeds
    ]
    rows += [
        row_of("one feature: the label", "planted", y[:, None], y)
        for _, y in (aligned(16, seed=seed) for seed in seeds)
    ]
    return measured_of(rows)


def measured_of(kernels: Sequence[Mapping[str, Any]]) -> Measured:
    """The deciding numbers over all kernels; rows: medians over those of one method, data and N."""
    groups: dict[tuple[str, str, int], list[Mapping[str, Any]]] = {}
    for row in kernels:
        groups.setdefault((row["data"], row["method"], row["samples"]), []).append(row)
    rows: list[dict[str, Any]] = []
    for (data, method, samples), own in groups.items():
        read = [row for row in own if row["by_lambda_min"] is not None]
        medians = {
            name: median(row[name] for row in own)
            for name in ("rank", "radius", "complexity", "by_fit", "by_kappa", "floor")
        }
        least = median(row["by_lambda_min"] for row in read) if read else None
        rows.append(
            {"data": data, "method": method, "samples": samples, "seeds": len(own)}
            | {"singular": len(own) - len(read), **medians, "by_lambda_min": least}
        )
    return Measured(summary(kernels), rows, min(row["seeds"] for row in rows))


def quantum_dots(method: str, samples: int, effort: Effort, seed: int) -> tuple[Tensor, Tensor]:
    """J of the margin f₁ − f₀, and labels ±1."""
    task = drawn_rows(images(effort.full), samples, seed)
    head = start_of(method, task, seed)
    J = jacobian(head, task.train.features).dense().reshape(samples, 2, -1)
    return J[:, 1] - J[:, 0], 2.0 * task.train.labels.double() - 1.0


def aligned(samples: int, floor: float = 0.01, seed: int = 0) -> tuple[Tensor, Tensor]:
    """J with K = yyᵀ + floor² I: the labels are the leading eigenvector, as well as can be."""
    source = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 2, (samples,), generator=source).double() * 2 - 1
    return torch.cat([y[:, None], floor * torch.eye(samples, dtype=torch.float64)], dim=1), y


def row_of(name: str, method: str, J: Tensor, y: Tensor) -> dict[str, Any]:
    """All forms at the radius of the minimum-norm fit; reading B at its own."""
    K, N = J @ J.T, len(y)
    s = spectrum(DenseJacobian(J, 1), vectors=True)
    radius = minimum_norm_fit(s, y).radius
    estimate = monte_carlo_rademacher(K, radius=radius, draws=1000)
    return {
        "data": name,
        "method": method,
        "samples": N,
        "rank": s.rank,
        "radius": radius,
        "complexity": estimate.value,
        "doubt": 3 * estimate.standard_error,
        "by_trace": trace_bound(K, radius=radius).value,
        "by_kappa": kappa_bound(K, radius=radius).value,
        "by_lambda_min": lambda_min_bound(s, y).value,
        "by_fit": fit_bound(s, y).value,
        "floor": math.sqrt(s.trace / s.lambda_max / N),
    }


def summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The deciding numbers: is A a bound, is B ever below 1, and does either fall with N."""
    read = [row for row in rows if row["by_lambda_min"] is not None]
    return {
        "kernels": len(rows),
        "singular": len(rows) - len(read),
        "broken_by_kappa": sum(
            row["complexity"] - row["doubt"] > row["by_kappa"] * (1 + 1e-9) for row in rows
        ),
        "broken_by_least": sum(
            row["complexity"] - row["doubt"] > row["by_lambda_min"] * (1 + 1e-9) for row in read
        ),
        "least_by_least": min((row["by_lambda_min"] for row in read), default=None),
        "least_by_kappa": min(row["by_kappa"] for row in rows),
        "least_by_fit": min(row["by_fit"] for row in rows),
        "slope_by_least": slope(read, "by_lambda_min"),
        "below_floor": sum(row["by_fit"] < row["floor"] * (1 - 1e-9) for row in read),
    }


def slope(rows: Sequence[Mapping[str, Any]], name: str) -> float | None:
    """Median over data and methods of the slope of log value against log N; None without two N."""
    groups: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for row in rows:
        point = (math.log(row["samples"]), math.log(row[name]))
        groups.setdefault((row["data"], row["method"]), []).append(point)
    slopes = []
    for points in groups.values():
        if len({x for x, _ in points}) > 1:
            mean_x = sum(x for x, _ in points) / len(points)
            mean_y = sum(y for _, y in points) / len(points)
            spread = sum((x - mean_x) ** 2 for x, _ in points)
            slopes.append(sum((x - mean_x) * (y - mean_y) for x, y in points) / spread)
    return sorted(slopes)[len(slopes) // 2] if slopes else None


def judge(measured: Measured) -> Finding:
    """FALSE if either is no bound, OK if λ_min's form is ever below 1, else VACUOUS."""
    values = measured.values
    if values["broken_by_kappa"] or values["broken_by_least"]:
        return Finding(
            Verdict.FALSE,
            f"The complexity exceeds Bκ/√N for {values['broken_by_kappa']} of "
            f"{values['kernels']} kernels, and the form with λ_min for "
            f"{values['broken_by_least']}.",
        )
    least = values["least_by_least"]
    if least is not None and least < 1:
        return Finding(
            Verdict.OK,
            f"Both readings bound the complexity of all {values['kernels']} kernels, and the one "
            f"with λ_min comes down to {least:.2f}, below the 1 that needs no bound.",
        )
    return Finding(
        Verdict.VACUOUS,
        f"Reading A, Bκ/√N, bounds the complexity of all {values['kernels']} kernels (down to "
        f"{values['least_by_kappa']:.2f}), and λ_min plays no part in it. {_reading_b(values)}",
        mended="R_S ≤ Bκ/√N for a given B. The norm that the labels need is √(yᵀK⁺y), not "
        "‖y‖/√λ_min: then R_S ≤ √(yᵀK⁺y · tr K)/N, for singular K too, which is never below "
        "√(tr K/(N λ_max)) for labels ±1 that the kernel can fit. Only labels aligned with the "
        f"large eigenvalues make it small ({values['least_by_fit']:.2f} at best here).",
        formula=r"\mathcal{R}_S \le \frac{1}{N}\sqrt{y^\top K^{+} y \cdot \operatorname{tr} K}",
    )


def _reading_b(values: Mapping[str, Any]) -> str:
    if values["least_by_least"] is None:
        return "Reading B does not exist: every kernel is singular."
    fall = values["slope_by_least"]
    decay = "" if fall is None else f", and it goes with N as N to the power {fall:.2f}"
    return (
        f"Reading B, with λ_min, is never below {values['least_by_least']:.2f} (tr K ≥ N λ_min "
        f"alone makes it at least 1 for labels ±1){decay}."
    ) + (
        f" For singular kernels ({values['singular']} here) it does not exist."
        if values["singular"]
        else ""
    )


def draw(measured: Measured) -> "Figure":
    """Against N: the complexity, and what the three forms allow; a panel a method."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter

    from ntklab.figures import drawing, method_style

    shown = [row for row in measured.rows if row["by_lambda_min"] is not None]
    methods = list(dict.fromkeys(row["method"] for row in shown))
    lines = {
        "by_lambda_min": ("reading B: through $\\lambda_{\\min}$", "#D55E00", "^", "--"),
        "by_kappa": ("reading A: $B\\kappa/\\sqrt{N}$", "#0072B2", "s", "-"),
        "by_fit": ("through the fit", "#009E73", "D", "-."),
        "complexity": ("complexity", "#000000", "o", "-"),
    }
    with drawing("neurips", columns=len(methods), height_to_width=1.9):
        figure = Figure(layout="constrained")
        panels = figure.subplots(1, len(methods), sharey=True, squeeze=False)[0]
        for axes, method in zip(panels, methods, strict=True):
            rows = [row for row in shown if row["method"] == method]
            for name, (label, colour, marker, line) in lines.items():
                axes.plot(
                    [row["samples"] for row in rows], [row[name] for row in rows],
                    linestyle=line, marker=marker, color=colour, markersize=3, label=label,
                )  # fmt: skip
            axes.axhline(1.0, color="#808080", linewidth=0.8)
            axes.set_xscale("log")
            axes.set_yscale("log")
            axes.set_xticks([row["samples"] for row in rows], [row["samples"] for row in rows])
            axes.xaxis.set_minor_formatter(NullFormatter())
            axes.set_title(method_style(method).label if method != "planted" else "aligned labels")
            axes.set_xlabel("N")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels={
        "kernels": "kernels",
        "singular": "of which singular",
        "broken_by_kappa": "with a complexity above reading A",
        "broken_by_least": "with a complexity above reading B",
        "least_by_kappa": "least value of reading A",
        "least_by_least": "least value of reading B",
        "least_by_fit": "least value of the form through the fit",
        "slope_by_least": "power of N with which reading B goes (median)",
        "below_floor": "kernels with the form through the fit below √(tr K/(N λ_max))",
    },
    columns={
        "data": "data",
        "method": "method",
        "samples": "N",
        "seeds": "seeds",
        "singular": "singular at",
        "rank": "rank K, median",
        "radius": "√(yᵀK⁺y), median",
        "complexity": "R_S",
        "by_fit": "through the fit",
        "by_kappa": "reading A",
        "by_lambda_min": "reading B",
        "floor": "√(tr K/(N λ_max))",
    },
    draw=draw,
    caption="Rademacher complexity of the ball that holds the fit of labels ±1 (the margin on "
    "quantum dots), and what eq. 19 allows in both readings, medians over seeds; above the grey "
    "line a bound says nothing.",
    sample=SAMPLE,
)
