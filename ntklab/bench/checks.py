"""The cost of comparing an engine with `loop`, beside the kernel of a whole ResNet-18."""

import time
from typing import Any

import torch
from torch import nn

from ntklab.bench.cases import CheckCase
from ntklab.jacobians import jacobian
from ntklab.tasks.backbones.resnet import resnet18

Row = dict[str, Any]


def check_rows(
    case: CheckCase, *, quick: bool, repeats: int, device: str, budget: float
) -> list[Row]:
    """One row: seconds of the kernel, and of the comparison within it.

    Both are of one run, so that a busy machine slows them alike; of several runs the one with the
    shortest kernel counts.

    Args:
        case: how many images.
        quick: whether the small form.
        repeats: kernels.
        device: where.
        budget: seconds after which no other kernel is begun.
    """
    samples = case.quick_samples if quick else case.samples
    model = nn.Sequential(resnet18(seed=0), nn.Linear(512, case.outputs))
    model.to(device).eval().requires_grad_(True)
    images = torch.randn(samples, 1, 50, 50, generator=torch.Generator().manual_seed(0)).to(device)
    runs: list[tuple[float, float, int]] = []
    while len(runs) < repeats and sum(seconds for seconds, _, _ in runs) < budget:
        start = time.perf_counter()
        J = jacobian(
            model, images, engine=case.engine, memory=case.memory, accumulate=torch.float32
        )
        J.gram()
        runs.append((time.perf_counter() - start, J.check_seconds, J.chunk))
    seconds, checking, chunk = min(runs)
    return [
        {
            "kind": "check",
            "case": case.name,
            "contender": case.engine,
            "method": "resnet-18",
            "params": sum(p.numel() for p in model.parameters()),
            "samples": samples,
            "outputs": samples * case.outputs,
            "chunk": chunk,
            "seconds": seconds,
            "check_seconds": checking,
            "share": checking / (seconds - checking),
            "runs": len(runs),
            "reason": None,
        }
    ]
