"""Eqs 7–9 beside training: what width and TT-rank promise, and what they give.

Two targets. `barron`: a function whose Barron constant is known, so that C/√M of eq 7 is a number.
`dense-head`: a classification task, where a trained dense head plays the network that eq 8
truncates. A cell trains one network: a dense ReLU head (and truncates it at every TT-rank), a
dense linear head, or a TensorGuide adapter at one TT-rank.

Errors of functions are root mean squares over the test samples.
"""

import math
import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import Generator, Tensor, nn

from ntklab.adapters import Adapter, build_adapter
from ntklab.bounds import root_mean_square
from ntklab.errors import InputError
from ntklab.experiments.approximation.config import ApproximationConfig
from ntklab.experiments.approximation.terms import (
    Problem,
    barron_columns,
    problem_of,
    truncation_columns,
    words,
)
from ntklab.experiments.peak_memory import taken_since
from ntklab.host_memory import refuse_beyond_memory
from ntklab.records import Cell, without_gaps
from ntklab.tensor_train import plan
from ntklab.training import Data, DenseHead, Run, TrainConfig, accuracy, train


def run_approximation_cell(config: ApproximationConfig) -> Cell:
    """Train one network of one target and measure it; a dense one is truncated too.

    Returns:
        A row of the network, and for `dense` a part a TT-rank: relative TT-SVD error with
        Oseledets' bounds, function error with eq 8, and what the truncated head still does.

    Raises:
        InputError: ranks that do not fit the planned train, or data that the task refuses.

    Example:
        >>> config = ApproximationConfig(
        ...     target="barron", network="linear", width=4, samples=32, steps=5, batch=16)
        >>> cell = run_approximation_cell(config)
        >>> cell.row["kind"], 0 < cell.row["test_error"]
        ('linear', True)
    """
    started = time.perf_counter()
    problem = problem_of(config)
    model = _model(config, problem)
    run = _trained(config, problem, model)
    outputs = _outputs(model, problem.test)
    row = {
        **_named(config),
        "kind": config.network,
        "tt_ranks": words(config.tt_ranks[0]) if config.network == "adapter" else None,
        "params": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "effective_width": model.effective_width if isinstance(model, Adapter) else config.width,
        **_judged(problem, outputs, run),
        "reason": None if run.divergence is None else str(run.divergence),
    }
    if config.target == "barron" and config.network != "adapter":
        row |= barron_columns(config, problem, row["test_error"])
    parts: tuple[dict[str, Any], ...] = ()
    if isinstance(model, DenseHead) and config.network == "dense":
        truncated = (truncation_columns(config, problem, model, ranks) for ranks in config.tt_ranks)
        parts = tuple(_named(config) | {"kind": "truncation"} | part for part in truncated)
    measured = taken_since(started, config.compute.device)
    return Cell(without_gaps(row), measured, {}, tuple(without_gaps(part) for part in parts))


def check_shapes(configs: Sequence[ApproximationConfig]) -> None:
    """Plan every train before the first network is trained.

    Raises:
        InputError: TT-ranks that do not fit, a width that memory does not hold, or data that the
            task refuses.
    """
    problems = {(config.target, config.compute.seed): config for config in configs}
    sizes = {key: problem_of(example) for key, example in problems.items()}
    for config in configs:
        problem = sizes[config.target, config.compute.seed]
        refuse_beyond_memory("a layer", problem.in_features, config.width, itemsize=4)
        for ranks in config.tt_ranks:
            plan(problem.in_features, problem.n_outputs, config.width, ranks=ranks)


def _model(config: ApproximationConfig, problem: Problem) -> nn.Module:
    generator = Generator().manual_seed(config.compute.seed)
    sizes = (problem.in_features, problem.n_outputs)
    if config.network != "adapter":
        linear = config.network == "linear"
        head = DenseHead(*sizes, config.width, linear=linear, generator=generator)
        return head.to(config.compute.device)
    if len(config.tt_ranks) != 1:
        raise InputError(f"an adapter has one vector of TT-ranks, not {len(config.tt_ranks)}.")
    return build_adapter(
        "tensorguide",
        *sizes,
        width=config.width,
        tt_ranks=config.tt_ranks[0],
        generator=generator,
        dtype=torch.float32,
        device=config.compute.device,
    )


def _trained(config: ApproximationConfig, problem: Problem, model: nn.Module) -> Run:
    values = problem.train[1].is_floating_point()
    settings = TrainConfig(
        optimizer="adam",
        lr=config.rate or 0.0,
        steps=config.steps,
        batch=min(config.batch, len(problem.train[0])),
        loss="squared" if values else "cross-entropy",
        schedule="cosine",
        seed=config.compute.seed,
        logs_per_decade=1,
    )
    return train(model, Data(*problem.train), settings, lambda_max=lambda: math.nan)


@torch.no_grad()
def _outputs(model: nn.Module, pair: tuple[Tensor, Tensor]) -> Tensor:
    first = next(model.parameters())
    return model(pair[0].to(first.device, first.dtype)).cpu().double()


def _judged(problem: Problem, outputs: Tensor, run: Run) -> dict[str, Any]:
    targets = problem.test[1].cpu()
    loss = float(run.final["train_loss"] or 0.0)
    if targets.is_floating_point():
        return {
            "target_rms": root_mean_square(targets.double()),
            "train_error": math.sqrt(2 * loss),
            "test_error": root_mean_square(outputs - targets.double()),
        }
    return {
        "train_loss": loss,
        "test_loss": float(nn.functional.cross_entropy(outputs, targets)),
        "train_accuracy": run.final["train_accuracy"],
        "test_accuracy": accuracy(outputs, targets),
    }


def _named(config: ApproximationConfig) -> dict[str, Any]:
    names = ("target", "task", "data_condition", "width", "seed", "samples", "steps", "batch")
    return {name: config.get(name) for name in names}
