"""The C numbers of a sample: logits, those of some tokens, a loss, a margin.

A language model's output is logits at every position, N·T·V numbers; a kernel is rarely wanted of
all of them. A readout reads what is wanted, and where it is one position, the last projection sees
that position alone.

Labels travel with the inputs: the entry `labels` of a mapping, or the last of a tuple. The model is
called without them.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from ntklab.errors import InputError, unknown
from ntklab.jacobians.last_projection import (
    at,
    entry,
    last_positions,
    narrowed,
    output_embeddings,
)

# As the engines take them: a tensor, a tuple of positional or a mapping of keyword arguments.
Inputs = Any
Run = Callable[[], object]


class Readout(ABC):
    """From a model's call to its outputs (n, …), one row a sample.

    A subclass needs `of`; one that wants to change the call itself overrides `read`.
    """

    #: Whether the inputs hold labels.
    labelled: bool = False

    @abstractmethod
    def of(self, result: object, x: Inputs) -> Float[Tensor, "n *C"]:
        """The outputs, from what the model returns and the inputs that it was given."""

    @abstractmethod
    def describe(self) -> str:
        """A few words for a record."""

    def inputs(self, x: Inputs) -> Inputs:
        """The inputs of the model: x without labels."""
        return split_labels(x)[0] if self.labelled else x

    def read(self, model: nn.Module, run: Run, x: Inputs) -> Float[Tensor, "n *C"]:
        """Run the model and read it.

        Args:
            model: the module, to which hooks may be added for the time of the call.
            run: calls it with `inputs(x)`.
            x: the inputs, with labels.
        """
        with self.narrowed(model, x):
            return self.of(run(), x)

    def narrowed(self, model: nn.Module, x: Inputs) -> Any:
        """A context in which the model leaves out what is not read."""
        return nullcontext()


@dataclass(frozen=True)
class Logits(Readout):
    """All logits: the model's outputs, flattened.

    Example:
        >>> Logits().of(torch.ones(2, 3), None).shape
        torch.Size([2, 3])
    """

    def of(self, result: object, x: Inputs) -> Float[Tensor, "n *C"]:
        """Whatever tensor the model returns."""
        return logits_of(result)

    def describe(self) -> str:
        """Of the record."""
        return "logits"


@dataclass(frozen=True)
class Custom(Readout):
    """A function of somebody's own: (what the model returns, inputs) to (n, …)."""

    function: Callable[[Any, Inputs], Tensor]

    def of(self, result: object, x: Inputs) -> Float[Tensor, "n *C"]:
        """The function's value."""
        return self.function(result, x)

    def describe(self) -> str:
        """The function's name."""
        return getattr(self.function, "__name__", type(self.function).__name__)


@dataclass(frozen=True)
class TokenLogits(Readout):
    """Logits of some tokens at one position: label words, C = how many.

    Attributes:
        tokens: their ids.
        at: the id of the token at whose place to read, such as a masked model's mask; the last
            real position if None (the last that `attention_mask` keeps).

    Example:
        >>> logits = torch.arange(12.0).reshape(1, 3, 4)
        >>> x = {"attention_mask": torch.tensor([[1, 1, 0]])}
        >>> TokenLogits((0, 3)).of(logits, x).tolist()
        [[4.0, 7.0]]
    """

    tokens: tuple[int, ...]
    at: int | None = None

    @classmethod
    def of_words(
        cls, tokenizer: Any, words: Sequence[str], *, at: int | None = None
    ) -> "TokenLogits":
        """The readout of label words, each a single token after a space or as it stands.

        Args:
            tokenizer: of transformers.
            words: at least one.
            at: as the class has it.

        Raises:
            InputError: no word, or one of several tokens.
        """
        if not words:
            raise InputError("a readout of tokens needs words: write tokens:great,terrible.")
        return cls(tuple(_single_token(tokenizer, word) for word in words), at)

    def of(self, result: object, x: Inputs) -> Float[Tensor, "n C"]:
        """Logits (n, V), (n, 1, V) or (n, T, V), at the position and of the tokens."""
        logits = logits_of(result)
        _check_tokens(self.tokens, logits.shape[-1])
        if logits.ndim == 3:
            single = logits.shape[1] == 1
            logits = logits[:, 0] if single else at(logits, self._positions(x, logits))
        return logits[:, list(self.tokens)]

    def describe(self) -> str:
        """The ids, and where."""
        place = "" if self.at is None else f" at token {self.at}"
        return f"tokens:{','.join(map(str, self.tokens))}{place}"

    def narrowed(self, model: nn.Module, x: Inputs) -> Any:
        """The last projection sees the position that is read, where the model says which it is."""
        head = output_embeddings(model)
        return nullcontext() if head is None else narrowed(head, lambda h: self._positions(x, h))

    def _positions(self, x: Inputs, states: Tensor) -> Int[Tensor, " n"]:
        if self.at is None:
            return last_positions(x, states)
        ids = entry(x, "input_ids")
        if ids is None:
            raise InputError("a readout at a token needs its inputs' `input_ids`: give a mapping.")
        return (ids == self.at).to(torch.int8).argmax(1)


@dataclass(frozen=True)
class Loss(Readout):
    """The sample's cross-entropy, C = 1; inputs hold labels.

    Logits (n, K) with labels (n,); or logits (n, T, V) with labels (n, T), where −100 is left out,
    the mean over the others is taken, and logits of position t are held against label t + 1.

    Attributes:
        logits: what the loss is of: all logits, or those of some tokens, among which the label
            counts from 0.
        shift: False holds logits of position t against label t, as masked models do.

    Example:
        >>> Loss().of(torch.zeros(2, 4), (torch.zeros(2), torch.tensor([1, 3])))
        tensor([[1.3863],
                [1.3863]])
    """

    logits: Readout = Logits()
    shift: bool = True
    labelled = True

    def of(self, result: object, x: Inputs) -> Float[Tensor, "n 1"]:
        """One number a sample."""
        inputs, labels = split_labels(x)
        logits = self.logits.of(result, inputs)
        if labels.ndim == 2 and logits.ndim == 3 and self.shift:
            logits, labels = logits[:, :-1], labels[:, 1:]
        if labels.shape != logits.shape[:-1]:
            raise InputError(
                f"labels of shape {tuple(labels.shape)} do not fit logits of shape "
                f"{tuple(logits.shape)}: give one label a sample, or one a position."
            )
        losses = F.cross_entropy(logits.movedim(-1, 1), labels, reduction="none")
        losses = losses.reshape(len(losses), -1)
        counted = (labels != -100).reshape(losses.shape).sum(1, keepdim=True)
        return losses.sum(1, keepdim=True) / counted.clamp_min(1)

    def describe(self) -> str:
        """And of which logits."""
        return f"loss of {self.logits.describe()}"

    def narrowed(self, model: nn.Module, x: Inputs) -> Any:
        """As its logits."""
        return self.logits.narrowed(model, self.inputs(x))


@dataclass(frozen=True)
class Margin(Readout):
    """The label's logit minus logsumexp of the others, C = 1; inputs hold labels (n,).

    Attributes:
        logits: of which, as `Loss` has it.

    Example:
        >>> Margin().of(torch.tensor([[2.0, 0.0, 0.0]]), (None, torch.tensor([0])))
        tensor([[1.3069]])
    """

    logits: Readout = Logits()
    labelled = True

    def of(self, result: object, x: Inputs) -> Float[Tensor, "n 1"]:
        """One number a sample: log of the odds of its label."""
        inputs, labels = split_labels(x)
        logits = self.logits.of(result, inputs)
        if logits.ndim != 2 or labels.shape != logits.shape[:1]:
            raise InputError(
                f"a margin needs logits (n, K) and labels (n,), not {tuple(logits.shape)} and "
                f"{tuple(labels.shape)}: read some tokens at one position."
            )
        label = labels.unsqueeze(1)
        own = torch.take_along_dim(logits, label, 1)
        others = torch.where(_classes(logits) == label, float("-inf"), logits)
        return own - others.logsumexp(1, keepdim=True)

    def describe(self) -> str:
        """And of which logits."""
        return f"margin of {self.logits.describe()}"

    def narrowed(self, model: nn.Module, x: Inputs) -> Any:
        """As its logits."""
        return self.logits.narrowed(model, self.inputs(x))


def as_readout(readout: "Readout | str | Callable[[Any, Inputs], Tensor] | None") -> Readout:
    """A readout from a value, a name without words (`readout_named`), a function, or None.

    Raises:
        InputError: none of these.

    Example:
        >>> as_readout(None).describe(), as_readout("loss").describe()
        ('logits', 'loss of logits')
    """
    if readout is None or isinstance(readout, Readout):
        return Logits() if readout is None else readout
    if isinstance(readout, str):
        return readout_named(readout)
    if callable(readout):
        return Custom(readout)
    raise InputError(
        f"readout is {type(readout).__name__}: give a name, a value of ntklab.jacobians.readout, "
        "or a function of what the model returns and its inputs."
    )


def readout_named(text: str, tokenizer: Any = None) -> Readout:
    """`logits`, `tokens:great,terrible`, `loss` or `margin`, the last two also of tokens.

    Args:
        text: as the command line has it; words may be token ids.
        tokenizer: of transformers, for words.

    Raises:
        InputError: unknown name, words without a tokenizer, a word of several tokens.

    Example:
        >>> readout_named("margin:7,12").describe()
        'margin of tokens:7,12'
    """
    kind, _, rest = text.partition(":")
    words = [word for word in rest.split(",") if word.strip()]
    if kind not in ("logits", "tokens", "loss", "margin"):
        raise unknown("readout", kind, ["logits", "tokens:WORDS", "loss", "margin"])
    if kind == "tokens" or words:
        ids = _token_ids(words, tokenizer)
        logits: Readout = TokenLogits(ids)
    else:
        logits = Logits()
    return {"loss": Loss, "margin": Margin}[kind](logits) if kind in ("loss", "margin") else logits


def split_labels(x: Inputs) -> tuple[Inputs, Tensor]:
    """Inputs of the model, and the labels that travel with them.

    Raises:
        InputError: there are none.

    Example:
        >>> split_labels({"ids": 1, "labels": torch.tensor([2])})
        ({'ids': 1}, tensor([2]))
    """
    if isinstance(x, dict) and isinstance(x.get("labels"), Tensor):
        return {name: value for name, value in x.items() if name != "labels"}, x["labels"]
    if isinstance(x, tuple) and len(x) > 1 and isinstance(x[-1], Tensor):
        return (x[0] if len(x) == 2 else x[:-1]), x[-1]
    raise InputError(
        "this readout needs labels with the inputs: an entry 'labels' of a mapping, or the last "
        "tensor of a tuple."
    )


def logits_of(result: object) -> Tensor:
    """The tensor in what a model returns: itself, its `logits`, or the first of a sequence.

    Raises:
        InputError: there is none.

    Example:
        >>> logits_of((torch.zeros(2, 3), None)).shape
        torch.Size([2, 3])
    """
    if isinstance(result, dict) or hasattr(result, "keys"):
        result = result.get("logits", next(iter(result.values()), None))  # type: ignore[attr-defined]
    elif hasattr(result, "logits"):
        result = result.logits
    elif isinstance(result, (tuple, list)) and result:
        result = result[0]
    if not isinstance(result, Tensor):
        raise InputError(
            f"the model returns {type(result).__name__}, but a Jacobian needs a tensor, something "
            "with `logits`, or a tuple or mapping that begins with a tensor."
        )
    return result


def _classes(logits: Float[Tensor, "n K"]) -> Int[Tensor, " K"]:
    return torch.arange(logits.shape[1], device=logits.device)


def _token_ids(words: Sequence[str], tokenizer: Any) -> tuple[int, ...]:
    if words and all(word.strip().isdigit() for word in words):
        return tuple(int(word) for word in words)
    if tokenizer is None:
        raise InputError(
            f"the words {', '.join(words) or '(none)'} need a tokenizer to become tokens: give "
            "token ids, or TokenLogits.of_words(tokenizer, words)."
        )
    return TokenLogits.of_words(tokenizer, words).tokens


def _single_token(tokenizer: Any, word: str) -> int:
    pieces: list[int] = []
    for text in (word if word.startswith(" ") else f" {word}", word):
        pieces = tokenizer(text, add_special_tokens=False)["input_ids"]
        if len(pieces) == 1 and pieces[0] != getattr(tokenizer, "unk_token_id", None):
            return int(pieces[0])
    if len(pieces) == 1:
        raise InputError(
            f"the label word '{word}' is unknown to this model's tokenizer: choose another word."
        )
    raise InputError(
        f"the label word '{word}' is {len(pieces)} tokens of this model: choose a word of one "
        "token."
    )


def _check_tokens(tokens: tuple[int, ...], size: int) -> None:
    bad = [token for token in tokens if not 0 <= token < size]
    if not tokens or bad:
        raise InputError(
            f"tokens {bad or tokens} are not among the {size} of this model: give ids from 0 to "
            f"{size - 1}."
        )
