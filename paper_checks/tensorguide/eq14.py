"""Eq. 14: the model is its own linearization."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from statistics import median
from typing import TYPE_CHECKING, Any

from ntklab.claims.claim import Check, Claim, Effort, Finding, Measured, Sample, Verdict
from ntklab.dynamics import LAZY_LIMIT, LINEARIZATION_LIMIT
from paper_checks.tensorguide._least_eigenvalues import Setting
from paper_checks.tensorguide._runs import Case, Trained, trained
from paper_checks.tensorguide._seeds import quartiles
from paper_checks.tensorguide._tasks import images

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
SAMPLE = Sample(
    "Gaussian features with chance labels; quantum dots",
    quick=2,
    why="How lazy a run is can be set by the scale of its outputs, which takes many runs and few "
    "samples; the authors' scripts run on quantum dots.",
)
MISSED, NEW = "missed", "missed_new"


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
    seeds = SAMPLE.seeds(effort)
    return measured_of(
        [
            row_of(case, [told(trained(case, seed), seed) for seed in seeds])
            for case in cases(effort)
        ]
    )


def told(run: Trained, seed: int) -> dict[str, float]:
    """One run; the largest miss along it on its samples, and the last one on new samples."""
    return {
        "lazy_index": run.lazy_index,
        "limit": LAZY_LIMIT / max((run.theory.degree or run.degree or 2) - 1, 1),
        "displacement": run.column("displacement")[-1],
        "drift": run.regime["drift_max"],
        MISSED: run.regime["linearization_error_max"],
        NEW: run.held_out_error(seed),
    }


def row_of(case: Case, runs: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """One case over its seeds: medians and quartiles, and how many runs are good, where."""
    row: dict[str, Any] = {
        "method": case.method,
        "start": case.setting.preset,
        "data": case.setting.task,
        "alpha": case.alpha,
        "optimizer": case.optimizer,
        "loss": case.loss,
        "seeds": len(runs),
        "limit": runs[0]["limit"],
        "within": sum(_within(run) for run in runs),
        **quartiles("lazy_index", [run["lazy_index"] for run in runs]),
        **{name: median(run[name] for run in runs) for name in ("displacement", "drift")},
    }
    for name in (MISSED, NEW):
        good = [run for run in runs if run[name] <= LINEARIZATION_LIMIT]
        bad = [run for run in runs if run not in good]
        row |= quartiles(name, [run[name] for run in runs])
        row |= {
            f"{name}_good": len(good),
            f"{name}_good_within": sum(map(_within, good)),
            f"{name}_good_index": max((run["lazy_index"] for run in good), default=None),
            f"{name}_bad_index": min((run["lazy_index"] for run in bad), default=None),
            f"{name}_least": min(run[name] for run in runs),
        }
    return row


def _within(run: Mapping[str, float]) -> bool:
    return run["lazy_index"] <= run["limit"]


def measured_of(rows: Sequence[Mapping[str, Any]], missed: str = MISSED) -> Measured:
    """The rows of all cases, and what they come to on the training samples or on new ones."""
    return Measured(summary(rows, missed), rows, min(row["seeds"] for row in rows))


def summary(rows: Sequence[Mapping[str, Any]], missed: str = MISSED) -> dict[str, Any]:
    """On which side of which lazy index the expansion is good, counted in runs."""

    def total(name: str, chosen: Sequence[Mapping[str, Any]] = rows) -> int:
        return sum(row[name] for row in chosen)

    def known(name: str) -> list[float]:
        return [row[f"{missed}_{name}"] for row in rows if row[f"{missed}_{name}"] is not None]

    released = [row for row in rows if row["start"] == "released"]
    counts = [(row[f"{missed}_good"], row["seeds"]) for row in rows]
    return {
        "runs": total("seeds"),
        "good": total(f"{missed}_good"),
        "cases": len(rows),
        "cases_good": sum(good == seeds for good, seeds in counts),
        "cases_bad": sum(good == 0 for good, _ in counts),
        "largest_good_index": max(known("good_index"), default=None),
        "least_bad_index": min(known("bad_index"), default=None),
        "within": total("within"),
        "good_within": total(f"{missed}_good_within"),
        "good_beyond": total(f"{missed}_good") - total(f"{missed}_good_within"),
        "released": total("seeds", released),
        "released_good": total(f"{missed}_good", released),
        "released_least_miss": min((row[f"{missed}_least"] for row in released), default=None),
    }


def judge(measured: Measured) -> Finding:
    """By the runs whose outputs moved as the expansion says."""
    return judged(measured.values, "the outputs on the training samples")


def judged(values: Mapping[str, Any], where: str) -> Finding:
    """OK if in all runs, FALSE if in none, else decided by how far training must go."""
    text = (
        f"In {values['good']} of {values['runs']} runs the expansion misses at most "
        f"{100 * LINEARIZATION_LIMIT:.0f} % of the movement of {where}: at every seed in "
        f"{values['cases_good']} of {values['cases']} kinds of run, at none in "
        f"{values['cases_bad']}."
    )
    if values["good"] == values["runs"]:
        return Finding(Verdict.OK, text)
    if values["released"]:
        text += (
            f" Of the {values['released']} as released it is {values['released_good']}: there it "
            f"misses at least {100 * values['released_least_miss']:.0f} %."
        )
    if not values["good"]:
        return Finding(Verdict.FALSE, text)
    text += (
        f" Among the {values['within']} runs whose lazy index at the start is within 0.2 over "
        f"(degree − 1) it holds in {values['good_within']}; beyond it in {values['good_beyond']} "
        f"of {values['runs'] - values['within']} (indices up to "
        f"{values['largest_good_index']:.2g} were good, from {values['least_bad_index']:.2g} on "
        "some were not)."
    )
    return Finding(
        Verdict.REGIME,
        text,
        mended="It holds while the relative step ‖θ − θ₀‖/‖θ₀‖ is well below one over the degree "
        "in the parameters (2 for LoRA, twice the number of cores for TensorGuide). The lazy "
        "index, computed before training, is the step that fitting all that the kernel can fit "
        "would take.",
        formula=r"\frac{\sqrt{r_0^\top K_0^{+} r_0}}{\|\theta_0\|} \ll \frac{1}{\text{degree}}",
    )


def draw(measured: Measured) -> "Figure":
    """The share that the expansion misses against the lazy index at the start."""
    return drawn(measured.rows, MISSED, "along the run, training samples")


def drawn(rows: Sequence[Mapping[str, Any]], missed: str, where: str) -> "Figure":
    """A point a case with bars over its seeds: filled as released, hollow on Gaussian features."""
    from matplotlib.figure import Figure

    from ntklab.figures import drawing, method_style

    with drawing("neurips", height_to_width=0.55):
        figure = Figure(layout="constrained")
        axes = figure.subplots()
        seen: set[tuple[str, str]] = set()
        for row in rows:
            style, key = method_style(row["method"]), (row["method"], row["start"])
            bars = [
                [[row[n] - row[f"{n}_low"]], [row[f"{n}_high"] - row[n]]]
                for n in (missed, "lazy_index")
            ]
            axes.errorbar(
                row["lazy_index"], row[missed], bars[0], bars[1], fmt=style.marker,
                color=style.colour, markersize=6, elinewidth=0.8,
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
    "runs": "runs, all seeds",
    "good": "in which the expansion misses at most 10 % of the movement",
    "cases": "kinds of run",
    "cases_good": "of them good at every seed",
    "cases_bad": "of them good at none",
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
    "seeds": "seeds",
    "lazy_index": "lazy index, median",
    "limit": "limit",
    "displacement": "‖θ − θ₀‖/‖θ₀‖, median",
    "drift": "kernel drift, median",
    MISSED: "missed on samples, median",
    f"{MISSED}_low": "lower quartile",
    f"{MISSED}_high": "upper quartile",
    f"{MISSED}_good": "good at",
    NEW: "missed on new ones, median",
    f"{NEW}_low": "lower quartile",
    f"{NEW}_high": "upper quartile",
    f"{NEW}_good": "good at",
}

CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels=LABELS,
    columns=COLUMNS,
    draw=draw,
    caption="Share of the outputs' movement that the first-order expansion misses, at worst along "
    "a run, against the lazy index at its start: medians over seeds, bars from quartile to "
    "quartile; below the dashed line the expansion is good.",
    sample=SAMPLE,
)
