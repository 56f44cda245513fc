"""Which data are learned from, and the frozen network that makes features of them."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from ntklab.configuration import Configuration, Several, setting
from ntklab.errors import InputError
from ntklab.tasks.registry import TASKS

CONDITIONS = ("clean", "noisy")


@cache
def _parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(function).parameters


@dataclass(frozen=True)
class DataSpec(Configuration):
    """Everything that decides a data set and its features; equal values mean equal data.

    Attributes:
        task: a name of `ntklab.tasks.TASKS`.
        condition: "noisy" or "clean"; None for a task that has no conditions.
        path: file or folder of the data; made or fetched if None.
        images: how many to simulate; the task's own number if None.
        backbone: the frozen network that makes features; the task's own if None.
        backbone_weights: a file of weights; random weights if None.
        seed: of the images and of their split.

    Raises:
        InputError: an unknown task or condition, or a number that is too small.

    Example:
        >>> DataSpec("synthetic").condition, DataSpec(seed=3).to_dict()["data_seed"]
        (None, 3)
    """

    heading: ClassVar[str] = "Data"

    task: str = setting("quantum-dot", f"What is learned: {', '.join(TASKS)}.", "TASK", words=TASKS)
    condition: str | None = setting(
        "noisy",
        "noisy or clean.",
        "WORD",
        key="data_condition",
        words=CONDITIONS,
        several=Several("--data-condition WORD", "noisy, clean or both.", "words", every="both"),
    )
    path: str | None = setting(
        None,
        "Folder or .npz of images (wikitext: of text); made when left out.",
        "PATH",
        key="data",
        grammar="path",
    )
    images: int | None = setting(None, "How many images to simulate.", "COUNT", least=5)
    seed: int = setting(
        0, "Seed of the images and of their split.", "SEED", key="data_seed", least=0
    )
    backbone: str | None = setting(
        None,
        "resnet18, or hf:NAME for an image model; for wikitext a model's name or folder.",
        "NAME",
    )
    backbone_weights: str | None = setting(
        None, "File of weights; random when left out.", "FILE", grammar="path"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.has_conditions:
            object.__setattr__(self, "condition", None)

    @property
    def words(self) -> Mapping[str, inspect.Parameter]:
        """The options that the task's own function takes, by name."""
        return _parameters(TASKS.named(self.task))

    @property
    def has_conditions(self) -> bool:
        """Whether the task's data come clean and noisy.

        Example:
            >>> DataSpec("quantum-dot").has_conditions, DataSpec("synthetic").has_conditions
            (True, False)
        """
        return "condition" in self.words

    def resolved(self) -> "DataSpec":
        """The same data with what `wikitext` finds on this machine where nothing is named.

        Its model is the fetched SmolLM2 or the hub's `gpt2`, its text the folder beside the
        checkout or the hub's.
        """
        if self.task != "wikitext":
            return self
        from ntklab.tasks.wikitext import default_model, default_text

        text = self.path or default_text()
        backbone: dict[str, Any] = {"backbone": self.backbone or default_model()}
        return self.with_(**backbone, data=None if text is None else str(text))


@dataclass(frozen=True)
class TextSpec(Configuration):
    """Which language model reads which texts; equal values mean equal hidden states.

    Attributes:
        model: name, folder or file of the language model.
        tokenizer: its tokenizer, or None for its own.
        path: folder or file of text; the `datasets` hub if None.
        context: tokens a window.
        stride: of validation and test windows; `context` if None.
        train_windows: windows to train on.
        valid_windows: windows that decide when to stop, and between rates.
        test_windows: windows to judge by.
        seed: of the choice of training windows.

    Raises:
        InputError: a number that is too small.

    Example:
        >>> TextSpec(train_windows=0)
        Traceback (most recent call last):
        ntklab.errors.InputError: train_windows = 0 must be at least 1.
    """

    heading: ClassVar[str] = "Language model"

    model: str = setting(
        "gpt2", "Hub name, folder or .gguf; the fetched SmolLM2 or gpt2 when left out.", "NAME"
    )
    tokenizer: str | None = setting(None, "If the model has none of its own.", "NAME")
    path: str | None = setting(None, "Folder of text.", "PATH", key="data", grammar="path")
    context: int = setting(1024, "Tokens a window.", "TOKENS", least=2)
    stride: int | None = setting(
        None, "From one window judged to the next; the context when left out.", "TOKENS", least=1
    )
    train_windows: int = setting(16, "Windows to train on.", "COUNT", least=1)
    valid_windows: int = setting(4, "Windows that decide when to stop.", "COUNT", least=1)
    test_windows: int = setting(8, "Windows to judge by.", "COUNT", least=1)
    seed: int = setting(0, "Seed of the training windows.", "SEED", key="data_seed", least=0)


@dataclass(frozen=True)
class PromptSpec(Configuration):
    """Which sentences a language model classifies, and how it is asked; equal values, equal data.

    Attributes:
        model: name, folder or file of the language model; what `wikitext` takes if None.
        tokenizer: its tokenizer, or None for its own.
        path: a table of sentences: .tsv, .csv or .jsonl, also compressed.
        text_column: where the sentences are.
        label_column: where the classes are; this or `rating_column`.
        classes: the classes in the order of `words`, with commas; sorted if None.
        rating_column: where ratings are: class 0 up to the first of `thresholds`, class 1 from the
            second on.
        thresholds: two numbers with a comma.
        template: with one `{text}`.
        words: one word a class with commas, each one token of the model.
        shots: training sentences a class.
        valid_shots: sentences a class to choose by; as many as `shots` if None.
        test: test sentences.
        context: most tokens of a prompt; the model's limit if None.

    Raises:
        InputError: a number that is too small, or thresholds that are no two numbers.

    Example:
        >>> PromptSpec(thresholds="-1,1").cuts, PromptSpec(shots=8).held_out
        ((-1.0, 1.0), 8)
    """

    heading: ClassVar[str] = "Prompts"

    model: str | None = setting(
        None, "Language model: name, folder or .gguf; the fetched SmolLM2 or gpt2.", "NAME"
    )
    tokenizer: str | None = setting(None, "If the model has none of its own.", "NAME")
    path: str | None = setting(
        None,
        "Table of sentences: .tsv, .csv, .jsonl, also .xz.",
        "FILE",
        key="data",
        grammar="path",
    )
    text_column: str = setting("text", "Column of the sentences.", "NAME")
    label_column: str | None = setting(None, "Column of the classes.", "NAME")
    classes: str | None = setting(None, "Order of the classes, with commas.", "A,B,..")
    rating_column: str | None = setting(None, "Column of ratings, cut by --thresholds.", "NAME")
    thresholds: str = setting("-1,1", "Class 0 up to LOW, class 1 from HIGH.", "LOW,HIGH")
    template: str = setting("{text} It was", "Prompt around a sentence.", "TEXT")
    words: str = setting("terrible,great", "A word a class, in order.", "W,W,..")
    shots: int = setting(64, "Training sentences a class.", "COUNT", least=1)
    valid_shots: int | None = setting(
        None, "Sentences a class to choose by; as many as shots.", "COUNT", least=1
    )
    test: int = setting(500, "Test sentences.", "COUNT", least=1)
    context: int | None = setting(None, "Most tokens of a prompt.", "TOKENS", least=4)

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self.cuts

    @property
    def cuts(self) -> tuple[float, float]:
        """The thresholds as numbers."""
        try:
            low, high = (float(part) for part in self.thresholds.split(","))
        except ValueError:
            raise InputError(
                f"thresholds = '{self.thresholds}' must be two numbers with a comma, such as -1,1."
            ) from None
        return low, high

    @property
    def held_out(self) -> int:
        """Validation sentences a class."""
        return self.shots if self.valid_shots is None else self.valid_shots

    def resolved(self) -> "PromptSpec":
        """The same with the model that this machine has where none is named."""
        if self.model is not None:
            return self
        from ntklab.tasks.wikitext import default_model

        model = default_model()
        # Records keep the last part of a path, and the folder's name is the model's.
        return self.with_(model=str(Path(model).parent) if Path(model).is_file() else model)
