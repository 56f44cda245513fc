"""Eq. 9: the bound on the adapter's risk above the target's."""

from collections.abc import Sequence
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING, Any

import torch

from ntklab.bounds import cross_entropy_lipschitz
from ntklab.records import Cell
from ntklab.sweeps.approximation import ApproximationConfig, run_approximation_cell
from ntklab.sweeps.approximation_terms import problem_of
from paper_checks.harness.claim import Check, Claim, Effort, Finding, Measured, Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CLAIM = Claim(
    id="eq09",
    title="Risk above the target's",
    words="The adapter's risk above the target's is at most the loss's Lipschitz constant times "
    "the sum of both approximation errors; so a larger M at the same TT-ranks represents better.",
    formula=r"R(f_{TG}) - R(h^*) \le L_{ce} \left( \frac{C_1}{\sqrt{M}} + "
    r"L_\sigma\, C_2\, \varepsilon_{TT} \right)",
    assumptions=(
        "those of eqs. 5 to 8, and one dense network in both terms",
        "ε_TT is that of the dense network's weights at the TT-ranks and the width in question",
    ),
)

RANKS = (1, 2, 2, 1, 1)  # the paper's


def measure(effort: Effort) -> Measured:
    """Both terms and trained adapters over M, on a target whose Fourier moment is known."""
    start = ApproximationConfig(
        target="barron",
        network="dense",
        width=16,
        features=8,
        samples=8192 if effort.full else 2048,
        steps=600 if effort.full else 250,
        batch=256 if effort.full else 128,
    )
    widths = (16, 64, 256, 1024) if effort.full else (16, 64, 256)
    seeds = effort.seeds if effort.full else range(2)
    return summary([row for seed in seeds for row in terms(start, widths, seed)])


def terms(start: ApproximationConfig, widths: Sequence[int], seed: int) -> list[dict[str, Any]]:
    """One row a width: what eq. 9 promises, and what a trained adapter does.

    The loss is the logistic one of a margin with P(y = 1 | x) = 1 / (1 + e^(−h(x))), whose
    constant is 1: the risk gap is at most the distance of the outputs.

    Args:
        start: sizes of the problem and of training.
        widths: M.
        seed: of target, start and minibatches.
    """
    rows = []
    for width in widths:
        config = replace(start, width=width, seed=seed, data_seed=seed, tt_ranks=(RANKS,))
        dense = run_approximation_cell(replace(config, network="dense", rate=None))
        adapter = run_approximation_cell(replace(config, network="adapter", rate=None))
        rows.append({"seed": seed, "width": width, **_terms(config, dense, adapter)})
    return rows


def _terms(config: ApproximationConfig, dense: Cell, adapter: Cell) -> dict[str, Any]:
    part = dense.flat_parts[0]
    lipschitz = cross_entropy_lipschitz(margin=True)
    h = problem_of(config).test[1].double()
    # KL divergence of a fair coin from P(y | x): what predicting nothing costs.
    nothing = (torch.nn.functional.softplus(h) - h * h.sigmoid()).mean()
    without = float(torch.log(torch.tensor(2.0)) - nothing)
    return {
        "effective_width": part["effective_width"],
        "params": part["params"],
        "first_term": lipschitz * dense.flat["barron_bound"],
        "second_term": lipschitz * part["function_bound"],
        "sum": lipschitz * part["sum_bound"],
        "relative_error": part["relative_error"],
        "dense_error": dense.flat["test_error"],
        "adapter_error": adapter.flat["test_error"],
        "cut_error": part["test_error"],
        "without": without,
        "target_rms": part["target_rms"],
    }


def summary(rows: Sequence[dict[str, Any]]) -> Measured:
    """Medians over seeds, and what changes from the least to the largest width."""
    widths = sorted({row["width"] for row in rows})
    table = [
        {
            name: width
            if name == "width"
            else median(row[name] for row in rows if row["width"] == width)
            for name in rows[0]
            if name != "seed"
        }
        for width in widths
    ]
    first, last = table[0], table[-1]
    values: dict[str, Any] = {
        f"{name}_change": last[name] / first[name]
        for name in ("first_term", "second_term", "sum", "relative_error", "adapter_error")
    }
    return Measured(
        {
            **values,
            "networks": len(rows),
            "holds": all(
                max(row["adapter_error"], row["cut_error"]) <= row["sum"] * (1 + 1e-9)
                for row in rows
            ),
            "vacuous": sum(row["sum"] >= row["without"] for row in rows),
            "smallest_sum": min(row["sum"] for row in rows),
            "largest_without": max(row["without"] for row in rows),
        },
        table,
    )


def judge(measured: Measured) -> Finding:
    """FALSE if it fails; VACUOUS if never below what predicting nothing costs; MEND if it grows."""
    values = measured.values
    widths = measured.column("width")
    over = f"from M = {widths[0]} to {widths[-1]}"
    terms_told = (
        f"{over} the first term changes by a factor {values['first_term_change']:.2f}, the second "
        f"by {values['second_term_change']:.2f} (ε_TT over ‖w‖ by "
        f"{values['relative_error_change']:.2f}), the sum by {values['sum_change']:.2f}, and the "
        f"error of trained adapters by {values['adapter_error_change']:.2f}."
    )
    mended = (
        "The sum is an upper bound with the constants of eqs. 7 and 8; whether it falls with M is "
        "decided by ε_TT at that M, which the TT-ranks do not bound."
    )
    if not values["holds"]:
        return Finding(
            Verdict.FALSE, "A trained adapter or a cut dense head is farther from h than the sum."
        )
    if values["vacuous"] == values["networks"]:
        return Finding(
            Verdict.VACUOUS,
            f"The bound holds for all {values['networks']} heads and never says anything: it is "
            f"at least {values['smallest_sum']:.3g} nats where predicting nothing costs at most "
            f"{values['largest_without']:.2f}. {terms_told[0].upper()}{terms_told[1:]}",
            mended,
        )
    if values["sum_change"] >= 1:
        return Finding(
            Verdict.MEND,
            "The bound holds, but a larger M does not lower it: " + terms_told,
            mended,
        )
    return Finding(
        Verdict.OK,
        f"The bound holds for all {values['networks']} heads and falls with M: {terms_told}",
    )


def draw(measured: Measured) -> "Figure":
    """Both terms, their sum, and what trained adapters do."""
    from matplotlib.figure import Figure

    from ntklab.figures import drawing, method_style

    style = method_style("tensorguide")
    with drawing(height_to_width=0.55):
        figure = Figure(layout="constrained")
        axes = figure.subplots()
        widths = measured.column("width")
        looks: tuple[tuple[str, str, dict[str, Any]], ...] = (
            ("sum", "eq. 9", {"color": "#000000"}),
            ("first_term", r"first term, $C_1/\sqrt{M}$", {"color": "#0072B2", "linestyle": "--"}),
            ("second_term", "second term", {"color": "#CC79A7", "linestyle": "--"}),
            ("without", "predicting nothing", {"color": "#808080", "linestyle": ":"}),
        )
        for name, label, look in looks:
            axes.plot(widths, measured.column(name), label=label, **look)
        axes.plot(
            widths, measured.column("adapter_error"), color=style.colour, marker=style.marker,
            label=r"$\|h-f\|$, trained adapter",
        )  # fmt: skip
        axes.plot(
            widths, measured.column("dense_error"), color="#404040", marker="*",
            label=r"$\|h-f\|$, dense",
        )  # fmt: skip
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_xlabel("hidden width $M$")
        axes.set_ylabel("nats, or root mean square")
        figure.legend(loc="outside right center")
    return figure


CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels={
        "networks": "dense heads and adapters, pairs",
        "holds": "the bound holds for trained adapters and cut dense heads",
        "vacuous": "pairs where predicting nothing is as good as the bound",
        "smallest_sum": "least right-hand side, nats",
        "largest_without": "most that predicting nothing costs, nats",
        "first_term_change": "first term, largest M over least",
        "second_term_change": "second term, largest M over least",
        "sum_change": "sum, largest M over least",
        "relative_error_change": "ε over ‖w‖, largest M over least",
        "adapter_error_change": "error of trained adapters, largest M over least",
    },
    columns={
        "width": "M",
        "effective_width": "effective width",
        "params": "parameters",
        "first_term": "first term",
        "second_term": "second term",
        "sum": "eq. 9",
        "relative_error": "ε over ‖w‖",
        "dense_error": "‖h − f‖, dense",
        "cut_error": "‖h − f‖, dense cut",
        "adapter_error": "‖h − f‖, trained adapter",
        "without": "risk gap of predicting nothing",
    },
    draw=draw,
    caption="Both terms of eq. 9 and their sum over the width at the paper's TT-ranks, beside "
    "trained networks and what predicting nothing costs: medians over seeds.",
)
