"""The kernel of a method at its start: shots with shots, and other sentences with shots."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.dynamics import sign_rows
from ntklab.jacobians import jacobian, whole_float64
from ntklab.jacobians.symmetric import gram_matrix
from ntklab.tasks.prompt import WordLogits
from ntklab.tasks.prompt.rows import PromptRows

#: Parameters up to which the rows of all shots are held; beyond, layers are taken one by one.
MOST_PARAMETERS = 1_000_000

#: Sentences whose rows are computed at a time, padded to the longest of them.
GROUP, FEW_GROUPS = 32, 4


@dataclass(frozen=True, eq=False)
class StartKernels:
    """Kernels and outputs before training; row index n·C + c.

    Attributes:
        train: K of the shots, shape (N·C, N·C), from a copy of the model that is float64 in all
            its parts, so that the error bounds of its eigenvalues hold.
        cross: K of the other sentences by the shots, shape (M·C, N·C), from rows in the model's
            dtype; products are summed in float64 where P is below `MOST_PARAMETERS`.
        sign: ⟨∇f(x), sign ∇f(x')⟩ of all N + M sentences by the shots, one output only; None where
            there are several, or P is too large.
        outputs: f_0 of all N + M sentences, shape (N + M, C).
        params: P.
        engine: which computed the rows.
    """

    train: Float[Tensor, "NC NC"]
    cross: Float[Tensor, "MC NC"]
    sign: Float[Tensor, "NM N"] | None
    outputs: Float[Tensor, "NM C"]
    params: int
    engine: str

    def arrays(self) -> dict[str, np.ndarray]:
        """For a record: the kernel of the shots in float64, the others in float32."""
        arrays = {
            "kernel": self.train.numpy(),
            "kernel_others": self.cross.float().numpy(),
            "start_outputs": self.outputs.numpy(),
        }
        return arrays | ({} if self.sign is None else {"sign_kernel": self.sign.float().numpy()})


def difference(result: Tensor, inputs: Any = None) -> Float[Tensor, "n C"]:
    """The outputs of the kernel: the difference of two logits; of more classes all logits.

    Example:
        >>> difference(torch.tensor([[1.0, 3.0]])).tolist()
        [[2.0]]
    """
    return result[:, 1:] - result[:, :1] if result.shape[1] == 2 else result


def kernels_at_start(model: WordLogits, prompts: PromptRows, shots: int) -> StartKernels:
    """Kernels of the prompts, of which the first are the shots.

    Args:
        model: before training; what is trained requires gradients.
        prompts: shots first, then validation and test sentences.
        shots: N.

    Cost: one forward and C backward passes of every sentence, and of the shots again in float64;
    then N (N + M) C² P multiply-adds.
    """
    params = sum(p.numel() for p in model.parameters() if p.requires_grad)
    outputs = start_outputs(model, prompts)
    if params > MOST_PARAMETERS:
        train, cross, engine = _by_layers(model, prompts, shots)
        return StartKernels(train, cross, None, outputs, params, engine)
    numbers = range(len(prompts))
    train, engine = train_kernel(model, prompts, shots)
    rows, _ = _rows(model, prompts, numbers[:shots])
    single = outputs.shape[1] == 1
    sizes = [p.numel() for p in model.parameters() if p.requires_grad]
    signs = sign_rows(rows, sizes=sizes) if single else None
    others = numbers[shots:]
    cross = torch.empty(len(others), len(rows) // shots, len(rows), dtype=torch.float64)
    sign = torch.empty(len(prompts), shots, dtype=torch.float64) if single else None
    if signs is not None and sign is not None:
        sign[:shots] = (rows @ signs.T).double()
    for group in prompts.groups(others, GROUP):
        part, _ = _rows(model, prompts, [others[k] for k in group])
        cross[group] = _product(part, rows).reshape(len(group), -1, len(rows))
        if signs is not None and sign is not None:
            sign[[shots + k for k in group]] = (part @ signs.T).double()
    return StartKernels(train, cross.flatten(0, 1), sign, outputs, params, engine)


def train_kernel(
    model: WordLogits, prompts: PromptRows, shots: int
) -> tuple[Float[Tensor, "NC NC"], str]:
    """K of the first prompts in float64, from a float64 copy of the model, and the engine.

    Norms that compute in float32 whatever the model's dtype would leave 1e-7 of its size in K.
    """
    exact, numbers = copy.deepcopy(model).double(), range(shots)
    with whole_float64():
        if sum(p.numel() for p in model.parameters() if p.requires_grad) > MOST_PARAMETERS:
            J = jacobian(exact, prompts.inputs(numbers, torch.float64), readout=difference)
            return J.gram().cpu(), J.engine.name
        rows, engine = _rows(exact, prompts, numbers)
        return gram_matrix(rows), engine


@torch.no_grad()
def start_outputs(
    model: WordLogits, prompts: PromptRows, numbers: Sequence[int] | None = None
) -> Float[Tensor, "N C"]:
    """f of these prompts (all if None), float64."""
    numbers = range(len(prompts)) if numbers is None else numbers
    made: list[Tensor | None] = [None] * len(numbers)
    dtype = next(model.parameters()).dtype
    for group in prompts.groups(numbers, GROUP):
        inputs = prompts.inputs([numbers[k] for k in group], dtype)
        values = difference(model(**inputs)).double().cpu()
        for place, row in zip(group, values, strict=True):
            made[place] = row
    return torch.stack([row for row in made if row is not None])


def _rows(
    model: WordLogits, prompts: PromptRows, numbers: Sequence[int]
) -> tuple[Float[Tensor, "nC P"], str]:
    """Rows of J in the model's dtype, in the order of the numbers, and the engine."""
    given = next(model.parameters()).dtype
    whole: Tensor | None = None
    engine = ""
    for group in prompts.groups(numbers, GROUP):
        inputs = prompts.inputs([numbers[k] for k in group], given)
        J = jacobian(model, inputs, readout=difference)
        rows, engine = J.rows(0, len(group)).cpu(), J.engine.name
        if whole is None:
            whole = rows.new_empty(len(numbers), *rows.shape[1:])
        whole[group] = rows
    assert whole is not None
    return whole.flatten(0, 1), engine


def _product(first: Tensor, second: Tensor, columns: int = 65_536) -> Tensor:
    """first secondᵀ: float32 products of some columns, summed in float64."""
    total = torch.zeros(len(first), len(second), dtype=torch.float64)
    for left, right in zip(first.split(columns, 1), second.split(columns, 1), strict=True):
        total += left @ right.T
    return total


def _by_layers(model: WordLogits, prompts: PromptRows, shots: int) -> tuple[Tensor, Tensor, str]:
    """Kernels whose rows do not fit: layer by layer, sentences of like length together."""
    numbers = range(len(prompts))
    kernel, _ = train_kernel(model, prompts, shots)
    dtype = next(model.parameters()).dtype
    options: dict[str, Any] = {"readout": difference, "accumulate": dtype}
    second = jacobian(model, prompts.inputs(numbers[:shots], dtype), **options)
    others = numbers[shots:]
    cross = torch.empty(len(others), len(kernel) // shots, len(kernel), dtype=torch.float64)
    for group in prompts.groups(others, -(-len(others) // FEW_GROUPS)):
        inputs = prompts.inputs([others[k] for k in group], dtype)
        first = jacobian(model, inputs, **options)
        cross[group] = first.gram(second).double().cpu().reshape(len(group), -1, len(kernel))
    return kernel, cross.flatten(0, 1), second.engine.name
