"""When a run has diverged, and which rate would have been stable."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ntklab import accelerator
from ntklab.jacobians import jacobian
from ntklab.spectra import top_k

# A loss that has grown a million times is not coming back; below that, SGD may only be noisy.
GROWTH = 1e6


@dataclass(frozen=True)
class Divergence:
    """Where and how a run diverged.

    Attributes:
        step: the update before which the loss was seen (0 is the start).
        loss: what it was, possibly NaN or infinite.
        initial_loss: what it had been.
        lr: η.
        limit: 2/(c·curvature·λ_max(K_0)), the largest stable η of plain gradient descent on the
            linearized model; None if λ_max could not be had.
    """

    step: int
    loss: float
    initial_loss: float
    lr: float
    limit: float | None

    def __str__(self) -> str:
        grown = f"{self.loss:.3g}" if math.isfinite(self.loss) else "not finite"
        limit = (
            "no stability limit is known"
            if self.limit is None
            else f"plain gradient descent is stable below 2/λ_max = {self.limit:.3g}"
        )
        return (
            f"training diverged at step {self.step}: the loss is {grown} (it began at "
            f"{self.initial_loss:.3g}) with lr = {self.lr:.3g}; {limit}."
        )


# Losses gathered before one look at them, where a look waits for the device.
LOOK_EVERY = 64


class Watch:
    """Looks at every batch loss; on a CPU at once, elsewhere in groups, since a look waits.

    Args:
        initial: the training loss at the start.
        every: losses gathered before a look.

    Example:
        >>> watch = Watch(1.0, every=1)
        >>> watch.see(0, torch.tensor(2.0)), watch.see(1, torch.tensor(float("nan")))
        (None, (1, nan))
    """

    def __init__(self, initial: float, every: int) -> None:
        self.limit, self.every = GROWTH * max(initial, torch.finfo(torch.float32).tiny), every
        self._first, self._seen = 0, list[Tensor]()

    @classmethod
    def on(cls, device: torch.device, initial: float) -> "Watch":
        """One that does not make the steps wait for a device, nor a CPU go on for nothing.

        >>> Watch.on(torch.device("cpu"), 1.0).every
        1
        """
        return cls(initial, LOOK_EVERY if accelerator.is_accelerator(device) else 1)

    def see(self, step: int, loss: Tensor) -> tuple[int, float] | None:
        """The step and loss at which the run diverged, if it did."""
        if not self._seen:
            self._first = step
        self._seen.append(loss.detach())
        return self.look() if len(self._seen) >= self.every else None

    def look(self) -> tuple[int, float] | None:
        """Look at what is gathered."""
        losses = torch.stack(self._seen).tolist() if self._seen else []
        self._seen.clear()
        for offset, loss in enumerate(losses):
            if not math.isfinite(loss) or loss > self.limit:
                return self._first + offset, loss
        return None


def largest_eigenvalue(model: nn.Module, inputs: Tensor) -> float:
    """λ_max(K) at the model's present parameters, by ARPACK on the Jacobian, in float64.

    Cost: some tens of products with J and Jᵀ.
    """
    J = jacobian(model, inputs)
    if J.shape[0] < 3:
        return float(torch.linalg.eigvalsh(J.gram())[-1])
    return float(top_k(J, 1, tolerance=1e-6)[0])
