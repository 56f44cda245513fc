"""Eq. 4: the training objective."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from torch import Generator, Tensor, nn

from ntklab.adapters import Adapter, TensorGuide
from ntklab.claims.claim import Check, Claim, Effort, Finding, Measured, Sample, Verdict
from ntklab.tasks.synthetic import synthetic_problem
from ntklab.tensor_train import plan
from ntklab.training import RELEASED, Data, TrainConfig, accuracy, loss_function, train
from paper_checks.tensorguide._seeds import quartiles
from paper_checks.tensorguide._tasks import quantum_dots

CLAIM = Claim(
    id="eq04",
    title="The training objective",
    words="The cores are trained to minimize the mean loss of a frozen base layer plus the "
    "generated update.",
    formula=r"\min_{G}\ \frac{1}{N}\sum_{n=1}^{N} \ell\left(f(x_n; W_0, G),\, y_n\right)",
    assumptions=(
        "a definition",
        "f is one function: the formula, Algorithm 1 and the released code each mean another",
    ),
)

READINGS = ("eq. 4: base layer, no σ", "Algorithm 1: no base, ReLU", "released: no base, no σ")
SAMPLE = Sample(
    "quantum dots; labels even in Gaussian x",
    on_quick="labels even in Gaussian x",
    why="Labels that are even in x are there because on them the readings must differ.",
)


@dataclass(frozen=True)
class World:
    """A problem, and the head that is trained on it.

    Attributes:
        name: for the report.
        width: M.
        ranks: TT-ranks; the paper's if None.
        rate: of Adam.
    """

    name: str
    width: int
    ranks: tuple[int, ...] | None
    rate: float

    def data(self, seed: int) -> Data:
        """Training samples, and test rows where the problem has some."""
        return quantum_dots(seed, 512) if self is DOTS else even_data(seed)


EVEN = World("labels even in x", 32, (1, 4, 4, 4, 1), 0.03)
DOTS = World("quantum dots", 1024, None, RELEASED["tensorguide"].lr)


def measure(effort: Effort) -> Measured:
    """Three readings of f with equal cores and latent: what they output, what training makes."""
    steps = {EVEN: 250} if not effort.full else {EVEN: 600, DOTS: 500}
    runs, distances, errors = [], [], []
    for world, seed in product(steps, SAMPLE.seeds(effort)):
        data = world.data(seed)
        heads = readings(seed, world, data.inputs.shape[1])
        distances.append(largest_distance(heads, data.inputs))
        errors.append(objective_error(heads, data))
        runs += [
            {"task": world.name, "seed": seed, **row}
            for row in trained(heads, data, steps[world], world.rate)
        ]
    return summary(runs, distances, errors)


def summary(
    runs: Sequence[Mapping[str, Any]], distances: Sequence[float], errors: Sequence[float]
) -> Measured:
    """A row a problem and reading, medians with quartiles; the worst of everything as values."""
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for run in runs:
        groups.setdefault((run["task"], run["reading"]), []).append(run)
    rows = []
    for (task, reading), own in groups.items():
        row: dict[str, Any] = {"task": task, "reading": reading, "seeds": len(own)}
        for name in ("loss", "accuracy", "test_accuracy"):
            numbers = [run[name] for run in own]
            row |= {name: None} if None in numbers else quartiles(name, numbers)
        rows.append(row)
    fewest = min(row["seeds"] for row in rows)
    values = {
        "objective_error": max(errors),
        "smallest_distance": min(distances),
        "seeds": fewest,
    }
    return Measured(values, rows, fewest)


def even_data(seed: int, samples: int = 256) -> Data:
    """Labels that no linear head can learn: whether |v·x| is above its median."""
    problem = synthetic_problem(features=8, samples=samples, covariance_decay=0.0, data_seed=seed)
    x = problem.task.train.features
    height = x[:, :2].sum(dim=1).abs()
    return Data(x, (height > height.median()).long())


def readings(seed: int, world: World = EVEN, features: int = 8) -> dict[str, Adapter]:
    """The three heads for two classes, with the same cores and the same latent."""
    heads: dict[str, Adapter] = {}
    shape = plan(features, 2, world.width, ranks=world.ranks).shape
    for name in READINGS:
        base = None
        if name == READINGS[0]:
            base = nn.Linear(features, 2, dtype=torch.float64)
            with torch.no_grad():
                drawn = torch.randn(2, features, generator=Generator().manual_seed(seed))
                base.weight.copy_(drawn / features**0.5)
                base.bias.zero_()
        heads[name] = TensorGuide(
            features,
            2,
            world.width,
            shape=shape,
            base=base,
            activation="relu" if name == READINGS[1] else "identity",
            generator=Generator().manual_seed(seed),
            dtype=torch.float64,
        )
    return heads


@torch.no_grad()
def largest_distance(heads: Mapping[str, Adapter], inputs: Tensor) -> float:
    """The largest relative distance between the outputs of two readings."""
    outputs = [head(inputs) for head in heads.values()]
    return max(
        float((f - g).norm() / torch.maximum(f.norm(), g.norm()))
        for k, f in enumerate(outputs)
        for g in outputs[:k]
    )


@torch.no_grad()
def objective_error(heads: Mapping[str, Adapter], data: Data) -> float:
    """The library's training loss against eq. 4 written out, sample by sample."""
    loss = loss_function(TrainConfig(steps=1))
    errors = []
    for head in heads.values():
        written_out = 0.0
        for x, y in zip(data.inputs, data.targets, strict=True):
            logits = head(x.unsqueeze(0)).squeeze(0)
            written_out += float(logits.exp().sum().log() - logits[int(y)])
        written_out /= data.n_samples
        errors.append(abs(float(loss(head(data.inputs), data.targets)) - written_out))
    return max(errors)


def trained(
    heads: Mapping[str, Adapter], data: Data, steps: int, rate: float = EVEN.rate
) -> list[dict[str, Any]]:
    """Loss and accuracies of every reading after the same steps of Adam."""
    rows: list[dict[str, Any]] = []
    for name, head in heads.items():
        config = TrainConfig(lr=rate, steps=steps, batch=64, logs_per_decade=1)
        final = train(head, data, config).final
        with torch.no_grad():
            right = accuracy(head(data.inputs), data.targets)
        rows.append(
            {
                **{"reading": name, "loss": final["train_loss"], "accuracy": right},
                "test_accuracy": final.get("test_accuracy"),
            }
        )
    return rows


def judge(measured: Measured) -> Finding:
    """FALSE if the loss is another; MEND if the readings of f differ; else OK."""
    values = measured.values
    if values["objective_error"] > 1e-12:
        return Finding(
            Verdict.FALSE,
            "The loss that is trained differs from the formula by "
            f"{values['objective_error']:.1e}.",
        )
    if values["smallest_distance"] < 1e-9:
        return Finding(
            Verdict.OK,
            f"A definition: the loss that is trained equals the formula to "
            f"{values['objective_error']:.1e}, and all readings of f give equal outputs.",
        )
    reached = ". ".join(
        f"On {task} training reaches: "
        + "; ".join(_told(row) for row in measured.rows if row["task"] == task)
        for task in dict.fromkeys(measured.column("task"))
    )
    return Finding(
        Verdict.MEND,
        "The sum is a definition (the library's loss equals it to "
        f"{values['objective_error']:.1e}), but f is not one function: with equal cores and "
        f"latent, outputs of two readings differ by at least {values['smallest_distance']:.0%} of "
        f"their norm. {reached} (medians of {values['seeds']} seeds).",
        "Eq. 4 defines the objective once f is named; what was trained has neither a base layer "
        "nor an activation.",
        r"\min_{G}\ \frac{1}{N}\sum_{n} \ell\left(s\,\phi_n W_1(G)\,W_2(G),\, y_n\right)",
    )


def _told(row: Mapping[str, Any]) -> str:
    test = "" if row["test_accuracy"] is None else f" ({row['test_accuracy']:.0%} on test rows)"
    return f"{row['reading']}: loss {row['loss']:.2f}, accuracy {row['accuracy']:.0%}{test}"


CHECK = Check(
    CLAIM,
    measure,
    judge,
    labels={
        "objective_error": "difference between trained loss and formula",
        "smallest_distance": "least distance of two readings' outputs over seeds, relative",
        "seeds": "seeds",
    },
    columns={
        "task": "problem",
        "reading": "reading of f",
        "seeds": "seeds",
        "loss": "training loss reached, median",
        "loss_low": "lower quartile",
        "loss_high": "upper quartile",
        "accuracy": "training accuracy, median",
        "accuracy_low": "lower quartile",
        "accuracy_high": "upper quartile",
        "test_accuracy": "test accuracy, median",
        "test_accuracy_low": "lower quartile",
        "test_accuracy_high": "upper quartile",
    },
    sample=SAMPLE,
)
