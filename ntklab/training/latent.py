"""The latent z of a run: kept, or drawn anew for every minibatch, and judged over fresh draws."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Generator, Tensor, nn

from ntklab.adapters import Adapter
from ntklab.errors import InputError
from ntklab.training.seeds import stream


def redrawable(model: nn.Module) -> list[nn.Module]:
    """The parts of a model whose latent can be drawn anew, in the module's order."""
    return [part for part in model.modules() if callable(getattr(part, "resample_latent", None))]


def redraw(parts: list[nn.Module], generator: Generator) -> None:
    """Draw z ~ N(0, I) in every part."""
    for part in parts:
        part.resample_latent(generator)  # type: ignore[operator]


def check_redrawable(model: nn.Module) -> list[nn.Module]:
    """The parts with a latent of their own, refusing a model that has none.

    Raises:
        InputError: no part of the model can draw its latent anew.
    """
    parts = redrawable(model)
    if not parts:
        names = [part.method for part in model.modules() if isinstance(part, Adapter)]
        raise InputError(
            f"latent = redrawn, but {names[0] if names else type(model).__name__} has no latent "
            "to draw anew: use latent = fixed."
        )
    return parts


@contextmanager
def fresh_latents(model: nn.Module, count: int, seed: int, step: int) -> Iterator[Iterator[None]]:
    """Iterate over draws of z that depend on seed and step alone; z in place comes back after.

    Example:
        >>> from ntklab.adapters import build_adapter
        >>> head = build_adapter("tensorguide", 8, 2, width=16)
        >>> before = head.latent.clone()
        >>> with fresh_latents(head, 3, seed=0, step=0) as draws:
        ...     sum(not head.latent.equal(before) for _ in draws)
        3
        >>> head.latent.equal(before)
        True
    """
    parts = check_redrawable(model)
    values: list[Tensor] = [buffer.detach().clone() for part in parts for buffer in part.buffers()]

    def draws() -> Iterator[None]:
        generator = stream(seed, "evaluation", step)
        for _ in range(count):
            redraw(parts, generator)
            yield

    try:
        yield draws()
    finally:
        with torch.no_grad():
            buffers = (buffer for part in parts for buffer in part.buffers())
            for buffer, value in zip(buffers, values, strict=True):
                buffer.copy_(value)
