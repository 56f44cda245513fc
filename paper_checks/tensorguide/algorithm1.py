"""Algorithm 1: the training loop."""

from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

import torch
from scipy import stats
from torch import Generator, Tensor

from ntklab.adapters import TensorGuide
from ntklab.claims.claim import Check, Claim, Effort, Finding, Measured, Sample, Verdict
from ntklab.jacobians import ntk
from ntklab.tasks.synthetic import synthetic_problem
from ntklab.tensor_train import plan
from ntklab.training import Data, TrainConfig, released_config, train
from ntklab.training.latent import fresh_latents
from paper_checks.tensorguide._tasks import quantum_dots

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CLAIM = Claim(
    id="algorithm1",
    title="Algorithm 1, the training loop",
    words="Cores start Xavier-uniform; every minibatch draws z anew, generates both factors, "
    "passes through σ, and descends the cross-entropy.",
    formula=r"z\sim\mathcal{N}(0,I),\quad [W_1;W_2] = \mathrm{TT}(z;G),\quad "
    r"h = \sigma(W_1 x),\quad \hat y = W_2 h",
    assumptions=(
        "which z is used after training is not said",
        "the released code keeps z fixed and has no σ",
    ),
)

SAMPLE = Sample("quantum dots", on_quick="a teacher's labels on Gaussian features")
DRAWS = 40


def measure(effort: Effort) -> Measured:
    """Kernels over draws of z, then runs with z fixed and z drawn anew, judged over fresh z."""
    d, C, M, steps = (512, 2, 1024, 1000) if effort.full else (16, 2, 64, 250)
    rows = []
    for seed in SAMPLE.seeds(effort):
        data = quantum_dots(seed, 512) if effort.full else data_of(seed, d, C, 192)
        rows.append({"seed": seed, **kernels(seed, (d, C, M)), **runs(seed, data, C, M, steps)})
    return summary(rows, differences((d, C, M)))


def data_of(seed: int, features: int, classes: int, samples: int) -> Data:
    """Labels of a ReLU teacher, with the task's own test rows."""
    problem = synthetic_problem(
        features=features, samples=samples, classes=classes, teacher="relu", data_seed=seed
    )
    return Data.of_task(problem.task)


def head_of(seed: int, sizes: tuple[int, int, int], preset: str = "paper") -> TensorGuide:
    """A head at the paper's TT-ranks, as the text starts it or as the code does."""
    d, C, M = sizes
    return TensorGuide(
        d,
        C,
        M,
        shape=plan(d, C, M).shape,
        preset=preset,
        generator=Generator().manual_seed(seed),
        dtype=torch.float64,
    )


@torch.no_grad()
def differences(sizes: tuple[int, int, int]) -> dict[str, Any]:
    """Where the head and the loop of the text differ from those of the released code."""
    text, code = head_of(0, sizes), head_of(0, sizes, "released")
    spread = {"text": text, "code": code}
    largest = {name: max(float(c.abs().max()) for c in h.cores) for name, h in spread.items()}
    latents = {"text": "redrawn", "code": released_config("tensorguide").latent}
    return {
        "activations": f"{text.activation.name} / {code.activation.name}",
        "scales": f"{text.scale:g} / {code.scale:g}",
        "latents": f"{latents['text']} / {latents['code']}",
        "largest_cores": f"{largest['text']:.2f} / {largest['code']:.2f}",
        "differences": (text.activation.name != code.activation.name)
        + (text.scale != code.scale)
        + (latents["text"] != latents["code"])
        + (abs(largest["text"] / largest["code"] - 1) > 0.01),
    }


@torch.no_grad()
def kernels(
    seed: int, sizes: tuple[int, int, int], draws: int = DRAWS, samples: int = 16
) -> dict[str, float]:
    """K_z of one head with fixed cores over draws of z: spread of the trace, cosines of pairs."""
    head = head_of(seed, sizes)
    x = torch.randn(samples, sizes[0], generator=Generator().manual_seed(seed), dtype=torch.float64)
    grams: list[Tensor] = []
    with fresh_latents(head, draws, seed, 0) as latents:
        for _ in latents:
            grams.append(ntk(head, x).reshape(-1))
    stacked = torch.stack(grams)
    side = samples * sizes[1]
    traces = stacked.reshape(draws, side, side).diagonal(dim1=1, dim2=2).sum(dim=1)
    unit = stacked / stacked.norm(dim=1, keepdim=True)
    cosines = (unit @ unit.T)[torch.triu_indices(draws, draws, 1).unbind()]
    return {
        "trace_spread": float(traces.max() / traces.min()),
        "cosine": float(cosines.mean()),
    }


def runs(seed: int, data: Data, classes: int, width: int, steps: int) -> dict[str, float]:
    """Test accuracies of two runs from one start: z fixed, and z drawn for every minibatch."""
    sizes = (data.inputs.shape[1], classes, width)
    base = TrainConfig(
        lr=0.01, steps=steps, batch=32, seed=seed, fresh_latents=16, logs_per_decade=1
    )
    fixed = train(head_of(seed, sizes), data, base).final
    anew = train(head_of(seed, sizes), data, base.with_(latent="redrawn")).final
    return {
        "fixed": float(fixed["test_accuracy"] or 0.0),
        "fixed_fresh": float(fixed["test_fresh_accuracy"] or 0.0),
        "fixed_worst": float(fixed["test_fresh_worst"] or 0.0),
        "redrawn": float(anew["test_fresh_accuracy"] or 0.0),
        "redrawn_worst": float(anew["test_fresh_worst"] or 0.0),
        "redrawn_ensemble": float(anew["test_fresh_ensemble"] or 0.0),
        "redrawn_loss": float(anew["train_loss"] or 0.0),
        "chance": _commonest(data),
    }


def _commonest(data: Data) -> float:
    labels = next(iter(data.tests.values()))[1]
    return float(labels.bincount().max() / len(labels))


def summary(rows: Sequence[dict[str, Any]], differing: dict[str, Any]) -> Measured:
    """Means over seeds, and paired intervals of what a fresh z costs and what training gains."""
    names = [name for name in rows[0] if name != "seed"]
    values: dict[str, Any] = {f"{name}_mean": fmean(row[name] for row in rows) for name in names}
    for name, one, other in (("loss", "fixed", "fixed_fresh"), ("gain", "redrawn", "chance")):
        low, high = _interval([row[one] - row[other] for row in rows])
        values |= {f"{name}_low": low, f"{name}_high": high}
    return Measured({"seeds": len(rows), **values, **differing}, rows, len(rows))


def _interval(paired: Sequence[float]) -> tuple[float, float]:
    """The 95 % t-interval of a mean."""
    mean = fmean(paired)
    if len(paired) < 2 or max(paired) == min(paired):
        return mean, mean
    half = float(stats.sem(paired) * stats.t.ppf(0.975, len(paired) - 1))
    return mean - half, mean + half


def judge(measured: Measured) -> Finding:
    """FALSE if drawing z anew trains nothing; MEND if z matters after training; else OK."""
    v = measured.values
    if v["gain_high"] <= 0:
        return Finding(
            Verdict.FALSE,
            f"Trained with z drawn anew, the head is no better than the commonest label: "
            f"{v['redrawn_mean']:.2f} against {v['chance_mean']:.2f} ({v['seeds']} seeds).",
        )
    kernel = (
        f"With fixed cores the kernel is another for every z: over {DRAWS} draws its trace "
        f"varies {v['trace_spread_mean']:.0f}-fold, and two kernels have a mean cosine of "
        f"{v['cosine_mean']:.2f}. "
    )
    trained = (
        f"Trained with one z, test accuracy is {v['fixed_mean']:.2f} with it and "
        f"{v['fixed_fresh_mean']:.2f} with a fresh one (95 % interval of the loss "
        f"{v['loss_low']:.2f} to {v['loss_high']:.2f}, {v['seeds']} seeds; worst draw "
        f"{v['fixed_worst_mean']:.2f}); trained with z drawn anew it is {v['redrawn_mean']:.2f}, "
        f"and {v['redrawn_ensemble_mean']:.2f} with the mean output over z "
        f"(commonest label {v['chance_mean']:.2f})."
    )
    if v["loss_low"] <= 0 and v["differences"] == 0:
        return Finding(Verdict.OK, "The loop runs, and z does not matter after it. " + trained)
    return Finding(
        Verdict.MEND,
        f"The loop runs, but text and released code differ in {v['differences']} places "
        f"(σ: {v['activations']}; scale: {v['scales']}; z: {v['latents']}; largest core entry: "
        f"{v['largest_cores']}). {kernel}{trained}",
        "Keep z fixed and store it with the cores, or draw it anew in training and average the "
        "outputs over draws of z afterwards; say which.",
        r"\hat y(x) = \mathbb{E}_{z\sim\mathcal{N}(0,I)}\, W_2(z)\,\sigma\left(W_1(z)\,x\right)",
    )


def draw(measured: Measured) -> "Figure":
    """Test accuracy with the z of training and with fresh ones, a line a seed."""
    from matplotlib.figure import Figure

    from ntklab.figures import drawing, method_style

    names = ("fixed", "fixed_fresh", "redrawn", "redrawn_ensemble")
    words = (
        "z fixed:\nits own z",
        "z fixed:\nfresh z",
        "z redrawn:\nfresh z",
        "z redrawn:\nmean over z",
    )
    colour = method_style("tensorguide").colour
    with drawing(height_to_width=0.5):
        figure = Figure(layout="constrained")
        axes = figure.subplots()
        for row in measured.rows:
            for pair in ((0, 1), (2, 3)):
                axes.plot(pair, [row[names[k]] for k in pair], "o-", color=colour, alpha=0.45)
        means = [measured.values[f"{name}_mean"] for name in names]
        axes.plot(range(4), means, "_", color="#000000", markersize=22, label="mean")
        axes.axhline(
            measured.values["chance_mean"], color="#808080", linestyle=":", label="commonest label"
        )
        axes.set_xticks(range(4), words)
        axes.set_xlim(-0.5, 3.5)
        axes.set_ylabel("test accuracy")
        axes.legend(loc="upper center")
    return figure


CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels={
        "seeds": "seeds",
        "differences": "differences between text and released code",
        "activations": "σ, text / code",
        "scales": "output scale, text / code",
        "latents": "z in training, text / code",
        "largest_cores": "largest core entry at the start, text / code",
        "trace_spread_mean": "trace of K over draws of z, largest over least (mean over seeds)",
        "cosine_mean": "mean cosine of two kernels",
        "loss_low": "accuracy lost by a fresh z, lower end",
        "loss_high": "upper end (95 %)",
        "gain_low": "accuracy above the commonest label, z redrawn, lower end",
        "gain_high": "upper end (95 %)",
    },
    columns={
        "seed": "seed",
        "trace_spread": "trace spread",
        "cosine": "cosine",
        "fixed": "z fixed, its own",
        "fixed_fresh": "z fixed, fresh z",
        "fixed_worst": "worst of 16",
        "redrawn": "z redrawn, fresh z",
        "redrawn_worst": "worst of 16",
        "redrawn_ensemble": "mean output over z",
        "chance": "commonest label",
    },
    draw=draw,
    caption="Test accuracy of heads trained with one z and with z drawn anew for every minibatch, "
    "judged with the z of training, with fresh ones, and with the mean output over fresh ones.",
    sample=SAMPLE,
)
