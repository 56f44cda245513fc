"""The last projection of a language model, and the one position of a sample that it need see."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


def output_embeddings(model: nn.Module) -> nn.Module | None:
    """The last projection of a model that says which it is (transformers); else None.

    >>> output_embeddings(nn.Linear(2, 1)) is None
    True
    """
    find = getattr(model, "get_output_embeddings", None)
    head = find() if callable(find) else None
    return head if isinstance(head, nn.Module) else None


def last_positions(x: Any, states: Tensor) -> Int[Tensor, " n"]:
    """The last position that `attention_mask` keeps, the last of all without one.

    Args:
        x: the inputs of the model.
        states: (n, T, …), whose positions these are.

    Example:
        >>> mask = torch.tensor([[0, 1, 1], [1, 1, 0]])
        >>> last_positions({"attention_mask": mask}, torch.zeros(2, 3, 1)).tolist()
        [2, 1]
    """
    n, length = states.shape[:2]
    mask = entry(x, "attention_mask")
    if mask is None or mask.ndim != 2:
        return torch.full((n,), length - 1, device=states.device)
    # The largest of 1..T among those kept, wherever the padding is.
    return ((mask != 0) * torch.arange(1, length + 1, device=mask.device)).argmax(1)


@contextmanager
def narrowed(head: nn.Module, positions: Callable[[Tensor], Tensor]) -> Iterator[list[Tensor]]:
    """Within, the projection sees one position of (n, T, d); what it sees, (n, d), is kept.

    Args:
        head: the last projection.
        positions: which, from the states (n, T, d).
    """
    seen: list[Tensor] = []

    def narrow(module: nn.Module, args: tuple[Any, ...]) -> Any:
        states = args[0] if args else None
        if not isinstance(states, Tensor) or states.ndim != 3:
            return None
        seen.append(at(states, positions(states)))
        return seen[-1].unsqueeze(1), *args[1:]

    handle = head.register_forward_pre_hook(narrow)
    try:
        yield seen
    finally:
        handle.remove()


def at(states: Float[Tensor, "n T d"], positions: Int[Tensor, " n"]) -> Float[Tensor, "n d"]:
    """Each sample's states at its position.

    >>> at(torch.arange(6.0).reshape(2, 3, 1), torch.tensor([2, 0])).tolist()
    [[2.0], [3.0]]
    """
    return torch.take_along_dim(states, positions[:, None, None], 1).squeeze(1)


def entry(x: Any, name: str) -> Tensor | None:
    """A tensor among inputs that are a mapping."""
    value = x.get(name) if isinstance(x, dict) else None
    return value if isinstance(value, Tensor) else None
