"""Training steps on cached features through a cut train, beside steps without either idea.

The slow loop generates all weights by one einsum over latent and cores, without a path (torch then
contracts from left to right), and runs the frozen backbone on every minibatch anew. Between the two
stands the same einsum on cached features, so that a reader sees what each idea is worth.
"""

import copy
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ntklab.adapters import TensorGuide
from ntklab.bench.cases import TrainingCase
from ntklab.bench.timing import Timing, in_turns, synchronizer
from ntklab.tasks import extract, resnet18, simulate
from ntklab.training import Data, TrainConfig, log_steps, loss_function, train
from ntklab.training.seeds import Minibatches

Row = dict[str, Any]

OURS, NO_CUT, NEITHER = "cached features, cut train", "cached features, einsum", "backbone, einsum"
_RATE = 1e-3


def training_rows(
    case: TrainingCase, *, quick: bool, repeats: int, device: str, budget: float
) -> list[Row]:
    """One row a contender: seconds of its steps, steps a second, and the speed-up over the slow.

    The fast loop makes all its steps (`ntklab.training.train`, logging included); the slow ones
    make few, and `seconds_whole` is then seconds a step times all steps: `extrapolated` says so.
    All share start, minibatches, optimizer and rate; `loss_error` is how far the training losses
    of the first steps are from the fast loop's, relative, in float64 heads.

    Args:
        case: the head, and how many steps.
        quick: whether the small form.
        repeats: rounds that count.
        device: where.
        budget: seconds after which a contender is not run again.
    """
    problem = case.quick if quick else case.problem
    steps, few = (case.quick_steps, 5) if quick else (case.steps, case.few_steps)
    images, labels = _images(problem.samples, device)
    backbone = resnet18(in_channels=1, seed=0).to(device).eval()
    start = time.perf_counter()
    features = extract(backbone, images, device=device).to(device)
    caching = time.perf_counter() - start
    head = problem.model(device=device)
    assert isinstance(head, TensorGuide)
    config = TrainConfig(lr=_RATE, steps=steps, batch=case.batch, logs_per_decade=1)
    sources = _sources(backbone, images, features)
    counts = {OURS: steps, **dict.fromkeys(sources, few)}
    runs: dict[str, Callable[[], object]] = {
        OURS: lambda: train(copy.deepcopy(head), Data(features, labels), config)
    }
    for name, source in sources.items():
        runs[name] = partial(_slow_losses, head, source, features, labels, config.with_(steps=few))
    errors = _loss_errors(head.double(), sources, features.double(), labels, case.batch)
    head.float()
    times = in_turns(runs, repeats, budget=budget, synchronize=synchronizer(device))
    whole = {name: times[name].median / counts[name] * steps for name in times}
    return [
        {
            **_row(case, problem.samples, name, times[name], counts[name]),
            "params": head.parameter_count,
            "width": head.width,
            "steps": steps,
            "seconds_whole": whole[name],
            "extrapolated": counts[name] < steps,
            "caching_seconds": caching if name == OURS else None,
            "speedup": whole[NEITHER] / whole[name],
            "speedup_with_caching": whole[NEITHER] / (whole[name] + caching)
            if name == OURS
            else None,
            "loss_error": errors.get(name),
        }
        for name in times
    ]


def one_einsum(head: TensorGuide) -> Tensor:
    """w by a single einsum over latent and all cores, from left to right.

    Example:
        >>> from ntklab.adapters import build_adapter
        >>> head = build_adapter("tensorguide", 8, 2, width=16)
        >>> torch.allclose(one_einsum(head), head.generate(), atol=1e-6)
        True
    """
    cores = list(head.cores)
    count = len(cores)
    letters = [chr(ord("a") + k) for k in range(3 * count + 1)]
    bonds, ins, outs = letters[: count + 1], letters[count + 1 :][:count], letters[2 * count + 1 :]
    terms = [bonds[k] + ins[k] + outs[k] + bonds[k + 1] for k in range(count)]
    equation = ",".join(["".join(ins), *terms]) + "->" + "".join(outs)
    with torch.backends.opt_einsum.flags(enabled=False):
        whole = torch.einsum(equation, head.latent.reshape(head.shape.in_dims), *cores)
    return whole.reshape(-1)


def _sources(
    backbone: nn.Module, images: Tensor, features: Tensor
) -> dict[str, Callable[[Tensor], Tensor]]:
    def through_backbone(rows: Tensor) -> Tensor:
        with torch.no_grad():
            return backbone(images[rows])

    return {NO_CUT: lambda rows: features[rows], NEITHER: through_backbone}


def _slow_losses(
    head: TensorGuide,
    source: Callable[[Tensor], Tensor],
    features: Tensor,
    labels: Tensor,
    config: TrainConfig,
) -> list[float]:
    """Train a copy; the training loss at the start and at the last step, as the fast loop logs."""
    head = copy.deepcopy(head)
    device, dtype = features.device, features.dtype
    batches = Minibatches(len(labels), config.batch, config.seed, device)
    loss_of, losses = loss_function(config), []
    optimizer = torch.optim.Adam([*head.cores], lr=config.lr, fused=True)
    total = config.total_steps(len(labels))
    logged = set(log_steps(total, config.logs_per_decade))
    for step in range(total + 1):
        if step in logged:
            with torch.no_grad():
                losses.append(float(loss_of(_outputs(head, features).double(), labels)))
        if step < total:
            rows = batches.rows(step)
            assert rows is not None
            loss_of(_outputs(head, source(rows).to(dtype)), labels[rows]).backward()
            optimizer.step()
            optimizer.zero_grad()
    return losses


def _outputs(head: TensorGuide, features: Tensor) -> Tensor:
    weights = one_einsum(head)
    cut = head.in_features * head.width
    first = weights[:cut].reshape(head.in_features, head.width)
    second = weights[cut:].reshape(head.width, head.out_features)
    return head.scale * (head.activation.function(features @ first) @ second)


def _loss_errors(
    head: TensorGuide,
    sources: dict[str, Callable[[Tensor], Tensor]],
    features: Tensor,
    labels: Tensor,
    batch: int,
) -> dict[str, float]:
    config = TrainConfig(lr=_RATE, steps=10, batch=batch)
    run = train(copy.deepcopy(head), Data(features, labels), config)
    ours = [float(row["train_loss"] or 0.0) for row in run.rows]
    errors = {}
    for name, source in sources.items():
        slow = _slow_losses(head, source, features, labels, config)
        errors[name] = max(abs(a - b) / b for a, b in zip(ours, slow, strict=True))
    return errors


def _images(count: int, device: str) -> tuple[Tensor, Tensor]:
    diagrams = simulate(count, seed=0)
    images = torch.from_numpy(diagrams.noisy).unsqueeze(1).to(device)
    return images, torch.from_numpy(diagrams.labels).to(device)


def _row(case: TrainingCase, samples: int, name: str, timing: Timing, steps: int) -> Row:
    return {
        "kind": "training",
        "case": case.name,
        "contender": name,
        "method": case.problem.method,
        "samples": samples,
        "outputs": samples * case.problem.outputs,
        "batch": case.batch,
        "steps_timed": steps,
        "seconds": timing.median,
        "seconds_min": timing.minimum,
        "runs": len(timing.seconds),
        "steps_per_second": steps / timing.median,
        "reason": None,
    }
