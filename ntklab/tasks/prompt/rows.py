"""Prompts of any length by number, so that a batch is padded no further than its longest."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ntklab.tasks.prompt.model import WordLogits
from ntklab.tasks.prompt.task import Prompts


class PromptRows:
    """Prompts of several parts under one numbering, each kept at its own length.

    Args:
        parts: their prompts, in the order of the numbers.

    Attributes:
        lengths: tokens that the model reads of each prompt, shape (N,).
    """

    def __init__(self, parts: Sequence[Prompts]) -> None:
        self._ids: list[Tensor] = []
        self._states: list[Tensor] = []
        self._places: list[Tensor] = []
        self._masked = "lengths" in parts[0].inputs
        for part in parts:
            given = part.inputs
            # Behind its place a causal model reads nothing that matters.
            ends = given["lengths"] if self._masked else given["places"] + 1
            for row, end in enumerate(ends.tolist()):
                self._ids.append(given["input_ids"][row, :end].clone())
                self._places.append(given["places"][row])
                if "states" in given:
                    self._states.append(given["states"][row, :end].clone())
        self.lengths: Int[Tensor, " N"] = torch.tensor([len(ids) for ids in self._ids])

    def __len__(self) -> int:
        return len(self._ids)

    def inputs(self, rows: Sequence[int], dtype: torch.dtype | None = None) -> dict[str, Tensor]:
        """Keyword arguments of a `WordLogits` for these prompts.

        Args:
            rows: their numbers.
            dtype: of the states; as they are if None.
        """
        pad = nn.utils.rnn.pad_sequence
        places = torch.stack([self._places[row] for row in rows])
        given = {"input_ids": pad([self._ids[row] for row in rows], True), "places": places}
        if self._masked:
            given["lengths"] = self.lengths[list(rows)].to(places.device)
        if self._states:
            states = pad([self._states[row] for row in rows], True)
            given["states"] = states if dtype is None else states.to(dtype)
        return given

    def groups(self, rows: Sequence[int], size: int) -> list[list[int]]:
        """Positions in `rows`, at most `size` together, those of like length side by side."""
        chosen = self.lengths[list(rows)]
        order = torch.argsort(chosen, stable=True)
        return [group.tolist() for group in order.split(size)]


class RowModel(nn.Module):
    """A language model as a function of the prompts' numbers: rows (n,) to logits (n, C).

    Args:
        model: what is trained.
        prompts: what the numbers mean.
        group: prompts that are padded to one length.
        one: of two classes, give the difference of the logits instead of both, (n, 1).
    """

    def __init__(
        self, model: WordLogits, prompts: PromptRows, group: int = 8, one: bool = False
    ) -> None:
        super().__init__()
        self.model = model
        self.__dict__["prompts"] = prompts  # data, not state: no checkpoint holds them
        self.group, self.one = group, one

    def forward(self, rows: Int[Tensor, " n"]) -> Float[Tensor, "n C"]:
        """Logits of the label words, or their difference."""
        numbers = rows.tolist()
        prompts: Any = self.__dict__["prompts"]
        groups = prompts.groups(numbers, self.group)
        dtype = next(self.model.parameters()).dtype
        pieces = [
            self.model(**prompts.inputs([numbers[k] for k in group], dtype)) for group in groups
        ]
        order = torch.tensor([k for group in groups for k in group], device=pieces[0].device)
        logits = torch.cat(pieces)[torch.argsort(order)]
        return logits[:, 1:] - logits[:, :1] if self.one else logits
