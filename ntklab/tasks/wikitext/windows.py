"""Windows over a stream of tokens, and which of their predictions count."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from ntklab.errors import InputError


@dataclass(frozen=True, eq=False)
class Windows:
    """Pieces of a text that the model reads one by one, each without what stands before it.

    With `stride` = `context` (the default) windows do not overlap, and each gives context − 1
    predictions: its first token has nothing before it. With a smaller stride every token of the
    text but the first is predicted once, by the window that shows most of what stands before it.

    Attributes:
        ids: token ids, shape (W, L), L = `context`.
        stride: tokens from one window's start to the next.

    Example:
        >>> windows = Windows(torch.arange(12).reshape(3, 4), stride=4)
        >>> windows.predictions, windows.labels()[:4].tolist()
        (9, [1, 2, 3, 5])
    """

    ids: Int[Tensor, "W L"]
    stride: int

    @property
    def context(self) -> int:
        """L, the tokens of a window."""
        return self.ids.shape[1]

    @property
    def counted(self) -> Bool[Tensor, "W L-1"]:
        """Which predictions count: row w, column i stands for token i + 1 of window w."""
        mask = torch.ones(len(self.ids), self.context - 1, dtype=torch.bool)
        if self.stride < self.context:
            mask[1:, : self.context - 1 - self.stride] = False
        return mask

    @property
    def predictions(self) -> int:
        """Number of predictions that count."""
        return int(self.counted.sum())

    def labels(self) -> Int[Tensor, " N"]:
        """The token that each counted prediction is of."""
        return self.ids[:, 1:][self.counted]


def cut_windows(
    ids: Int[Tensor, " T"],
    context: int,
    *,
    stride: int | None = None,
    count: int | None = None,
    seed: int | None = None,
) -> Windows:
    """Cut a stream of tokens into whole windows; the rest at its end is left out.

    Args:
        ids: the tokens of a text.
        context: tokens a window, at least 2.
        stride: tokens from start to start, 1 to `context` − 1 or `context`; `context` if None.
        count: how many windows to keep; all if None.
        seed: keep a random choice that the seed decides (in the text's order, and only without
            overlap, where windows are independent of each other); the first ones if None.

    Raises:
        InputError: a context or stride that means nothing, or too few tokens.

    Example:
        >>> cut_windows(torch.arange(10), 4, count=2).ids.tolist()
        [[0, 1, 2, 3], [4, 5, 6, 7]]
        >>> cut_windows(torch.arange(8), 4, stride=2).labels().tolist()
        [1, 2, 3, 4, 5, 6, 7]
    """
    step = context if stride is None else stride
    if context < 2 or not 1 <= step <= context:
        raise InputError(
            f"context = {context} and stride = {step}: a window needs at least 2 tokens, and the "
            "stride must be 1 to context."
        )
    available = 0 if len(ids) < context else (len(ids) - context) // step + 1
    wanted = available if count is None else count
    if not 1 <= wanted <= available:
        raise InputError(
            f"{wanted} windows of {context} tokens were asked for, but a text of {len(ids)} tokens "
            f"holds {available}: give more text or a smaller context."
        )
    chosen = torch.arange(wanted)
    if seed is not None:
        if step < context:
            raise InputError(
                f"seed = {seed} with stride = {step}: windows that overlap are read in order; "
                "leave one of the two out."
            )
        order = torch.randperm(available, generator=torch.Generator().manual_seed(seed))
        chosen = order[:wanted].sort().values
    return Windows(ids.unfold(0, context, step)[chosen].contiguous(), step)
