"""How a check says no."""

from torch import Tensor


def expect(condition: bool, message: str) -> None:
    """Raise AssertionError with the message unless the condition holds; survives `python -O`.

    Example:
        >>> expect(1 + 1 == 2, "arithmetic")
    """
    if not condition:
        raise AssertionError(message)


def expect_close(measured: Tensor, wanted: Tensor, relative: float, what: str) -> None:
    """Largest difference at most `relative` times the largest entry of either.

    Example:
        >>> import torch
        >>> expect_close(torch.ones(2), torch.ones(2), 0.0, "ones")
    """
    expect(
        measured.shape == wanted.shape,
        f"{what}: shape {tuple(measured.shape)} instead of {tuple(wanted.shape)}",
    )
    scale = max(_largest(measured), _largest(wanted))
    difference = _largest(measured - wanted)
    # A NaN compares false, so it fails here as it should.
    expect(
        difference <= relative * scale,
        f"{what}: largest difference {difference:.3g} beside entries of {scale:.3g}, allowed is "
        f"{relative:g} of that",
    )


def _largest(values: Tensor) -> float:
    return float(values.detach().abs().max()) if values.numel() else 0.0
