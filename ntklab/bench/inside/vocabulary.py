"""The trace kernel of a whole vocabulary, beside a backward pass for every output of one pair."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ntklab.bench.inside.models import ModelProblem
from ntklab.bench.timing import synchronizer
from ntklab.errors import InputError
from ntklab.jacobians.guards.inside import whole_float64
from ntklab.jacobians.last_projection import last_positions
from ntklab.jacobians.readout import logits_of
from ntklab.jacobians.vocabulary import VocabularyKernel, vocabulary_kernel

Row = dict[str, Any]

# Outputs differentiated at a time, of one sample.
_AT_ONCE = 128
_DRAWS = 24


@dataclass(frozen=True)
class VocabularyCase:
    """All next-token logits of a model, by passes of the hidden width, by draws, and one by one.

    Attributes:
        name: what `--case` says.
        problem: at its real size.
        quick: at the size of `--quick`.
        sketches: how many sketched kernels are held against their standard errors.
    """

    name: str
    problem: ModelProblem
    quick: ModelProblem
    sketches: int = 100


_SMOLLM2 = ModelProblem("smollm2", "lora-last-two", 8, 32)
VOCABULARY_CASES = (
    VocabularyCase(
        "model-vocabulary",
        _SMOLLM2,
        replace(_SMOLLM2, model="llama", samples=4, length=8),
    ),
)


def vocabulary_rows(
    case: VocabularyCase, *, quick: bool, repeats: int, device: str, budget: float
) -> list[Row]:
    """Three rows: the exact kernel, the sketched one, and every output of the first two samples.

    `relative_error` is the largest difference of the exact kernel's first 2 × 2 entries from the
    sum over all V outputs, over the largest of these, both in float64; `coverage` the least share,
    over entries, of sketched kernels within three standard errors of the exact one.

    Args:
        case: what to measure.
        quick: whether the small form.
        repeats: of the exact kernel and of a sketch; every output is computed once.
        device: where.
        budget: unused: the passes of this case are counted.
    """
    problem = case.quick if quick else case.problem
    names = ("exact", "sketch", "every output")
    rows = {name: _blank(case.name, name, problem) for name in names}
    try:
        model, x, _ = problem.build(device)
    except InputError as error:
        return [row | {"reason": str(error)} for row in rows.values()]
    model.set_attn_implementation("eager")  # type: ignore[operator]
    exact, seconds = _timed(model, x, "exact", 0, repeats, device)
    rows["exact"] |= {"seconds": seconds, "passes": exact.passes}
    covered = torch.zeros_like(exact.kernel)
    for seed in range(case.sketches):
        sketch, seconds = _timed(model, x, _DRAWS, seed, 1, device)
        assert sketch.standard_error is not None
        covered += (sketch.kernel - exact.kernel).abs() <= 3 * sketch.standard_error
        rows["sketch"] |= {"seconds": seconds, "passes": sketch.passes}
    rows["sketch"]["coverage"] = float(covered.min()) / case.sketches
    # In float32 the rounding of the many outputs would hide what the way itself leaves out.
    whole, ids = model.double(), x["input_ids"][:2]
    with whole_float64():
        two = vocabulary_kernel(whole, {"input_ids": ids}, passes="exact").kernel
        start = time.perf_counter()
        wanted = every_output(whole, ids)
    rows["every output"] |= {
        "seconds": time.perf_counter() - start,
        "samples": 2,
        "passes": exact.outputs,
    }
    off = (two - wanted).abs().max() / wanted.abs().max()
    rows["exact"]["relative_error"] = float(off)
    for row in rows.values():
        row["outputs"] = exact.outputs
    return list(rows.values())


def every_output(model: nn.Module, ids: Tensor) -> Float[Tensor, "n n"]:
    """(1/V) Σ_v ⟨∂f_v(x), ∂f_v(x')⟩ over all V next-token logits: V backward passes a sample.

    Plain autograd, a sample at a time; nothing of the way through the hidden width is in it.

    Args:
        model: of transformers, with what is trained requiring gradients.
        ids: (n, T).

    Returns:
        The kernel in float64.
    """
    leaves = [p for p in model.parameters() if p.requires_grad]
    outputs = []
    for sample in ids.split(1):
        logits = logits_of(model(input_ids=sample, use_cache=False))
        outputs.append(logits[0, int(last_positions({}, logits)[0])])
    size, count = len(outputs[0]), len(outputs)
    total = torch.zeros(count, count, dtype=torch.float64)
    for begin in range(0, size, _AT_ONCE):
        rows = [_rows(one, leaves, begin, min(begin + _AT_ONCE, size)) for one in outputs]
        stacked = torch.stack(rows).flatten(1)
        total += (stacked @ stacked.T).cpu()
    return total / size


def _rows(outputs: Tensor, leaves: Sequence[Tensor], begin: int, end: int) -> Float[Tensor, "k P"]:
    chosen = torch.eye(end - begin, dtype=outputs.dtype, device=outputs.device)
    cotangents = outputs.new_zeros(end - begin, len(outputs))
    cotangents[:, begin:end] = chosen
    grads = torch.autograd.grad(
        outputs, leaves, cotangents, is_grads_batched=True, retain_graph=True
    )
    return torch.cat([grad.flatten(1) for grad in grads], dim=1).double()


def _timed(
    model: nn.Module, x: Any, passes: int | str, seed: int, repeats: int, device: str
) -> tuple[VocabularyKernel, float]:
    """The kernel, and the least time of a few runs; compared with `loop` in the first alone."""
    synchronize, seconds = synchronizer(device), []
    for turn in range(repeats):
        start = time.perf_counter()
        kernel = vocabulary_kernel(model, x, passes=passes, seed=seed, check=turn + seed == 0)
        synchronize()
        seconds.append(time.perf_counter() - start)
    return kernel, min(seconds)


def _blank(case: str, name: str, problem: ModelProblem) -> Row:
    return {
        "kind": "vocabulary",
        "case": case,
        "contender": name,
        "model": problem.model,
        "samples": problem.samples,
        "length": problem.length,
        "outputs": None,
        "passes": None,
        "seconds": None,
        "reason": None,
    }
