"""Eq. 4: the training objective."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Generator, Tensor, nn

from ntklab.adapters import Adapter, TensorGuide
from ntklab.tasks.synthetic import synthetic_problem
from ntklab.tensor_train import plan
from ntklab.training import Data, TrainConfig, accuracy, loss_function, train
from paper_checks.harness.claim import Check, Claim, Effort, Finding, Measured, Verdict

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
_FEATURES, _CLASSES, _WIDTH = 8, 2, 32


def measure(effort: Effort) -> Measured:
    """Three readings of f with equal cores and latent: what they output, what training makes."""
    rows, distances, errors = [], [], []
    for seed in effort.seeds:
        data = even_data(seed)
        heads = readings(seed)
        distances.append(largest_distance(heads, data.inputs))
        errors.append(objective_error(heads, data))
        steps = 1500 if effort.full else 250
        rows += [{"seed": seed, **row} for row in trained(heads, data, steps)]
    values: dict[str, Any] = {
        "objective_error": max(errors),
        "smallest_distance": min(distances),
        "seeds": len(effort.seeds),
    }
    for k, name in enumerate(dict.fromkeys(row["reading"] for row in rows)):
        for word in ("loss", "accuracy"):
            found = [row[word] for row in rows if row["reading"] == name]
            values[f"{word}_{k}"] = sum(found) / len(found)
    return Measured(values, rows)


def even_data(seed: int, samples: int = 256) -> Data:
    """Labels that no linear head can learn: whether |v·x| is above its median."""
    problem = synthetic_problem(
        features=_FEATURES, samples=samples, covariance_decay=0.0, data_seed=seed
    )
    x = problem.task.train.features
    height = x[:, :2].sum(dim=1).abs()
    return Data(x, (height > height.median()).long())


def readings(seed: int) -> dict[str, Adapter]:
    """The three heads, with the same cores and the same latent."""
    heads: dict[str, Adapter] = {}
    shape = plan(_FEATURES, _CLASSES, _WIDTH, ranks=(1, 4, 4, 4, 1)).shape
    for name in READINGS:
        base = None
        if name == READINGS[0]:
            base = nn.Linear(_FEATURES, _CLASSES, dtype=torch.float64)
            with torch.no_grad():
                drawn = torch.randn(_CLASSES, _FEATURES, generator=Generator().manual_seed(seed))
                base.weight.copy_(drawn / _FEATURES**0.5)
                base.bias.zero_()
        heads[name] = TensorGuide(
            _FEATURES,
            _CLASSES,
            _WIDTH,
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


def trained(heads: Mapping[str, Adapter], data: Data, steps: int) -> list[dict[str, Any]]:
    """Loss and accuracy of every reading after the same steps of Adam."""
    rows: list[dict[str, Any]] = []
    for name, head in heads.items():
        config = TrainConfig(lr=0.03, steps=steps, batch=64, logs_per_decade=1)
        final = train(head, data, config).final
        with torch.no_grad():
            right = accuracy(head(data.inputs), data.targets)
        rows.append({"reading": name, "loss": final["train_loss"], "accuracy": right})
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
    names = list(dict.fromkeys(measured.column("reading")))
    reached = "; ".join(
        f"{name}: loss {values[f'loss_{k}']:.2f}, accuracy {values[f'accuracy_{k}']:.0%}"
        for k, name in enumerate(names)
    )
    return Finding(
        Verdict.MEND,
        "The sum is a definition (the library's loss equals it to "
        f"{values['objective_error']:.1e}), but f is not one function: with equal cores and "
        f"latent, outputs of two readings differ by at least {values['smallest_distance']:.0%} of "
        f"their norm. On labels that are even in x, training reaches: {reached} (means of "
        f"{values['seeds']} seeds).",
        "Eq. 4 defines the objective once f is named; what was trained has neither a base layer "
        "nor an activation.",
        r"\min_{G}\ \frac{1}{N}\sum_{n} \ell\left(s\,\phi_n W_1(G)\,W_2(G),\, y_n\right)",
    )


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
        "seed": "seed",
        "reading": "reading of f",
        "loss": "training loss reached",
        "accuracy": "training accuracy",
    },
)
