"""Eq. 7: the approximation error of a network of M hidden units."""

from collections.abc import Callable, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Generator, Tensor

from ntklab.adapters import FactorAdapter, build_adapter
from ntklab.bounds import barron_bound, barron_moment
from ntklab.bounds.maurey import maurey_network
from ntklab.claims.claim import Check, Claim, Effort, Finding, Measured, Sample, Verdict
from ntklab.tasks.barron import BarronTarget, barron_target

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CLAIM = Claim(
    id="eq07",
    title="Error of a network of M hidden units",
    words="Some network of M hidden units is within a constant over the square root of M of the "
    "target.",
    formula=r"\|h^* - f_{MLP}\| \le \frac{C_1}{\sqrt{M}}",
    assumptions=(
        "h* is a function of the frozen features with a finite second Fourier moment (ReLU) or "
        "first (sigmoidal σ), on a bounded set; the paper states no constant",
        "σ is not linear: the released head has none",
        "W1 and W2 are free: a train generates neither freely",
    ),
)

SAMPLE = Sample(
    "even targets of known Fourier moment",
    why="C₁ is known for made targets only; eq. 9 goes on to quantum dots as far as one can.",
)

# Heads as they are drawn in the figure: label, colour, marker.
HEADS = {
    "proof": ("network of the proof", "#000000", "*"),
    "relu": ("ReLU, random W1, best W2", "#0072B2", "o"),
    "generated": ("ReLU, W1 of a released train, best W2", "#D55E00", "^"),
    "linear": ("no σ, best W1 and W2", "#808080", "x"),
}
_FEATURES, _SAMPLES, _DRAWS = 4, 2048, 12


def measure(effort: Effort) -> Measured:
    """Errors of four heads over the width, on even targets of known Fourier moment."""
    widths = (16, 64, 256, 1024)  # fewer than samples, or the output layer interpolates
    return summary(
        [row for seed in SAMPLE.seeds(effort) for row in errors(even_target(seed), widths, seed)]
    )


def even_target(seed: int) -> BarronTarget:
    """Σ a_k cos(ω_k·x) less its mean: h(x) = h(−x), so no linear head learns anything of it."""
    drawn = barron_target(torch.ones(_FEATURES, dtype=torch.float64), terms=8, seed=seed)
    amplitudes, frequencies = drawn.amplitudes.clone(), drawn.frequencies
    means = torch.exp(-0.5 * frequencies[:-1].square().sum(dim=1))
    amplitudes[-1] = -(amplitudes[:-1] * means).sum()
    return BarronTarget(amplitudes, frequencies, torch.zeros_like(drawn.phases))


@torch.no_grad()
def errors(
    target: BarronTarget,
    widths: Sequence[int],
    seed: int,
    units_of: Callable[[int], int] = lambda width: width,
) -> list[dict[str, Any]]:
    """One row a width: errors relative to ‖h‖ on fresh samples, and eq. 7 with its constant.

    Args:
        target: h.
        widths: M.
        seed: of samples and weights.
        units_of: how many units a ReLU head of width M really has.
    """
    generator = Generator().manual_seed(seed)
    x = torch.randn(2 * _SAMPLES, _FEATURES, generator=generator, dtype=torch.float64)
    x = torch.cat([x, torch.ones(len(x), 1, dtype=x.dtype)], dim=1)  # free biases
    train, test = (
        (x[:_SAMPLES], target(x[:_SAMPLES, :-1])),
        (x[_SAMPLES:], target(x[_SAMPLES:, :-1])),
    )
    size = float(test[1].square().mean().sqrt())
    radius = float(x[:, :-1].norm(dim=1).max())
    moment = barron_moment(target.amplitudes, target.frequencies, activation="relu")
    linear = _best_output(train[0], train, test[0], test[1])
    rows = []
    for width in widths:
        units = units_of(width)
        # Maurey's lemma is about the mean square over draws, and single draws scatter.
        drawn = (maurey_network(target, units, radius, generator=generator) for _ in range(_DRAWS))
        squares = [(f(test[0][:, :-1]) - test[1]).square().mean() for f in drawn]
        promised = float(torch.stack(squares).mean().sqrt())
        free = torch.randn(len(x[0]), units, generator=generator, dtype=x.dtype)
        head = build_adapter(
            "tensorguide", _FEATURES + 1, 1, width=width, generator=generator, dtype=x.dtype
        )
        assert isinstance(head, FactorAdapter)
        generated = head.factors()[0]
        bound = barron_bound(width=width, constant=moment, radius=radius, measured=promised)
        assert bound.value is not None
        rows.append(
            {
                "seed": seed,
                "width": width,
                "effective_width": head.effective_width,
                "bound": bound.value / size,
                "bound_holds": bound.holds,
                "proof": promised / size,
                "relu": _relu_error(train, test, free) / size,
                "generated": _relu_error(train, test, generated) / size,
                "linear": linear / size,
            }
        )
    return rows


def _relu_error(train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor], first: Tensor) -> float:
    hidden = (train[0] @ first).relu()
    return _best_output(hidden, train, (test[0] @ first).relu(), test[1])


def _best_output(
    hidden: Tensor, train: tuple[Tensor, Tensor], hidden_test: Tensor, wanted: Tensor
) -> float:
    """Root mean square test error of the output layer with the least training error."""
    gram = hidden.T @ hidden
    ridge = 1e-9 * gram.trace() / len(gram) * torch.eye(len(gram), dtype=gram.dtype)
    output = torch.linalg.solve(gram + ridge, hidden.T @ train[1])
    return float((hidden_test @ output - wanted).square().mean().sqrt())


def summary(rows: Sequence[dict[str, Any]]) -> Measured:
    """Medians over seeds, and the slope of each head's log error against log M."""
    widths = sorted({row["width"] for row in rows})
    medians = [
        {
            "width": width,
            **{
                name: median(row[name] for row in rows if row["width"] == width)
                for name in ("effective_width", "bound", *HEADS)
            },
        }
        for width in widths
    ]
    narrow, wide = medians[0], medians[-1]
    says = (narrow["bound"] * narrow["width"] ** 0.5) ** 2
    seeds = len({row["seed"] for row in rows})
    slopes = {f"{name}_slope": _slope(medians, name) for name in HEADS}
    return Measured(
        {
            **slopes,
            "bound_holds": all(row["bound_holds"] for row in rows),
            "loosest": max(row["bound"] / row["proof"] for row in rows),
            "says_from": says,
            "linear_error": wide["linear"],
            "generated_error": wide["generated"],
            "relu_error": wide["relu"],
            "seeds": seeds,
        },
        medians,
        seeds,
    )


def _slope(medians: Sequence[dict[str, Any]], name: str) -> float:
    x = np.log([row["width"] for row in medians])
    y = np.log([max(row[name], 1e-300) for row in medians])
    return float(np.polyfit(x, y, 1)[0])


def judge(measured: Measured) -> Finding:
    """FALSE if the proof's network breaks it; MEND if a head without σ stays where it is."""
    values = measured.values
    slope = values["proof_slope"]
    if not values["bound_holds"]:
        return Finding(
            Verdict.FALSE, "A network drawn as in the proof is farther from h than C₁/√M."
        )
    if slope > -0.3:
        return Finding(
            Verdict.FALSE,
            f"The error of the network that the proof constructs falls with slope {slope:.2f} in "
            "log M, not −1/2.",
        )
    nonlinear = (
        f"With ReLU and free weights the rate is there: slope {slope:.2f} in log M for the "
        f"network that the proof constructs, and C₁/√M always holds (up to "
        f"{values['loosest']:.0f} times loose; below ‖h‖ only from M = {values['says_from']:.1g}). "
    )
    stuck = values["linear_error"] > 0.1 and values["linear_slope"] > -0.1
    if not stuck:
        return Finding(
            Verdict.OK,
            f"{nonlinear}On this target even a head without σ comes to "
            f"{values['linear_error']:.1g} of ‖h‖.",
        )
    return Finding(
        Verdict.MEND,
        f"{nonlinear}Without σ, as released, the best head of any width stays at "
        f"{values['linear_error']:.2f} of ‖h‖ on even targets (slope "
        f"{values['linear_slope']:.2f}). At the largest width a first layer that a released "
        f"train generates leaves {values['generated_error']:.2f}, a free random one "
        f"{values['relu_error']:.2f}, both with the best output layer.",
        "For a nonlinear σ, free W1 and W2, and h* a function of the features with finite second "
        "Fourier moment C_h on a ball of radius r, some network with biases and an affine part "
        "reaches 2 r² C_h / √M (ReLU); a head without σ has no such bound at any width.",
        r"\inf_{W_1,W_2}\ \|h^* - f_{MLP}\| \le \frac{2 r^2 C_h}{\sqrt{M}}, \quad "
        r"C_h = \int \|\omega\|^2\, |\hat h^*|(d\omega)",
    )


def draw(measured: Measured) -> "Figure":
    """Errors over the width, and the promise."""
    from matplotlib.figure import Figure

    from ntklab.figures import drawing

    with drawing(height_to_width=0.55):
        figure = Figure(layout="constrained")
        axes = figure.subplots()
        widths = measured.column("width")
        axes.plot(
            widths, measured.column("bound"), "--", color="#000000", linewidth=0.8,
            label=r"$C_1/\sqrt{M}$",
        )  # fmt: skip
        for name, (label, colour, marker) in HEADS.items():
            axes.plot(widths, measured.column(name), color=colour, marker=marker, label=label)
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_xlabel("hidden width $M$")
        axes.set_ylabel(r"$\|h-f\|\,/\,\|h\|$")
        figure.legend(loc="outside right center")
    return figure


CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels={
        "proof_slope": "slope in log M: network of the proof",
        "relu_slope": "slope: ReLU, random W1, best W2",
        "generated_slope": "slope: ReLU, W1 of a released train, best W2",
        "linear_slope": "slope: no σ",
        "bound_holds": "C₁/√M holds for the network of the proof",
        "loosest": "largest C₁/√M over the error",
        "says_from": "M from which C₁/√M is below ‖h‖",
        "seeds": "targets",
    },
    columns={
        "width": "M",
        "effective_width": "effective width of the train",
        "bound": "C₁/√M over ‖h‖",
        "proof": "error, network of the proof",
        "relu": "error, ReLU, random W1",
        "generated": "error, ReLU, generated W1",
        "linear": "error, no σ",
    },
    draw=draw,
    caption="Errors on even targets in four dimensions, relative to the target's norm: medians "
    "over seeds. The rate of eq. 7 needs a nonlinearity.",
    sample=SAMPLE,
)
