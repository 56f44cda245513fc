"""Seconds by block size: the samples that a sweep or a thread holds at a time."""

from functools import partial
from typing import Any

import torch

from ntklab.adapters import TensorGuide
from ntklab.adapters.layer_rows import CACHE_BYTES, layer_rows
from ntklab.bench.cases import BlockCase
from ntklab.bench.timing import SETTLE, in_turns, synchronizer
from ntklab.tensor_train import BLOCK_BYTES, Cut, pull_back_layer, shifts_pay

Row = dict[str, Any]

_SWEEP, _SHIFTS = "by outer products", "by shifts, a thread"


@torch.no_grad()
def block_rows(
    case: BlockCase, *, quick: bool, repeats: int, device: str, budget: float
) -> list[Row]:
    """One row a way and a size: seconds for all samples, over those of the way's fastest size.

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
    cut = Cut.best(cores, head.latent, head.width)
    whole = (cores, head.latent, cut, x, second, head.activation, head.scale)
    runs = {
        (_SWEEP, mebibytes << 20): partial(
            pull_back_layer, cores, head.latent, *layer, second, block_bytes=mebibytes << 20
        )
        for mebibytes in case.mebibytes
    }
    if shifts_pay(cores, cut, x, second):
        runs |= {
            (_SHIFTS, kibibytes << 10): partial(layer_rows, *whole, held_bytes=kibibytes << 10)
            for kibibytes in case.kibibytes
        }
    waiting = synchronizer(device)
    times = in_turns(runs, repeats, budget=budget, settle=SETTLE, synchronize=waiting)
    fastest = {
        way: min(timing.median for (its, _), timing in times.items() if its == way)
        for way, _ in times
    }
    return [
        {
            "kind": "block",
            "case": case.name,
            "contender": way,
            "method": problem.method,
            "width": head.width,
            "params": head.parameter_count,
            "samples": problem.samples,
            "outputs": problem.samples * problem.outputs,
            "block_bytes": size,
            "chosen": size == (BLOCK_BYTES if way == _SWEEP else CACHE_BYTES),
            "seconds": timing.median,
            "seconds_min": timing.minimum,
            "runs": len(timing.seconds),
            "ratio_fastest": timing.median / fastest[way],
            "reason": None,
        }
        for (way, size), timing in times.items()
    ]
