"""Eq. 10: the optimization error falls exponentially at the rate of the least eigenvalue."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from scipy.optimize import brentq
from torch import Tensor

from ntklab.bounds import (
    cross_entropy_bound,
    projected_flow_bound,
    residual_modes,
)
from ntklab.dynamics import linearize
from ntklab.jacobian import jacobian
from ntklab.spectrum import Spectrum, spectrum
from ntklab.training import one_hot
from paper_checks._least_eigenvalues import Setting
from paper_checks._runs import Case, Trained, trained
from paper_checks._tasks import images
from paper_checks.harness.claim import Check, Claim, Effort, Finding, Measured, Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CLAIM = Claim(
    id="eq10",
    title="The optimization error falls exponentially at the rate λ_min",
    words="During training the optimization error is at most a constant times e to the minus "
    "λ_min of the kernel times t, so a larger λ_min means faster convergence.",
    formula=r"\epsilon_{opt}(t) \le C_0\, e^{-\lambda_{\min}(T_{tg})\, t}",
    confidence="M",
    assumptions=(
        "not stated: which loss, that λ_min is positive, and that the kernel stays as it was",
        "read here in its weakest form: the loss itself falls at the rate λ_min, from L(0); for "
        "the squared loss theory even gives twice that rate",
    ),
    source="arXiv 2506.16456, eq. 10 (and 22)",
)

SMALL = Setting(label="", regime="", features=32, samples=8)
GUIDE = replace(SMALL, width=64, tt_ranks=(1, 2, 2, 2, 1))
DOTS = Setting(
    label="", regime="", task="quantum-dot", images=200, samples=64, width=1024, preset="released"
)

FIXED, RUN = "fixed kernel", "training run"

# A promise to have lost less than this share of the loss when training ends is none.
LEAST_PROMISE = 0.01

#: A flow's loss, solved without ntklab's modes: (K, f_0, labels, t) → L(t).
Solution = Callable[[Tensor, Tensor, Tensor, float], float]


def runs(effort: Effort) -> dict[str, Case]:
    """Gradient descent in the lazy regime and out of it, and the authors' own scripts."""
    dots = replace(DOTS, images=images(full=True), samples=256) if effort.full else DOTS
    epochs = 15 if effort.full else 20
    batches = -(-dots.samples // 16)
    script: dict[str, Any] = {
        "loss": "cross-entropy",
        "optimizer": "adam",
        "steps": epochs * batches,
    }
    return {
        "LoRA, squared, lazy": Case(setting=SMALL, alpha=100.0, steps=1000),
        "LoRA, cross-entropy, lazy": Case(
            setting=SMALL, alpha=100.0, steps=1000, loss="cross-entropy"
        ),
        "TensorGuide, squared, lazy": Case(
            setting=GUIDE, method="tensorguide", alpha=1000.0, steps=1000
        ),
        "TensorGuide, squared": Case(setting=GUIDE, method="tensorguide"),
        "LoRA as released": Case(setting=dots, **script),
        "TensorGuide as released": Case(setting=dots, method="tensorguide", **script),
    }


@cache  # eq 22 judges the same numbers
def measure(effort: Effort) -> Measured:
    """Fixed kernels solved independently, then measured runs: each against three envelopes."""
    eye, start = torch.eye(2, dtype=torch.float64), torch.zeros(1, 2, dtype=torch.float64)
    rows = fixed_rows("squared", *lora_kernel(SMALL), squared_flow)
    rows += fixed_rows(
        "squared, singular kernel", *lora_kernel(replace(SMALL, preset="paper")), squared_flow
    )
    rows += fixed_rows(
        "cross-entropy, one sample", eye / 2, start, torch.tensor([1]), one_sample_flow, until=100.0
    )
    for name, case in runs(effort).items():
        rows += run_rows(name, trained(case))
    return Measured(summary(rows), rows)


def lora_kernel(setting: Setting, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """K, f_0 and labels of a LoRA at its start."""
    data, outputs = Case(setting=setting).data(seed)
    head = setting.adapter("lora", data.inputs.shape[1], outputs, seed)
    with torch.no_grad():
        return jacobian(head, data.inputs).gram(), head(data.inputs), data.targets


def squared_flow(K: Tensor, start: Tensor, labels: Tensor, time: float) -> float:
    """½‖e^(−Kt)(f_0 − y)‖², by the matrix exponential."""
    left = (start - one_hot(labels, start.shape[1], torch.float64)).reshape(-1)
    return 0.5 * float((torch.linalg.matrix_exp(-K * time) @ left).square().sum())


def one_sample_flow(K: Tensor, start: Tensor, labels: Tensor, time: float) -> float:
    """ln(1 + e^(−z)) with z + e^z = 1 + κt: one sample, two classes, from z = 0 (theory P9)."""
    v = torch.tensor([-1.0, 1.0], dtype=torch.float64)
    kappa = float(v @ K @ v)
    z = brentq(lambda z: z + math.exp(z) - 1 - kappa * time, 0.0, 50.0, xtol=1e-14)
    return math.log1p(math.exp(-z))


def fixed_rows(
    name: str,
    K: Tensor,
    start: Tensor,
    labels: Tensor,
    solve: Solution,
    *,
    until: float | None = None,
) -> list[dict[str, Any]]:
    """The summed loss under a kernel that stays, at six times: solution, prediction, envelopes.

    Until e^(−2λ_min⁺t) is 1e-3, unless told.
    """
    loss = "cross-entropy" if name.startswith("cross") else "squared"
    s = spectrum(K, n_outputs=start.shape[1], centred=loss == "cross-entropy", vectors=True)
    end = 3.5 / (s.lambda_min_nonzero or 1.0) if until is None else until
    times = [0.0, *(end / 3.0**k for k in range(4, -1, -1))]
    told = linearize(s, start, labels, loss=loss, reduction="sum").flow(times)  # type: ignore[arg-type]
    measured = [solve(K, start, labels, t) for t in times]
    mended = mended_envelope(s, loss, start, labels, measured[0], times, len(labels))
    return _rows(name, FIXED, loss, s, times, measured, told.loss.tolist(), mended, [0.0] * 6, True)


def run_rows(name: str, found: Trained) -> list[dict[str, Any]]:
    """A run at a few logged steps; losses are means over the samples, and so is time scaled."""
    theory, N = found.theory, len(found.theory.outputs)
    measured, times = found.column("train_loss"), [t / N for t in found.times()]
    mended = mended_envelope(
        theory.spectrum, found.case.loss, theory.outputs, theory.targets, measured[0] * N, times, N
    )
    rows = _rows(
        name,
        RUN,
        found.case.loss,
        theory.spectrum,
        times,
        measured,
        found.trajectory.loss.tolist(),
        [None if m is None else m / N for m in mended],
        found.column("drift"),
        bool(found.regime["ntk_regime"]),
    )
    return rows if len(rows) <= 7 else [*rows[:-1:2], rows[-1]]


def mended_envelope(
    s: Spectrum, loss: str, start: Tensor, labels: Tensor, initial: float,
    times: Sequence[float], n_samples: int,
) -> list[float | None]:  # fmt: skip
    """What can be proved of a fixed kernel: mode sums' envelope for squared loss, Γ else."""
    if loss == "squared":
        left = start - one_hot(labels, start.shape[1], torch.float64)
        modes = residual_modes(s, left)
        values = [projected_flow_bound(modes, t).value for t in times]
        return [None if v is None else 0.5 * v**2 for v in values]
    return [
        cross_entropy_bound(
            s, initial_loss=initial, time=t, n_samples=n_samples, n_outputs=start.shape[1]
        ).value
        for t in times
    ]


def _rows(
    name: str, kind: str, loss: str, s: Spectrum, times: Sequence[float], measured: Sequence[float],
    predicted: Sequence[float], mended: Sequence[float | None], drift: Sequence[float],
    regime: bool,
) -> list[dict[str, Any]]:  # fmt: skip
    known = {"case": name, "kind": kind, "loss": loss, "lambda_min": s.lambda_min, "regime": regime}
    return [
        known
        | {
            "time": t,
            "measured": measured[i],
            "predicted": predicted[i],
            "envelope": measured[0] * math.exp(-s.lambda_min * t),
            "mended": mended[i],
            "drift": drift[i],
        }
        for i, t in enumerate(times)
    ]


def cases_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """The rows of each case, in order of time."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["case"], []).append(row)
    return found


def holds(rows: Sequence[Mapping[str, Any]], envelope: str = "envelope") -> bool:
    """Whether the measured loss stays under an envelope, but for rounding of the first loss."""
    slack = 1e-9 * rows[0]["measured"]
    return all(
        row["measured"] <= row[envelope] * (1 + 1e-6) + slack
        for row in rows
        if row[envelope] is not None
    )


def promises(rows: Sequence[Mapping[str, Any]]) -> float:
    """The share of the loss that the claim says is gone at the end."""
    return 1 - rows[-1]["envelope"] / rows[0]["envelope"]


def summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How many cases hold, say nothing, or break the claim, and how well the mended form does."""
    cases = cases_of(rows)
    empty = [name for name, one in cases.items() if promises(one) < LEAST_PROMISE]
    broken = [name for name, one in cases.items() if not holds(one)]
    lazy = [one for one in cases.values() if one[0]["regime"]]
    misses = [
        max(abs(row["measured"] - row["predicted"]) for row in one) / one[0]["measured"]
        for one in lazy
    ]
    return {
        "cases": len(cases),
        "holding": len(set(cases) - set(broken) - set(empty)),
        "empty": len(set(empty) - set(broken)),
        "broken": len(broken),
        "in_regime": len(lazy),
        "mended_holding": sum(holds(one, "mended") for one in lazy),
        "largest_miss": max(misses, default=None),
    }


def judge(measured: Measured) -> Finding:
    """By which cases the envelope holds in, says nothing in, or is broken by."""
    cases = cases_of(measured.rows)
    broken = {name: one for name, one in cases.items() if not holds(one)}
    empty = {
        n: one for n, one in cases.items() if n not in broken and promises(one) < LEAST_PROMISE
    }
    good = [name for name in cases if name not in broken and name not in empty]
    told = [_holding(good), _breaking(broken), _saying_nothing(empty)]
    because = " ".join(part for part in told if part)
    if not broken and not empty:
        return Finding(Verdict.OK, because)
    if not broken and not good:
        return Finding(Verdict.VACUOUS, because)
    mended, formula = _mended(measured)
    if not broken:
        return Finding(Verdict.MEND, because, mended, formula)
    verdict = Verdict.REGIME if good else Verdict.FALSE
    brief = (
        f"of {len(cases)} kinds of run the envelope holds and says something in {len(good)}, says "
        f"nothing in {len(empty)} and is exceeded in {len(broken)}"
    )
    return Finding(verdict, because, mended, formula, brief)


def _holding(names: Sequence[str]) -> str:
    return f"The envelope holds and says something in: {'; '.join(names)}." if names else ""


def _breaking(broken: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    told = []
    for name, rows in broken.items():
        worst = max(rows, key=lambda row: row["measured"] / max(row["envelope"], 1e-300))
        drift = max(row["drift"] for row in rows)
        moved = "" if rows[0]["regime"] else f", a kernel that drifted by {drift:.1g} of its size"
        allowed = worst["envelope"]
        told.append(f"{name} ({worst['measured']:.3g}, at most {allowed:.3g} allowed{moved})")
    return f"The loss exceeds it in: {'; '.join(told)}." if told else ""


def _saying_nothing(empty: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    if not empty:
        return ""
    told = "; ".join(
        f"{name} (λ_min = {rows[0]['lambda_min']:.1g}, promised decrease "
        f"{100 * promises(rows):.1g} %)"
        for name, rows in empty.items()
    )
    return f"It says nothing in: {told}."


def _mended(measured: Measured) -> tuple[str, str]:
    lazy, kept = measured.values["in_regime"], measured.values["mended_holding"]
    return (
        "For the squared loss and a kernel that stays: every mode falls at its own rate, the part "
        "of the residual in the kernel's range at least at λ_min⁺, and what lies in its null "
        "space never. For cross-entropy there is no exponential rate: with L the summed loss, "
        "Γ(L) = L + 2 ln L − 1/L falls at the rate c = C λ_min/((C−1) N) of the centred kernel, "
        f"so L is about 1/(ct) in the end. This held in {kept} of the {lazy} cases where the "
        "kernel did stay.",
        r"\|r_t\|^2 = \sum_i e^{-2\lambda_i t}\langle v_i, r_0\rangle^2,\qquad "
        r"\Gamma(L(t)) \le \Gamma(L(0)) - ct",
    )


def draw(measured: Measured) -> "Figure":
    """A panel a case: measured loss, prediction, the paper's envelope and the mended one."""
    from matplotlib.figure import Figure

    from ntklab.figures import drawing

    cases = cases_of(measured.rows)
    lines = math.ceil(len(cases) / 3)
    with drawing("neurips", columns=3, height_to_width=0.9 * lines):
        figure = Figure(layout="constrained")
        panels = list(figure.subplots(lines, 3, squeeze=False).flat)
        for axes, (name, rows) in zip(panels, cases.items(), strict=False):
            _panel(axes, name, rows)
        for axes in panels[len(cases) :]:
            axes.remove()
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


def _panel(axes: "Axes", name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    from matplotlib.ticker import NullFormatter

    first = rows[0]["measured"]
    floor = 1e-12
    styles = {
        "envelope": ("eq. 10", "#D55E00", "--", ""),
        "mended": ("mended", "#009E73", "-.", ""),
        "predicted": ("fixed kernel", "#0072B2", "-", ""),
        "measured": ("measured", "#000000", "", "o"),
    }
    times = [row["time"] for row in rows[1:]]
    for key, (label, colour, line, marker) in styles.items():
        values = [
            math.nan if row[key] is None else max(row[key] / first, floor) for row in rows[1:]
        ]
        axes.plot(
            times, values, linestyle=line or "none", marker=marker or None, markersize=3,
            color=colour, label=label,
        )  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.xaxis.set_minor_formatter(NullFormatter())
    shown = [v for row in rows for v in (row["measured"], row["predicted"]) if v > 0]
    low = max(min(shown) / first / 30, floor)
    high = min(max(shown) / first * 3, 1e15)
    axes.set_ylim(low, max(high, 2.0))
    axes.set_title(f"{name}\n({rows[0]['kind']})", fontsize="small")
    axes.set_xlabel("time")
    axes.set_ylabel("loss / first loss")


CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels={
        "cases": "cases",
        "holding": "in which the envelope holds and says something",
        "empty": f"in which it promises a decrease below {100 * LEAST_PROMISE:g} %",
        "broken": "in which the loss exceeds it",
        "in_regime": "cases whose kernel stays, by the certificate",
        "mended_holding": "in which the mended envelope holds",
        "largest_miss": "largest |measured − predicted| of these, over the first loss",
    },
    columns={
        "case": "case",
        "kind": "what",
        "time": "time",
        "measured": "measured loss",
        "predicted": "by the fixed kernel",
        "envelope": "eq. 10 allows",
        "mended": "mended form allows",
        "drift": "kernel drift",
        "regime": "NTK regime",
    },
    draw=draw,
    caption="Loss over its first value against time (rate times steps, over N): measured, as the "
    "kernel at the start predicts it, as eq. 10 allows it, and as the mended form does.",
)
