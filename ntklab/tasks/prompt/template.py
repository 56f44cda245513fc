"""Prompts as a model reads them: a template around a sentence, and one token a class."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from ntklab.errors import InputError

_PLACE = "{text}"
_MASK = "{mask}"


@dataclass(frozen=True)
class Tokens:
    """Prompts as token ids, padded on the right to one length.

    Attributes:
        ids: shape (N, T).
        lengths: tokens of each prompt, shape (N,).
        places: where the class is read, shape (N,): the last token, or the mask's.
        cut: how many sentences were shortened to fit.
    """

    ids: Int[Tensor, "N T"]
    lengths: Int[Tensor, " N"]
    places: Int[Tensor, " N"]
    cut: int


@dataclass(frozen=True)
class Template:
    """Text around a sentence, such as "Review: {text} Sentiment:".

    For a masked language model `{mask}` says where the class is read; it is put at the end where
    it is left out. White space at the end is dropped: it belongs to the label word.

    Attributes:
        text: with one `{text}`.

    Raises:
        InputError: a template without `{text}`, or with several.

    Example:
        >>> Template("{text} It was ").fill("Fine.", None)
        'Fine. It was'
        >>> Template("It was")
        Traceback (most recent call last):
        ntklab.errors.InputError: template 'It was' has no {text}: write where the sentence goes.
    """

    text: str

    def __post_init__(self) -> None:
        count = self.text.count(_PLACE)
        if count == 0:
            raise InputError(
                f"template '{self.text}' has no {_PLACE}: write where the sentence goes."
            )
        if count > 1 or self.text.count(_MASK) > 1:
            raise InputError(f"template '{self.text}' has a place twice: write each one once.")

    def fill(self, sentence: str, mask: str | None) -> str:
        """The prompt of one sentence; `mask` is the model's mask token, if it has one."""
        text = self.text.rstrip()
        if mask is None:
            if _MASK in text:
                raise InputError(
                    f"template '{self.text}' has {_MASK}, but a causal language model reads the "
                    "class behind the prompt: leave it out."
                )
            return text.replace(_PLACE, sentence)
        text = text if _MASK in text else f"{text} {_MASK}"
        before, after = text.split(_PLACE)  # a sentence may hold "{mask}" itself
        parts = (before.replace(_MASK, mask), after.replace(_MASK, mask))
        return parts[0] + sentence.replace(mask, "") + parts[1]

    def tokens(
        self, tokenizer: Any, sentences: Sequence[str], *, most: int, masked: bool
    ) -> Tokens:
        """Token ids of the prompts; a sentence that does not fit loses words at its end.

        Args:
            tokenizer: of the model.
            sentences: without the template.
            most: tokens that the model takes.
            masked: whether the class is read at a mask.

        Raises:
            InputError: a template that does not fit even without a sentence.
        """
        mask = tokenizer.mask_token if masked else None
        rows, cut = [], 0
        for sentence in sentences:
            ids, shorter = self._fit(tokenizer, sentence, most, mask)
            rows.append(ids)
            cut += shorter
        lengths = torch.tensor([len(ids) for ids in rows])
        padding = tokenizer.pad_token_id or 0
        padded = torch.full((len(rows), int(lengths.max())), padding)
        for row, ids in zip(padded, rows, strict=True):
            row[: len(ids)] = torch.tensor(ids)
        places = lengths - 1
        if masked:
            places = (padded == tokenizer.mask_token_id).int().argmax(1)
        return Tokens(padded, lengths, places, cut)

    def _fit(
        self, tokenizer: Any, sentence: str, most: int, mask: str | None
    ) -> tuple[list[int], bool]:
        words, shorter = sentence.split(" "), False
        while True:
            ids = _ids(
                tokenizer, self.fill(" ".join(words), mask), special=True, causal=mask is None
            )
            if len(ids) <= most:
                return ids, shorter
            if not words:
                raise InputError(
                    f"template '{self.text}' alone takes {len(ids)} tokens of {most}: shorten it."
                )
            # A word is at least a token for most tokenizers; the loop mends what that misses.
            words, shorter = words[: max(0, len(words) - max(1, (len(ids) - most) // 2))], True


def word_tokens(tokenizer: Any, words: Sequence[str]) -> Int[Tensor, " C"]:
    """The token of every label word, as it stands behind a space.

    Raises:
        InputError: a word of several tokens (naming them), a word twice, or fewer than two.
    """
    if len(words) < 2:
        raise InputError(f"words = {list(words)}: give one word a class, at least two.")
    tokens = [_word_token(tokenizer, word) for word in words]
    if len(set(tokens)) < len(tokens):
        raise InputError(f"words = {list(words)}: two classes have the same token; give others.")
    return torch.tensor(tokens)


def _word_token(tokenizer: Any, word: str) -> int:
    for text in (f" {word}", word):
        ids = _ids(tokenizer, text, special=False)
        if len(ids) == 1 and ids[0] != tokenizer.unk_token_id:
            return ids[0]
    if len(ids) == 1:
        raise InputError(f"label word '{word}' is unknown to the tokenizer: choose another word.")
    pieces = tokenizer.convert_ids_to_tokens(ids)
    raise InputError(
        f"label word '{word}' is {len(ids)} tokens ({', '.join(map(str, pieces))}): choose a word "
        "that is one token of this model."
    )


def _ids(tokenizer: Any, text: str, *, special: bool, causal: bool = False) -> list[int]:
    ids = list(tokenizer(text, add_special_tokens=special, verbose=False)["input_ids"])
    # Some tokenizers close every text; behind that token nothing is continued.
    if causal and special and len(ids) > 1 and ids[-1] == tokenizer.eos_token_id:
        ids = ids[:-1]
    return ids
