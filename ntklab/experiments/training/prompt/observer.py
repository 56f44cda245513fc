"""How far a fine-tuned model has left its linearization, on a few shots."""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ntklab.dynamics import kernel_drift, linearization_error, linearization_in_weights
from ntklab.experiments.training.prompt.kernels import difference
from ntklab.jacobians import jacobian
from ntklab.jacobians.symmetric import gram_matrix
from ntklab.tasks.prompt import WordLogits
from ntklab.tasks.prompt.rows import PromptRows, RowModel
from ntklab.training import Moment

FIGURES = (
    *("drift", "jacobian_change", "linearization_error"),
    "weights_linearization_error",
)


class RowsObserver:
    """Drift of the kernel, change of the Jacobian and linearization error at looks.

    - `drift`: ‖K_t − K_0‖/‖K_0‖, Frobenius.
    - `jacobian_change`: mean over the samples of ‖∇f_t − ∇f_0‖/‖∇f_0‖, which Malladi et al. 2023
      ask to stay below 2.
    - `linearization_error`: ‖f_t − f_0 − J_0(θ_t − θ_0)‖/‖f_t − f_0‖; None before anything moved.
    - `weights_linearization_error`: ‖f_t − f(W) − ∇_W f(W)·ΔW_t‖/‖f_t − f(W)‖ for the plain weights
      W of the adapted layers and what the adapters add to them; None where that is no ΔW.

    Args:
        model: at its start.
        prompts: the numbers' sentences.
        numbers: which are watched.

    Cost: the watched rows twice in the model's dtype, and their Jacobian at every look.
    """

    def __init__(self, model: WordLogits, prompts: PromptRows, numbers: Sequence[int]) -> None:
        self.inputs = prompts.inputs(numbers, next(model.parameters()).dtype)
        self.rows = self._rows(model)
        self.kernel = _gram(self.rows)
        self.start, self.outputs = _vector(model), self._outputs(model)

    def __call__(self, moment: Moment) -> Mapping[str, float | int | None]:
        """The columns at a moment of a run."""
        whole = moment.model
        assert isinstance(whole, RowModel)
        model = whole.model
        rows, outputs = self._rows(model), self._outputs(model)
        if not bool(torch.isfinite(rows).all()):
            return dict.fromkeys(FIGURES, float("nan"))
        linear = self.outputs + (self.rows @ (_vector(model) - self.start)).view_as(outputs)
        moved = bool((outputs != self.outputs).any())
        norms = self.rows.norm(dim=1).clamp_min(torch.finfo(rows.dtype).tiny)
        return {
            "drift": kernel_drift(_gram(rows), self.kernel),
            "jacobian_change": float(((rows - self.rows).norm(dim=1) / norms).mean()),
            "linearization_error": linearization_error(outputs, linear.double(), self.outputs)
            if moved
            else None,
            "weights_linearization_error": self._in_weights(model, outputs) if moved else None,
        }

    def _in_weights(self, model: WordLogits, outputs: Tensor) -> float | None:
        parts = linearization_in_weights(model, lambda: difference(model(**self.inputs)))
        if parts is None:
            return None
        plain, change = (part.double() for part in parts)
        same = bool((outputs == plain).all())
        return None if same else linearization_error(outputs, plain + change, plain)

    def _rows(self, model: WordLogits) -> Float[Tensor, "nC P"]:
        J = jacobian(model, self.inputs, readout=difference)
        return J.rows(0, J.n_samples).flatten(0, 1)

    @torch.no_grad()
    def _outputs(self, model: WordLogits) -> Float[Tensor, "n C"]:
        return difference(model(**self.inputs)).double()


def watched(shots: int, count: int) -> list[int]:
    """So many of the shots, evenly spaced, since they stand class by class.

    >>> watched(8, 4), watched(2, 4)
    ([0, 2, 4, 6], [0, 1])
    """
    count = min(count, shots)
    return [k * shots // count for k in range(count)]


def _gram(rows: Tensor) -> Tensor:
    exact = torch.zeros(len(rows), len(rows), dtype=torch.float64)
    for part in rows.split(65_536, 1):
        exact += gram_matrix(part).cpu()
    return exact


@torch.no_grad()
def _vector(model: nn.Module) -> Float[Tensor, " P"]:
    return torch.cat([p.detach().reshape(-1) for p in model.parameters() if p.requires_grad])
