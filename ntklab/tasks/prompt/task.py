"""Task `prompt`: sentences classified by a language model's own words."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ntklab.errors import InputError
from ntklab.tasks.cache import cache_folder, tensor_bytes
from ntklab.tasks.prompt.model import PromptModel, WordLogits, load_prompt_model
from ntklab.tasks.prompt.sentences import Sentences, read_labelled, read_rated, split_shots
from ntklab.tasks.prompt.states import Progress, frozen_states
from ntklab.tasks.prompt.template import Template, Tokens, word_tokens

# The two ways to the same outputs must agree to this much of their size.
_AGREEMENT = {torch.float64: 1e-10, torch.float32: 1e-5}


@dataclass(frozen=True, eq=False)
class Prompts:
    """Prompts of one part as the model takes them.

    Attributes:
        inputs: keyword arguments of `PromptTask.model`, each with leading dimension N.
        labels: class of each, shape (N,).
        sentences: the texts.
        cut: how many were shortened to fit the model.
    """

    inputs: dict[str, Tensor]
    labels: Int[Tensor, " N"]
    sentences: Sentences
    cut: int

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class PromptTask:
    """Sentences, a model that reads them, and what is known of both.

    Attributes:
        model: (n, C) logits of the label words; its `model` is the language model, into which
            adapters go (blocks `model.first` and above if states are frozen).
        train: the shots.
        valid: as many to choose by, or None.
        test: sentences that no shot comes from.
        notes: JSON-able facts for a record: model, template, words, counts, how many rows were
            left out and how many sentences cut.
    """

    model: WordLogits
    train: Prompts
    valid: Prompts | None
    test: Prompts
    notes: dict[str, object]

    @cached_property
    def digest(self) -> str:
        """A name for all sentences with their classes and states: equal tasks, equal names."""
        digest = hashlib.sha256(json.dumps(self.notes, sort_keys=True).encode())
        for part in (self.train, self.valid, self.test):
            for name, value in {} if part is None else {**part.inputs, "y": part.labels}.items():
                digest.update(f"\0{name}\0{tuple(value.shape)}\0{value.dtype}\0".encode())
                digest.update(tensor_bytes(value))
        return digest.hexdigest()

    @torch.no_grad()
    def outputs(self, part: Prompts, batch_size: int = 16) -> Float[Tensor, "N C"]:
        """The model's outputs for all prompts of a part."""
        rows = range(0, len(part), batch_size)
        pieces = ({k: v[n : n + batch_size] for k, v in part.inputs.items()} for n in rows)
        return torch.cat([self.model(**piece) for piece in pieces])


def load_prompt(
    data: str | Path,
    *,
    text_column: str = "text",
    label_column: str | None = None,
    classes: Sequence[str] | None = None,
    rating_column: str | None = None,
    thresholds: tuple[float, float] = (-1.0, 1.0),
    model: str | Path | PromptModel = "gpt2",
    tokenizer: str | Path | None = None,
    template: str = "{text} It was",
    words: Sequence[str] = ("terrible", "great"),
    shots: int = 64,
    valid_shots: int = 0,
    test: int = 500,
    seed: int = 0,
    first: int = 0,
    context: int | None = None,
    cache: Path | str | None = "default",
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    progress: Progress | None = None,
) -> PromptTask:
    """Sentences from a table, as prompts of a language model.

    Args:
        data: a .tsv, .csv or .jsonl file, also compressed.
        text_column: where the sentences are.
        label_column: where the classes are; this or `rating_column`.
        classes: order of the classes, as `words` have them; sorted if None.
        rating_column: where the ratings are; class 0 up to the lower of `thresholds`, class 1
            from the upper one, the rest left out.
        thresholds: both ends count.
        model: name, folder, .gguf file, or a loaded model.
        tokenizer: the model's own if None.
        template: with one `{text}`; for masked models also `{mask}`.
        words: one label word a class, each one token of the model.
        shots: training sentences a class.
        valid_shots: sentences a class to choose by.
        test: test sentences.
        seed: of shots and test sentences.
        first: the lowest block that is adapted; all below it and the embedding are frozen, and
            their states are computed once. Negative numbers count from the last: −6 leaves six.
            0 computes the whole model every time.
        context: most tokens of a prompt; the model's own limit if None.
        cache: folder of states, "default", or None.
        device: where to compute.
        dtype: of the model.
        progress: called with (prompts done, all) while states are computed.

    Raises:
        InputError: columns, classes, ratings, thresholds, template, words, shots or blocks that do
            not fit, each in one sentence.
        MissingExtraError: transformers is not installed.
    """
    sentences = _read(data, text_column, label_column, classes, rating_column, thresholds)
    if len(words) != len(sentences.classes):
        raise InputError(
            f"words = {list(words)} are {len(words)}, but the data has {len(sentences.classes)} "
            f"classes ({', '.join(sentences.classes)}): give one word a class, in this order."
        )
    frame = Template(template)
    parts = split_shots(sentences, shots=shots, test=test, seed=seed, valid_shots=valid_shots)
    loaded = (
        model
        if isinstance(model, PromptModel)
        else load_prompt_model(model, tokenizer=tokenizer, device=device, dtype=dtype)
    )
    chosen = word_tokens(loaded.tokenizer, words).to(device)
    logits = WordLogits(loaded.model, chosen, masked=loaded.masked)
    logits.first = _block(first, logits.block_count)
    most = min(context or loaded.most_tokens, loaded.most_tokens)
    made = {
        name: _prompts(logits, frame, loaded, part, most, cache_folder(cache), progress)
        for name, part in parts.items()
        if len(part)
    }
    task = PromptTask(
        logits,
        made["train"],
        made.get("valid"),
        made["test"],
        {
            "model": loaded.name,
            "masked": loaded.masked,
            "template": template,
            "words": list(words),
            "classes": list(sentences.classes),
            "shots": shots,
            "seed": seed,
            "first": logits.first,
            "left_out": sentences.left_out,
            "cut": sum(part.cut for part in made.values()),
            "tokens": max(int(part.inputs["input_ids"].shape[1]) for part in made.values()),
        },
    )
    if logits.first:
        _check_split(task)
    return task


def _read(
    data: str | Path,
    text: str,
    label: str | None,
    classes: Sequence[str] | None,
    rating: str | None,
    thresholds: tuple[float, float],
) -> Sentences:
    if (label is None) == (rating is None):
        raise InputError(
            "the classes are in a label column or follow from a rating column: give one of "
            "label_column and rating_column."
        )
    if label is not None:
        return read_labelled(data, text_column=text, label_column=label, classes=classes)
    assert rating is not None
    return read_rated(data, text_column=text, rating_column=rating, thresholds=thresholds)


def _block(first: int, count: int) -> int:
    if not -count <= first < count:
        raise InputError(
            f"first = {first} is out of range: the model has {count} blocks, 0 to {count - 1}."
        )
    return first % count


def _prompts(
    logits: WordLogits,
    template: Template,
    loaded: PromptModel,
    sentences: Sentences,
    most: int,
    cache: Path | None,
    progress: Progress | None,
) -> Prompts:
    tokens: Tokens = template.tokens(
        loaded.tokenizer, sentences.texts, most=most, masked=loaded.masked
    )
    device = logits.words.device
    inputs = {"input_ids": tokens.ids.to(device), "places": tokens.places.to(device)}
    if loaded.masked:
        inputs["lengths"] = tokens.lengths.to(device)
    if logits.first:
        inputs["states"] = frozen_states(logits, tokens, cache=cache, progress=progress)
    return Prompts(inputs, torch.tensor(sentences.labels, device=device), sentences, tokens.cut)


@torch.no_grad()
def _check_split(task: PromptTask) -> None:
    """Some architectures count their blocks on the way, and would run others than they should."""
    few = {name: value[:2] for name, value in task.train.inputs.items()}
    split = task.model(**few)
    whole = task.model(**{name: value for name, value in few.items() if name != "states"})
    gap = float((split - whole).abs().max() / whole.abs().max())
    if gap > _AGREEMENT.get(split.dtype, 1e-2):
        raise InputError(
            f"{type(task.model.model).__name__} from its block {task.model.first} on differs from "
            f"the whole model by {gap:.1e}: it cannot be entered there, so use first = 0."
        )
