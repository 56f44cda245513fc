"""Which model holds the adapters, in which layers, on which texts, and what is read of it."""

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from ntklab.configuration import Configuration, setting
from ntklab.errors import InputError, unknown

#: What the first word of a readout may be.
READOUTS = ("logits", "tokens", "loss", "margin", "vocabulary")

# Heads are older than these settings, and keep the names of their cells.
_young: Any = partial(setting, young=True)


@dataclass(frozen=True)
class ModelSpec(Configuration):
    """A language model with adapters in its layers; without a model, an adapter is a head.

    Attributes:
        model: name on the hub, folder, or .gguf file; None for a head.
        tokenizer: name or folder; the model's own if None.
        target: which linear layers, in peft's words: names with commas, an expression, all-linear.
        layers: which blocks, such as `-6:`; all if None.
        text: a file of texts, one a line, or a table (.tsv, .csv, .jsonl), also .xz or .gz.
        text_column: where a table has its texts.
        label_column: where a table has its classes; None where they are not read.
        template: text around each of them, with one `{text}`.
        tokens: the most tokens of a sample; what is longer loses words at its end.
        readout: what the C numbers of a sample are: `tokens:great,terrible` (logits of these words
            where the next token is read), `loss`, `margin:great,terrible`, `logits`, or
            `vocabulary` (the trace kernel of all next-token logits; `vocabulary:exact` and
            `vocabulary:64` say by which passes).
        per_layer: whether to add a row for the kernel of every layer, K = Σ_l K_l.

    Raises:
        InputError: settings that need a model, given without one; an unknown readout.

    Example:
        >>> ModelSpec(model="gpt2", text="films.tsv", readout="tokens:great,terrible").words
        ('great', 'terrible')
        >>> ModelSpec(layers="-6:")
        Traceback (most recent call last):
        ntklab.errors.InputError: --layers is for adapters inside a model: give --model as well.
    """

    heading: ClassVar[str] = "Inside a model"

    model: str | None = _young(
        None, "Put adapters inside this one: hub name, folder or .gguf file.", "NAME"
    )
    tokenizer: str | None = _young(None, "If the model has none of its own.", "NAME")
    target: str = _young("all-linear", "Its layers: names with commas, a pattern.", "NAMES")
    layers: str | None = _young(None, "Its blocks, e.g. -6: for the last six.", "SLICE")
    text: str | None = _young(
        None, "Texts: one a line, or a .tsv, .csv, .jsonl table.", "FILE", grammar="path"
    )
    text_column: str = _young("text", "Where a table has its texts.", "NAME")
    label_column: str | None = _young(None, "Where a table has its classes.", "NAME")
    template: str = _young("{text}", 'Around each text, e.g. "Review: {text} It was".', "TEXT")
    tokens: int = _young(64, "Most tokens a sample.", "COUNT", least=1)
    readout: str = _young(
        "loss",
        "tokens:great,terrible, loss, margin:WORDS, logits or vocabulary.",
        "NAME",
        hints=READOUTS,
    )
    per_layer: bool = _young(False, "Also a row for the kernel of every layer, K = sum of K_l.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.model is None:
            for key, one in self.flat_fields().items():
                if self.get(key) != one.default:
                    raise InputError(
                        f"--{key.replace('_', '-')} is for adapters inside a model: give --model "
                        "as well."
                    )
            return
        if self.kind not in READOUTS:
            raise unknown("readout", self.kind, READOUTS)
        if self.text is None:
            raise InputError("--model needs texts: give --text FILE, with one a line or a table.")
        if self.kind == "margin" and not self.words:
            raise InputError("a margin needs label words: write --readout margin:great,terrible.")
        if self.kind == "tokens" and not self.words:
            raise InputError(
                "a readout of tokens needs words: write --readout tokens:great,terrible."
            )
        if self.needs_labels and self.label_column is None:
            raise InputError(
                f"--readout {self.readout} needs the class of every text: give a table and "
                "--label-column NAME."
            )
        if self.kind == "vocabulary":
            _ = self.passes

    @property
    def kind(self) -> str:
        """The first word of the readout."""
        return self.readout.partition(":")[0]

    @property
    def words(self) -> tuple[str, ...]:
        """The label words of the readout, or their token ids."""
        if self.kind == "vocabulary":
            return ()
        rest = self.readout.partition(":")[2]
        return tuple(word.strip() for word in rest.split(",") if word.strip())

    @property
    def needs_labels(self) -> bool:
        """Whether the readout is of each text's own class."""
        return self.kind == "margin" or (self.kind == "loss" and bool(self.words))

    @property
    def passes(self) -> int | str | None:
        """Backward passes of a whole vocabulary: "exact", a number of draws, or None to count.

        Raises:
            InputError: neither.
        """
        text = self.readout.partition(":")[2].strip()
        if not text or text == "exact":
            return text or None
        if not text.isdigit() or not 2 <= int(text) <= 10**9:
            raise InputError(
                f"--readout {self.readout}: behind vocabulary stands 'exact' or a number of draws, "
                "at least 2."
            )
        return int(text)

    @property
    def targets(self) -> str | list[str]:
        """The target as `ntklab.inject` takes it: several names are a list."""
        names = self.target.split(",")
        return [name.strip() for name in names] if len(names) > 1 else self.target
