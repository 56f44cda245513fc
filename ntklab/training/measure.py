"""Losses, accuracies and gaps at a logged step."""

from statistics import fmean

import torch
from torch import Tensor, nn

from ntklab.training.config import TrainConfig
from ntklab.training.data import Data
from ntklab.training.latent import fresh_latents
from ntklab.training.losses import accuracy, loss_function

Row = dict[str, float | int | None]

# Samples an evaluation passes at a time: bounds the memory of an image network.
CHUNK = 512


def outputs_of(model: nn.Module, inputs: Tensor, chunk: int = CHUNK) -> Tensor:
    """f(x) of all inputs, without gradients, in chunks."""
    with torch.no_grad():
        return torch.cat([model(part) for part in inputs.split(chunk)])


def evaluate(model: nn.Module, data: Data, config: TrainConfig, step: int) -> Row:
    """Loss and accuracy on the training samples and every test set, and the gaps between them.

    With a redrawn latent, `*_loss` and `*_accuracy` are means over fresh draws of z. Where fresh
    draws are asked for, `*_fresh_accuracy` is their mean, `*_fresh_worst` the least accurate draw
    and `*_fresh_ensemble` the accuracy of the mean outputs.

    Args:
        model: in evaluation mode.
        data: the samples.
        config: says the loss and the latents.
        step: the draws of z depend on it.

    Returns:
        `train_loss`, `train_accuracy`, the same for each test set by its name; `gap` = loss of
        the first test set − training loss, `accuracy_gap` = training accuracy − its accuracy.
    """
    row: Row = {}
    if config.latent == "fixed":
        for name, x, y in data.splits():
            row |= _judge(name, outputs_of(model, x), y, config)
    if config.evaluation_latents:
        row |= _over_fresh_latents(model, data, config, step)
    if data.tests:
        first = next(iter(data.tests))
        row["gap"] = _difference(row, f"{first}_loss", "train_loss")
        row["accuracy_gap"] = _difference(row, "train_accuracy", f"{first}_accuracy")
    return row


def _judge(name: str, outputs: Tensor, targets: Tensor, config: TrainConfig) -> Row:
    loss = loss_function(config)(outputs.double(), targets)
    return {f"{name}_loss": float(loss), f"{name}_accuracy": accuracy(outputs, targets)}


def _over_fresh_latents(model: nn.Module, data: Data, config: TrainConfig, step: int) -> Row:
    splits = list(data.splits())
    draws: dict[str, list[Tensor]] = {name: [] for name, _, _ in splits}
    with fresh_latents(model, config.evaluation_latents, config.seed, step) as latents:
        for _ in latents:
            for name, x, _ in splits:
                draws[name].append(outputs_of(model, x))
    row: Row = {}
    for name, _, y in splits:
        outputs = torch.stack(draws[name])
        accuracies = [accuracy(drawn, y) for drawn in outputs]
        row[f"{name}_fresh_accuracy"] = fmean(accuracies)
        row[f"{name}_fresh_worst"] = min(accuracies)
        row[f"{name}_fresh_ensemble"] = accuracy(outputs.mean(0), y)
        if config.latent == "redrawn":
            losses = [float(loss_function(config)(drawn.double(), y)) for drawn in outputs]
            row[f"{name}_loss"] = fmean(losses)
            row[f"{name}_accuracy"] = row[f"{name}_fresh_accuracy"]
    return row


def _difference(row: Row, first: str, second: str) -> float:
    return float(row[first] or 0.0) - float(row[second] or 0.0)
