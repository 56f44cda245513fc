"""The block of cotangents that a sweep holds at a time: seconds by its size."""

from functools import partial
from typing import Any

import torch

from ntklab.adapters import TensorGuide
from ntklab.bench.cases import BlockCase
from ntklab.bench.timing import in_turns, synchronizer
from ntklab.tensor_train import BLOCK_BYTES, pull_back_layer

Row = dict[str, Any]


@torch.no_grad()
def block_rows(
    case: BlockCase, *, quick: bool, repeats: int, device: str, budget: float
) -> list[Row]:
    """One row a size: seconds of the sweep of all samples, over the fastest size's.

    Args:
        case: the head and the sizes.
        quick: whether the small form.
        repeats: rounds that count.
        device: where.
        budget: seconds after which a size is not timed again.
    """
    problem = case.quick if quick else case.problem
    head, x = problem.model(device=device), problem.features(device=device)
    assert isinstance(head, TensorGuide)
    cores = [core.detach() for core in head.cores]
    inner, second = head.layer(x)
    inner = inner.T.contiguous()
    layer = (x.T.contiguous(), head.activation.derivative(inner), head.activation.function(inner))
    runs = {
        str(mebibytes): partial(
            pull_back_layer, cores, head.latent, *layer, second, block_bytes=mebibytes << 20
        )
        for mebibytes in case.mebibytes
    }
    times = in_turns(runs, repeats, budget=budget, synchronize=synchronizer(device))
    fastest = min(timing.median for timing in times.values())
    return [
        {
            "kind": "block",
            "case": case.name,
            "contender": "structured",
            "method": problem.method,
            "width": head.width,
            "params": head.parameter_count,
            "samples": problem.samples,
            "outputs": problem.samples * problem.outputs,
            "block_bytes": int(name) << 20,
            "chosen": int(name) << 20 == BLOCK_BYTES,
            "seconds": timing.median,
            "seconds_min": timing.minimum,
            "runs": len(timing.seconds),
            "ratio_fastest": timing.median / fastest,
            "reason": None,
        }
        for name, timing in times.items()
    ]
