r"""The kernel of sign descent, which Adam comes close to, and sign descent itself.

Sign descent makes θ ← θ − η sign(∂L/∂θ). On one sample x' whose loss has the derivative χ by the
output, ∂L/∂θ = χ ∇f(x') and sign(∂L/∂θ) = sign(χ) sign(∇f(x')); so to first order

    f(x) ← f(x) − η sign(χ) K(x, x'),    K(x, x') = ⟨∇f(x), sign ∇f(x')⟩,

the asymmetric SignGD kernel (A-SignGD) of Malladi et al. 2023 (arXiv 2210.05643). It is not
symmetric, and needs one output a sample: with several, the sign of Σ_c χ_c ∇f_c does not split.
Nor does it on a whole batch, since the sign of a sum is no sum of signs: then only `sign_descent`,
which keeps the rows, follows the linearized model exactly.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from ntklab.arrays import takes_arrays
from ntklab.errors import InputError
from ntklab.spectra import JacobianLike

Rows = JacobianLike | Float[Tensor, "n P"]


@takes_arrays
def sign_rows(
    rows: Float[Tensor, "n P"], *, sizes: Sequence[int] | None = None, tolerance: float = 1e-6
) -> Float[Tensor, "n P"]:
    """sign ∇f with entries that only rounding made counted as zero.

    A key bias of attention has an exact gradient of zero and a computed one of 1e-13, with a sign.
    An entry counts as zero below `tolerance` of the largest of its parameter tensor and sample.

    Args:
        rows: ∇f of each sample.
        sizes: entries of each parameter tensor in order; one tensor if None.
        tolerance: 1e-6 is right for float32 models, 1e-14 for float64.

    Raises:
        InputError: sizes that do not add up to the columns.

    Example:
        >>> sign_rows(torch.tensor([[2.0, -1.0, 1e-12]])).tolist()
        [[1.0, -1.0, 0.0]]
    """
    sizes = [rows.shape[1]] if sizes is None else list(sizes)
    if sum(sizes) != rows.shape[1]:
        raise InputError(
            f"parameter sizes add up to {sum(sizes)}, but rows have {rows.shape[1]} columns: give "
            "the number of entries of every trained tensor in order."
        )
    parts = []
    for part in rows.split(sizes, dim=1):
        largest = part.abs().amax(1, keepdim=True) if part.shape[1] else 0
        parts.append(torch.where(part.abs() > tolerance * largest, part.sign(), 0.0))
    return torch.cat(parts, 1)


@takes_arrays
def sign_kernel(
    rows: Rows,
    train: Rows | None = None,
    *,
    sizes: Sequence[int] | None = None,
    tolerance: float = 1e-6,
    symmetric: bool = False,
) -> Float[Tensor, "m n"]:
    """⟨∇f(x), sign ∇f(x')⟩ of Malladi et al. 2023, or ⟨sign ∇f(x), sign ∇f(x')⟩.

    Args:
        rows: of the points x: a Jacobian of one output, or its rows.
        train: of the training samples x'; `rows` if None.
        sizes: see `sign_rows`.
        tolerance: see `sign_rows`.
        symmetric: signs on both sides, the SignGD kernel.

    Returns:
        Shape (points, training samples), float64.

    Raises:
        InputError: several outputs a sample.

    Cost: the training rows as a dense matrix; a Jacobian's points are multiplied in its chunks.

    Example:
        >>> J = torch.tensor([[2.0, -1.0], [0.5, 3.0]])
        >>> sign_kernel(J).tolist(), sign_kernel(J, symmetric=True).tolist()
        ([[3.0, 1.0], [-2.5, 3.5]], [[2.0, 0.0], [0.0, 2.0]])
    """
    train = rows if train is None else train
    signs = sign_rows(_dense(train), sizes=sizes, tolerance=tolerance)
    if symmetric:
        own = sign_rows(_dense(rows), sizes=sizes, tolerance=tolerance)
        return own.double() @ signs.double().T
    if isinstance(rows, Tensor):
        return _dense(rows).double() @ signs.double().T
    _one_output(rows)
    return (rows @ signs.T).double()


@takes_arrays
def sign_descent(
    rows: Float[Tensor, "NC P"],
    others: Float[Tensor, "MC P"],
    outputs: Float[Tensor, "N C"],
    labels: Shaped[Tensor, "N ..."],
    steps: Sequence[int],
    lr: float,
    *,
    loss: Literal["squared", "cross-entropy"] = "cross-entropy",
    sizes: Sequence[int] | None = None,
    tolerance: float = 1e-6,
) -> tuple[Float[Tensor, "T NC"], Float[Tensor, "T MC"]]:
    """Full-batch sign descent on the linearized model, step by step: Adam without memory.

    f ← f − η J sign(Jᵀ ∂L/∂f), with the whole batch in the sign.

    Args:
        rows: J on the training samples.
        others: J at other points.
        outputs: f_0 on the training samples.
        labels: (N,) classes, or values (N, C) for the squared loss.
        steps: numbers of updates k ≥ 0, in any order.
        lr: η.
        loss: of the training samples; one output is a logit for cross-entropy.
        sizes: see `sign_rows`.
        tolerance: see `sign_rows`.

    Returns:
        f − f_0 on the training samples and at the other points, one row a step asked for.

    Cost: (2N + M)·C·P multiply-adds a step up to the largest.

    Example:
        >>> J, f0 = torch.tensor([[1.0, 0.5]]), torch.zeros(1, 1)
        >>> sign_descent(J, J, f0, torch.tensor([1]), [0, 2], lr=0.25)[1].flatten().tolist()
        [0.0, 0.75]
    """
    J, J_other, f0 = rows.double(), others.double(), outputs.double()
    y = _wanted(labels, f0.shape[1], loss)
    wanted, at_step = set(steps), {}
    f, g = torch.zeros_like(f0), torch.zeros(len(J_other)).to(J)
    for step in range(max(steps) + 1):
        if step in wanted:
            at_step[step] = (f.reshape(-1).clone(), g.clone())
        now = f0 + f
        slope = now - y if loss == "squared" else _probabilities(now) - y
        move = sign_rows((slope.reshape(1, -1) @ J), sizes=sizes, tolerance=tolerance)[0]
        f = f - lr * (J @ move).reshape(f0.shape)
        g = g - lr * (J_other @ move)
    train, other = zip(*(at_step[step] for step in steps), strict=True)
    return torch.stack(train), torch.stack(other)


def _wanted(labels: Tensor, C: int, loss: str) -> Tensor:
    """Targets of a loss: values as they are; of labels ±1 (or 0/1) for one output, else one-hot."""
    if labels.is_floating_point():
        return labels.double().reshape(-1, C)
    if C > 1:
        return torch.nn.functional.one_hot(labels, C).double()
    hot = labels.double()[:, None]
    return 2 * hot - 1 if loss == "squared" else hot


def _probabilities(outputs: Tensor) -> Tensor:
    return outputs.sigmoid() if outputs.shape[1] == 1 else outputs.softmax(1)


def _dense(rows: Rows) -> Tensor:
    if isinstance(rows, Tensor):
        return rows.detach()
    _one_output(rows)
    return rows.dense()


def _one_output(rows: JacobianLike) -> None:
    if rows.n_outputs != 1:
        raise InputError(
            f"a sign kernel needs one output a sample, not {rows.n_outputs}: for two classes take "
            "the difference of their logits."
        )
