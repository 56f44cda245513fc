"""Eq. 18: the complexity is bounded by the trace of the kernel."""

from statistics import median
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ntklab.bounds import (
    exact_rademacher,
    khintchine_bound,
    monte_carlo_rademacher,
    trace_bound,
)
from ntklab.claims.claim import Check, Claim, Effort, Finding, Measured, Sample, Verdict
from ntklab.jacobians import jacobian
from paper_checks.tensorguide._least_eigenvalues import Setting
from paper_checks.tensorguide._tasks import drawn_rows, images, start_of

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

PLANTED = "planted"
EXACT, SAMPLED = "all signs", "random signs"
METHODS = ("lora", "tt-lora", "tensorguide", "linear-probe")
SAMPLE = Sample("quantum dots, Gaussian features")
DRAWS = 4000
SMALL = Setting(label="Gaussian, N=5", regime="", samples=5, features=6)


def measure(effort: Effort) -> Measured:
    """R_S beside the trace form and Khintchine's lower bound: enumerated, and by Monte Carlo."""
    seeds = SAMPLE.seeds(effort)
    rows = [
        exact_row(SMALL.label, method, _gram(SMALL, method, seed), SMALL.samples)
        for method in METHODS[:1] + METHODS[2:]
        for seed in seeds
    ]
    rows += [
        sampled_row("quantum dots", method, *_quantum_dot(effort, method, seed))
        for method in METHODS
        for seed in seeds
    ]
    rows += [exact_row("rank one", PLANTED, torch.ones(2, 2, dtype=torch.float64), 2)]
    rows += [exact_row("orthonormal", PLANTED, torch.eye(6, dtype=torch.float64), 6)]
    return measured_of(rows)


def measured_of(kernels: list[dict[str, Any]]) -> Measured:
    """The deciding numbers over all kernels; as rows the kernels of one method on the same data."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in kernels:
        groups.setdefault((row["data"], row["method"]), []).append(row)
    rows = []
    for own in groups.values():
        ratios = [row["ratio"] for row in own]
        rows.append(
            {name: own[0][name] for name in ("data", "method", "how", "size")}
            | {"seeds": None if own[0]["method"] == PLANTED else len(own)}
            | {name: median(row[name] for row in own) for name in ("lower", "complexity", "upper")}
            | {"least": min(ratios), "ratio": median(ratios), "largest": max(ratios)}
            | {"doubt": max(row["doubt"] / row["upper"] for row in own)}
        )
    drawn = [row["seeds"] for row in rows if row["seeds"]]
    return Measured(summary(kernels), rows, min(drawn, default=None))


def _gram(setting: Setting, method: str, seed: int) -> Tensor:
    x, outputs = setting.inputs(seed)
    return jacobian(setting.adapter(method, x.shape[1], outputs, seed), x).gram()


def _quantum_dot(effort: Effort, method: str, seed: int) -> tuple[Tensor, int]:
    samples = 256 if effort.full else 64
    task = drawn_rows(images(effort.full), samples, seed)
    return jacobian(start_of(method, task, seed), task.train.features).gram(), samples


def exact_row(name: str, method: str, K: Tensor, n_samples: int) -> dict[str, Any]:
    """A kernel of at most 20 rows, all sign vectors."""
    value = exact_rademacher(K, n_samples=n_samples).value
    return _row(name, method, EXACT, K, n_samples, value, 0.0)


def sampled_row(name: str, method: str, K: Tensor, n_samples: int) -> dict[str, Any]:
    """A larger kernel: the estimate, and three of its standard errors as its doubt."""
    sampled = monte_carlo_rademacher(K, n_samples=n_samples, draws=DRAWS)
    return _row(name, method, SAMPLED, K, n_samples, sampled.value, 3 * sampled.standard_error)


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
    text = (
        f"R_S lies between {values['least_ratio']:.3f} and {values['largest_ratio']:.3f} of the "
        f"trace form for {values['kernels']} kernels (enumerated up to 10 rows, sampled beyond)"
    )
    if values["below"]:
        return Finding(
            Verdict.MEND,
            f"{text}, for {values['below']} of them below 1/√2 of it: an upper bound only.",
            mended="The trace form bounds R_S from above, but does not determine it.",
        )
    return Finding(
        Verdict.OK,
        f"{text}, never below 1/√2, as Khintchine's inequality demands. So at equal B comparing "
        "complexities is comparing traces, that is, output scales: λ_min plays no part.",
    )


def draw(measured: Measured) -> "Figure":
    """R_S over the trace form, median and range over seeds, between 1/√2 and 1."""
    from matplotlib.figure import Figure

    from ntklab.figures import drawing, method_style

    groups = [(row["data"], row["method"]) for row in measured.rows]
    with drawing("neurips", height_to_width=0.5):
        figure = Figure(layout="constrained")
        axes = figure.subplots()
        for place, row in enumerate(measured.rows):
            style = method_style(row["method"])
            range_ = [[row["ratio"] - row["least"]], [row["largest"] - row["ratio"]]]
            axes.errorbar(
                row["ratio"], place, xerr=range_, fmt=style.marker, color=style.colour, markersize=4
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
        "seeds": "seeds",
        "lower": "Khintchine (B = 1), median",
        "complexity": "R_S (B = 1), median",
        "upper": "eq. 18 (B = 1), median",
        "least": "R_S over eq. 18, least",
        "ratio": "median",
        "largest": "largest",
        "doubt": "three standard errors, at most",
    },
    draw=draw,
    caption="Rademacher complexity over the trace form of eq. 18: medians and ranges over seeds, "
    f"estimated from {DRAWS} random sign vectors where not all were tried.",
    sample=SAMPLE,
)
