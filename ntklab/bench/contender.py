"""One way to the kernel that is timed, and the model as it is given to other libraries."""

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from ntklab.adapters import FactorAdapter

Run = Callable[[], Float[Tensor, "NC NC"]]


@dataclass(frozen=True)
class Contender:
    """One way to the full kernel.

    Attributes:
        name: in tables and records.
        prepare: makes the run for a model and its inputs; conversions belong here, off the clock.
        growth: the power of N with which its time grows, for the estimate that keeps hopeless
            runs from starting: 1 for rows, 2 for pairs.
        takes: whether it can do this model.
    """

    name: str
    prepare: Callable[[nn.Module, Tensor], Run]
    growth: int = 1
    takes: Callable[[nn.Module], bool] = lambda model: True


class WrittenOut(nn.Module):
    """A head as its paper writes it: W1 and W2 generated in full, then two products.

    What another library is given: our own forward pass cuts the train (`ntklab.tensor_train.Cut`),
    and a race against it would be one against ourselves.
    """

    def __init__(self, head: FactorAdapter) -> None:
        super().__init__()
        self.head = head

    def forward(self, features: Tensor) -> Tensor:
        """scale · σ(φ W1) W2, with the base layer if there is one."""
        head = self.head
        first, second = head.factors()
        adapted = head.scale * (head.activation.function(features @ first) @ second)
        return adapted if head.base is None else head.base(features) + adapted


def written_out(model: nn.Module) -> nn.Module:
    """The model without our short way, sharing its parameters.

    Example:
        >>> import torch
        >>> from ntklab.adapters import build_adapter
        >>> head, x = build_adapter("tensorguide", 8, 2, width=16), torch.randn(3, 8)
        >>> torch.allclose(written_out(head)(x), head(x), atol=1e-5)
        True
    """
    return WrittenOut(model) if isinstance(model, FactorAdapter) and model.shapes else model
