"""Eq. 14: the model is its own linearization."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from ntklab.dynamics import LAZY_LIMIT, LINEARIZATION_LIMIT
from paper_checks._least_eigenvalues import Setting
from paper_checks._runs import Case, Trained, trained
from paper_checks._tasks import images
from paper_checks.harness.claim import Check, Claim, Effort, Finding, Measured, Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CLAIM = Claim(
    id="eq14",
    title="The model stays close to its linearization",
    words="Along training the outputs are those of the first-order expansion in the parameters "
    "around the start, which is what makes the kernel at the start speak for the run.",
    formula=r"f(x;\theta) \approx f(x;\theta_0) + "
    r"\langle \nabla_\theta f(x;\theta_0),\, \theta - \theta_0\rangle",
    assumptions=(
        "the expansion itself is a definition; that training stays where it is good is a matter "
        "of scale that the paper does not state",
        f"close: it misses less than {100 * LINEARIZATION_LIMIT:.0f} % of the movement of the "
        "outputs",
    ),
    source="arXiv 2506.16456, eq. 14 (and 16)",
)

SMALL = Setting(label="", regime="", features=32, samples=8, width=64, tt_ranks=(1, 2, 2, 2, 1))
DOTS = Setting(
    label="", regime="", task="quantum-dot", images=200, samples=64, width=1024, preset="released"
)
METHODS = ("lora", "tensorguide")


def cases(effort: Effort) -> list[Case]:
    """Outputs scaled up to be lazy, a start like any other, and the authors' own scripts."""
    alphas = (10.0, 100.0, 1000.0, 10_000.0)
    dots = replace(DOTS, images=images(full=True), samples=256) if effort.full else DOTS
    steps = 15 * dots.samples // 16
    small = [
        Case(setting=SMALL, method=method, alpha=alpha, steps=300)
        for method in METHODS
        for alpha in alphas
    ]
    plain = [
        Case(setting=SMALL, method=method, loss="cross-entropy", optimizer="adam", steps=300)
        for method in METHODS
    ]
    released = [
        Case(setting=dots, method=method, loss="cross-entropy", optimizer="adam", steps=steps)
        for method in METHODS
    ]
    return [*small, *plain, *released]


@cache  # eq 16 judges the same numbers
def measure(effort: Effort) -> Measured:
    """How much of the outputs' movement the expansion misses, on the samples and on new ones."""
    seeds = range(3) if effort.full else range(1)
    rows = [row_of(trained(case, seed), seed) for case in cases(effort) for seed in seeds]
    return Measured(summary(rows), rows)


def row_of(found: Trained, seed: int) -> dict[str, Any]:
    """One run; the largest miss along it on its samples, and the last one on new samples."""
    case = found.case
    return {
        "method": case.method,
        "start": case.setting.preset,
        "data": case.setting.task,
        "alpha": case.alpha,
        "optimizer": case.optimizer,
        "loss": case.loss,
        "seed": seed,
        "lazy_index": found.lazy_index,
        "limit": LAZY_LIMIT / max((found.theory.degree or found.degree or 2) - 1, 1),
        "displacement": found.column("displacement")[-1],
        "drift": found.regime["drift_max"],
        "missed": found.regime["linearization_error_max"],
        "missed_new": found.held_out_error(seed),
    }


def summary(rows: Sequence[Mapping[str, Any]], missed: str = "missed") -> dict[str, Any]:
    """On which side of which lazy index the expansion is good."""
    good = [row for row in rows if row[missed] <= LINEARIZATION_LIMIT]
    bad = [row for row in rows if row not in good]
    within = [row for row in rows if row["lazy_index"] <= row["limit"]]
    return {
        "runs": len(rows),
        "good": len(good),
        "largest_good_index": max((row["lazy_index"] for row in good), default=None),
        "least_bad_index": min((row["lazy_index"] for row in bad), default=None),
        "within": len(within),
        "good_within": sum(row in good for row in within),
        "good_beyond": sum(row in good for row in rows if row not in within),
        "released": sum(row["start"] == "released" for row in rows),
        "released_good": sum(row["start"] == "released" for row in good),
        "released_least_miss": min(
            (row[missed] for row in rows if row["start"] == "released"), default=None
        ),
    }


def judge(measured: Measured) -> Finding:
    """By the runs whose outputs moved as the expansion says."""
    return judged(measured.values, "the outputs on the training samples")


def judged(values: Mapping[str, Any], where: str) -> Finding:
    """OK if in all runs, FALSE if in none, else decided by how far training must go."""
    told = (
        f"In {values['good']} of {values['runs']} runs the expansion misses at most "
        f"{100 * LINEARIZATION_LIMIT:.0f} % of the movement of {where}."
    )
    if values["good"] == values["runs"]:
        return Finding(Verdict.OK, told)
    if values["released"]:
        told += (
            f" Of the {values['released']} as released it is {values['released_good']}: there it "
            f"misses at least {100 * values['released_least_miss']:.0f} %."
        )
    if not values["good"]:
        return Finding(Verdict.FALSE, told)
    told += (
        f" Among the {values['within']} runs whose lazy index at the start is within 0.2 over "
        f"(degree − 1) it holds in {values['good_within']}; beyond it in {values['good_beyond']} "
        f"of {values['runs'] - values['within']} (indices up to "
        f"{values['largest_good_index']:.2g} were good, from {values['least_bad_index']:.2g} on "
        "some were not)."
    )
    return Finding(
        Verdict.REGIME,
        told,
        mended="It holds while the relative step ‖θ − θ₀‖/‖θ₀‖ is well below one over the degree "
        "in the parameters (2 for LoRA, twice the number of cores for TensorGuide). The lazy "
        "index, computed before training, is the step that fitting all that the kernel can fit "
        "would take.",
        formula=r"\frac{\sqrt{r_0^\top K_0^{+} r_0}}{\|\theta_0\|} \ll \frac{1}{\text{degree}}",
    )


def draw(measured: Measured) -> "Figure":
    """The share that the expansion misses against the lazy index at the start."""
    return drawn(measured.rows, "missed", "along the run, training samples")


def drawn(rows: Sequence[Mapping[str, Any]], missed: str, where: str) -> "Figure":
    """A point a run: filled as released, hollow on Gaussian features."""
    from matplotlib.figure import Figure

    from ntklab.figures import drawing, method_style

    with drawing("neurips", height_to_width=0.55):
        figure = Figure(layout="constrained")
        axes = figure.subplots()
        seen: set[tuple[str, str]] = set()
        for row in rows:
            style, key = method_style(row["method"]), (row["method"], row["start"])
            axes.plot(
                row["lazy_index"], row[missed], style.marker, color=style.colour, markersize=6,
                markerfacecolor=style.colour if row["start"] == "released" else "white",
                label=None if key in seen else f"{style.label}, {row['start']} start",
            )  # fmt: skip
            seen.add(key)
        axes.axhline(LINEARIZATION_LIMIT, color="#404040", linestyle="--", linewidth=0.8)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel(r"lazy index $\sqrt{r_0^\top K_0^+ r_0}\,/\,\|\theta_0\|$")
        axes.set_ylabel(f"share of movement missed\n({where})")
        axes.legend(fontsize="small")
    return figure


LABELS = {
    "runs": "runs",
    "good": "in which the expansion misses at most 10 % of the movement",
    "within": "runs with a lazy index within 0.2/(degree − 1)",
    "good_within": "good ones among these",
    "good_beyond": "good ones beyond it",
    "largest_good_index": "largest lazy index of a good run",
    "least_bad_index": "least lazy index of another run",
    "released_good": "good ones among the runs as released",
    "released_least_miss": "least share missed as released",
}
COLUMNS = {
    "method": "method",
    "data": "data",
    "start": "start",
    "alpha": "output factor",
    "optimizer": "optimizer",
    "lazy_index": "lazy index",
    "limit": "limit",
    "displacement": "‖θ − θ₀‖/‖θ₀‖",
    "drift": "kernel drift",
    "missed": "missed, samples",
    "missed_new": "missed, new",
}

CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels=LABELS,
    columns=COLUMNS,
    draw=draw,
    caption="Share of the outputs' movement that the first-order expansion misses, at worst along "
    "a run, against the lazy index at its start; below the dashed line the expansion is good.",
)
