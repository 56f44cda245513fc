"""Eq. 15: the risk is at most the training risk, twice the complexity, and a deviation."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Generator, Tensor
from torch.nn.functional import softplus

from ntklab.bounds import (
    Bound,
    RadiusCell,
    cross_entropy_ceiling,
    kappa_bound,
    lambda_min_bound,
    radius_grid,
    risk_bound,
    trace_bound,
)
from ntklab.claims.claim import Check, Claim, Effort, Finding, Measured, Sample, Verdict
from ntklab.jacobians import jacobian
from ntklab.spectra import Spectrum
from paper_checks.tensorguide._tasks import all_rows, images, start_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CLAIM = Claim(
    id="eq15",
    title="Generalization by Rademacher complexity",
    words="With probability at least 1 − δ the risk exceeds the training risk by at most twice "
    "the complexity of the function class and a deviation term.",
    formula=r"R(f) \le \hat{R}(f) + 2L\,\mathcal{R}_S(\mathcal{F}) + "
    r"3M_\ell\sqrt{\frac{\log(2/\delta)}{2N}}",
    assumptions=(
        "independent samples, and a start that does not depend on them",
        "losses in an interval of length M_ℓ; cross-entropy, with which the paper trains, has none "
        "unless the ball bounds it",
        "a radius B fixed before the samples; here the first of a grid 1, 2, 4, … with its share "
        "of δ",
    ),
    source="arXiv 2506.16456, eq. 15 (and 20)",
)

SAMPLE = Sample(
    "quantum dots under drawn starts; clouds of points",
    why="The clouds are worlds in which a bound could say something.",
)
DELTA = 0.05
CLIPPED, CROSS_ENTROPY = "clipped", "cross-entropy"
TRIVIAL = {CLIPPED: 1.0, CROSS_ENTROPY: math.log(2)}
QUANTUM_DOTS = ("lora", "tensorguide")


@dataclass(frozen=True, eq=False)
class Pool:
    """Margins, linearised at a start, of all that can be drawn.

    Attributes:
        name: of the data.
        method: whose kernel.
        J: one row a sample, shape (n, P).
        y: ±1.
    """

    name: str
    method: str
    J: Tensor
    y: Tensor


#: A pool, how many samples and a seed to the rows that are trained on.
Drawing = Callable[[Pool, int, int], Tensor]


def independent(pool: Pool, n_samples: int, seed: int) -> Tensor:
    """Rows drawn without replacement."""
    order = torch.randperm(len(pool.y), generator=Generator().manual_seed(seed))
    return order[:n_samples]


@cache  # eqs 20 and 21 judge the same numbers
def measure(effort: Effort) -> Measured:
    """Fits to resampled training sets, their bounds, and their risk on what was not drawn."""
    rows: list[dict[str, Any]] = []
    for pools, n_samples in worlds(effort):
        rows += resampled(pools, n_samples, 7 if effort.full else 8)
    return Measured(summary(rows), rows, min(row["seeds"] for row in rows))


def worlds(effort: Effort) -> Iterator[tuple[Iterator[Pool], int]]:
    """Two easy worlds, one of chance labels, and the paper's task: a pool a seed, and N."""
    seeds = SAMPLE.seeds(effort)
    for width, chance in ((0.2, False), (1.0, False), (0.2, True)):
        yield (clusters(width, chance=chance, seed=seed) for seed in seeds), 400
    for method in QUANTUM_DOTS:
        problems = (quantum_dots(method, effort, seed) for seed in seeds)
        yield problems, 512 if effort.full else 96


def clusters(width: float, *, chance: bool = False, size: int = 1600, seed: int = 0) -> Pool:
    """Two uniform clouds around ±μ in ten dimensions, under a linear model; labels by chance."""
    source = Generator().manual_seed(seed)
    y = torch.randint(0, 2, (size,), generator=source).double() * 2 - 1
    spread = torch.rand(size, 10, generator=source, dtype=torch.float64) * 2 - 1
    x = width * spread + y[:, None] * torch.ones(10, dtype=torch.float64) / math.sqrt(10)
    if chance:
        y = torch.randint(0, 2, (size,), generator=source).double() * 2 - 1
    name = f"clouds of width {width:g}" + (", chance labels" if chance else "")
    return Pool(name, "linear-probe", x, y)


def quantum_dots(method: str, effort: Effort, seed: int = 0) -> Pool:
    """All quantum-dot images, train and test, under the start of a method that the seed draws."""
    task = all_rows(images(effort.full))
    x = torch.cat([task.train.features, task.test.features])
    labels = torch.cat([task.train.labels, task.test.labels])
    blocks = jacobian(start_of(method, task, seed), x).dense().reshape(len(x), 2, -1)
    return Pool("quantum dots", method, blocks[:, 1] - blocks[:, 0], labels.double() * 2 - 1)


def resampled(
    pools: Iterable[Pool], n_samples: int, each: int, draw: Drawing = independent
) -> list[dict[str, Any]]:
    """Coverage and medians over training sets, a row a loss.

    Args:
        pools: the same world again and again, as other seeds draw it.
        n_samples: N.
        each: training sets a pool.
        draw: their rows.
    """
    by_loss: dict[str, list[dict[str, Any]]] = {CLIPPED: [], CROSS_ENTROPY: []}
    seeds = 0
    for pool in pools:
        known = {"data": pool.name, "method": pool.method, "samples": n_samples}
        for seed in range(seeds * each, (seeds + 1) * each):
            fit = Fit.of(pool, draw(pool, n_samples, seed))
            for loss, bounds in by_loss.items():
                bounds.append(fit.bounded(loss))
        seeds += 1
    known |= {"seeds": seeds, "resamples": seeds * each}
    return [
        known | {"loss": loss} | _over(TRIVIAL[loss], bounds) for loss, bounds in by_loss.items()
    ]


def _over(trivial: float, bounds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    def share(holds: Callable[[Mapping[str, Any]], bool]) -> float:
        return sum(map(holds, bounds)) / len(bounds)

    names = (
        "train_risk",
        "risk",
        "bound",
        "by_kappa",
        "by_lambda_min",
        "radius",
        "radius_by_least",
    )
    return {
        "trivial": trivial,
        "coverage": share(lambda one: one["risk"] <= one["bound"]),
        "informative": share(lambda one: one["bound"] < trivial),
        "beyond_sample": share(lambda one: one["largest_new"] > one["largest_seen"]),
        "beyond_ceiling": share(lambda one: one["largest_new"] > one["ceiling"]),
        **{name: _median([one[name] for one in bounds]) for name in names},
    }


@dataclass(frozen=True, eq=False)
class Fit:
    """Gradient flow of the squared loss from zero, stopped where the tenth mode is half done.

    Attributes:
        seen: margins of the training rows, with `y_seen` their labels.
        new: margins of all other rows, with `y_new`.
        radius: ‖θ_t − θ_0‖.
        kernel: K of the training rows, with its `spectrum`.
        kappa: largest ‖J(x)‖ of the whole pool.
    """

    seen: Tensor
    y_seen: Tensor
    new: Tensor
    y_new: Tensor
    radius: float
    kernel: Tensor
    spectrum: Spectrum
    kappa: float

    @classmethod
    def of(cls, pool: Pool, rows: Tensor) -> "Fit":
        """The fit to some rows of a pool."""
        J, y = pool.J[rows], pool.y[rows]
        out = torch.ones(len(pool.y), dtype=torch.bool)
        out[rows] = False
        U, S, Vh = torch.linalg.svd(J, full_matrices=False)
        s = Spectrum.from_values(S, size=len(y), parameters=J.shape[1], tolerance_on="sigma")
        nonzero = S[: s.rank]
        time = math.log(2) / float(nonzero[:10][-1]) ** 2
        learned = -torch.expm1(-(nonzero**2) * time) / nonzero
        move = Vh[: s.rank].T @ (learned * (U[:, : s.rank].T @ y))
        kappa = float(pool.J.norm(dim=1).max())
        margins = pool.J @ move
        return cls(
            margins[rows], y, margins[out], pool.y[out], float(move.norm()), J @ J.T, s, kappa
        )

    def bounded(self, loss: str) -> dict[str, Any]:
        """Risk and bounds under a loss; B is the first of the grid 1, 2, 4, … that holds the fit.

        `by_lambda_min` puts reading B of eq 19 in its place: the ball of radius ‖y‖/√λ_min.
        """
        cell = radius_grid(self.radius, DELTA)
        seen, new = (
            losses(margins, y, loss)
            for margins, y in ((self.seen, self.y_seen), (self.new, self.y_new))
        )
        least = self.spectrum.lambda_min
        by_least = float(self.y_seen.norm()) / math.sqrt(least) if least > 0 else None
        return {
            "train_risk": float(seen.mean()),
            "risk": float(new.mean()),
            "bound": self._risk(seen, trace_bound(self.kernel, radius=cell.radius), cell, loss),
            "by_kappa": self._risk(seen, kappa_bound(self.kernel, radius=cell.radius), cell, loss),
            "by_lambda_min": self._risk(
                seen, lambda_min_bound(self.spectrum, self.y_seen), cell, loss
            ),
            "radius": self.radius,
            "radius_by_least": by_least,
            "ceiling": self._ceiling(cell, loss),
            "largest_seen": float(seen.max()),
            "largest_new": float(new.max()),
        }

    def _ceiling(self, cell: RadiusCell, loss: str) -> float:
        if loss == CLIPPED:
            return 1.0
        return cross_entropy_ceiling(
            start=0.0, radius=cell.radius, kappa=self.kappa, n_outputs=1, margin=True
        )

    def _risk(self, seen: Tensor, complexity: Bound, cell: RadiusCell, loss: str) -> float | None:
        return risk_bound(
            train_risk=float(seen.mean()),
            complexity=complexity,
            n_samples=len(seen),
            lipschitz=1.0,
            loss_range=self._ceiling(cell, loss),
            delta=cell.delta,
        ).value


def losses(margins: Tensor, y: Tensor, loss: str) -> Tensor:
    """min(|f − y|, 1), or ln(1 + e^(−yf)), sample by sample."""
    if loss == CLIPPED:
        return (margins - y).abs().clamp(max=1.0)
    return softplus(-y * margins)


def _median(values: Sequence[float | None]) -> float | None:
    known = sorted(value for value in values if value is not None)
    return known[len(known) // 2] if len(known) == len(values) else None


def summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The deciding numbers."""
    return {
        "least_coverage": min(row["coverage"] for row in rows),
        "wanted_coverage": 1 - DELTA,
        "informative_worlds": sum(row["informative"] > 0.5 for row in rows),
        "worlds": len(rows),
        "beyond_sample": max(row["beyond_sample"] for row in rows),
        "beyond_ceiling": max(row["beyond_ceiling"] for row in rows),
    }


def judge(measured: Measured) -> Finding:
    """FALSE if coverage fails, VACUOUS if no bound says anything, MEND if the range needs it."""
    values, rows = measured.values, measured.rows
    if values["least_coverage"] < values["wanted_coverage"]:
        worst = min(rows, key=lambda row: row["coverage"])
        return Finding(
            Verdict.FALSE,
            f"On {worst['data']} the risk stays below the bound in only "
            f"{100 * worst['coverage']:.0f} % of {worst['resamples']} resamples, not "
            f"{100 * values['wanted_coverage']:.0f} %.",
        )
    text = (
        f"The risk on new samples stayed below the bound in at least "
        f"{100 * values['least_coverage']:.0f} % of resamples in all {values['worlds']} worlds. "
        f"{_informative(rows)}"
    )
    if not values["informative_worlds"]:
        return Finding(Verdict.VACUOUS, text)
    if values["beyond_sample"] == 0:
        return Finding(Verdict.OK, text)
    return Finding(
        Verdict.MEND,
        f"{text} The range M_ℓ cannot be read off the samples: a new loss exceeded the largest of "
        f"the training set in up to {100 * values['beyond_sample']:.0f} % of resamples, and the "
        f"range that the ball proves in {100 * values['beyond_ceiling']:.0f} %.",
        mended="It holds for the linearised ball around a start that is independent of the "
        "samples, with B = 2^j paid for by δ_j = 6δ/(π(j+1))², with M_ℓ = log 2 + |m₀| + Bκ for "
        "the cross-entropy of a margin, and with another √2 before the complexity of vector "
        "outputs (Maurer 2016).",
        formula=r"R \le \hat{R} + 2\sqrt{2}\,L\,\frac{B_j}{N}\sqrt{\operatorname{tr} K} + "
        r"3(\log 2 + |m_0| + B_j\kappa)\sqrt{\frac{\log(2/\delta_j)}{2N}}",
    )


def _informative(rows: Sequence[Mapping[str, Any]]) -> str:
    cases = [
        f"{row['data']}, {row['method']}, {row['loss']} (risk {row['risk']:.2f}, bound "
        f"{row['bound']:.2f}, chance {row['trivial']:.2f})"
        for row in rows
        if row["informative"] > 0.5
    ]
    dots = [row for row in rows if row["data"] == "quantum dots"]
    said = f"It says something in {len(cases)} of them" + (
        f": {'; '.join(cases)}." if cases else "."
    )
    if dots and not any(row["informative"] > 0.5 for row in dots):
        said += (
            " On quantum dots it is above chance every time: from "
            f"{min(row['bound'] / row['trivial'] for row in dots):.1f} times chance upwards."
        )
    return said


def draw(measured: Measured) -> "Figure":
    """Bound and measured risk of each world, over what holds without any bound."""
    from matplotlib.figure import Figure

    from ntklab.figures import drawing

    rows = measured.rows
    with drawing("neurips", height_to_width=0.06 * len(rows) + 0.1):
        figure = Figure(layout="constrained")
        axes = figure.subplots()
        for place, row in enumerate(rows):
            chance = row["trivial"]
            risk, bound = row["risk"] / chance, row["bound"] / chance
            axes.plot([risk, bound], [place, place], color="#0072B2", linewidth=0.8)
            axes.plot(risk, place, "k|", markersize=9, label="measured risk" if not place else None)
            face = "#0072B2" if bound < 1 else "white"
            axes.plot(bound, place, "<", color="#0072B2", markerfacecolor=face,
                      label="bound (hollow: says nothing)" if not place else None)  # fmt: skip
        axes.axvline(1.0, color="#404040", linestyle="--", linewidth=0.8)
        axes.set_xscale("log")
        names = [f"{row['data']}, {row['method']}, {row['loss']}" for row in rows]
        axes.set_yticks(range(len(rows)), names, fontsize="small")
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlabel("risk over chance (dashed: 1)")
        figure.legend(loc="outside upper right", ncols=2)
    return figure


LABELS = {
    "least_coverage": "least share of resamples with the risk below the bound",
    "wanted_coverage": "share that the bound promises, 1 − δ",
    "worlds": "worlds",
    "informative_worlds": "worlds in which the bound is below chance",
    "beyond_sample": "largest share of resamples with a new loss above all training losses",
    "beyond_ceiling": "the same above the range that the ball proves",
}

CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels=LABELS,
    columns={
        "data": "data",
        "method": "method",
        "loss": "loss",
        "samples": "N",
        "seeds": "seeds",
        "resamples": "training sets",
        "radius": "‖θ − θ₀‖",
        "train_risk": "training risk",
        "risk": "risk",
        "bound": "bound",
        "trivial": "chance",
        "coverage": "coverage",
        "informative": "below chance",
    },
    draw=draw,
    caption="Risk on new samples and its bound, medians over training sets, several a seed, both "
    "over the risk of a constant guess.",
    sample=SAMPLE,
)
