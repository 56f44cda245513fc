"""A frozen causal language model, taken apart at its last projection."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ntklab.display import ShortRepr
from ntklab.errors import InputError, MissingExtraError

RANDOM_GPT2 = "gpt2-random"

# Tokens beyond those wanted: a cut in the text can change the last few.
_MARGIN = 64


@dataclass(frozen=True, eq=False, repr=False)
class LanguageModel(ShortRepr):
    """logits = hidden(ids) · weightᵀ + bias, in evaluation mode and without gradients.

    Attributes:
        name: what was asked for; of a path its last part.
        model: the transformers model.
        tokenizer: its tokenizer, or None where there is none.
        weight: last projection W0, shape (V, d); the model's own tensor, not a copy.
        bias: its bias (V,), or None.
    """

    name: str
    model: Any
    tokenizer: Any
    weight: Float[Tensor, "V d"]
    bias: Float[Tensor, " V"] | None

    @property
    def width(self) -> int:
        """d, the features of a token."""
        return self.weight.shape[1]

    @property
    def vocabulary(self) -> int:
        """V, the outputs."""
        return self.weight.shape[0]

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        return self.weight.device

    @torch.no_grad()
    def hidden(self, ids: Int[Tensor, "B L"]) -> Float[Tensor, "B L d"]:
        """The states that the last projection sees."""
        output = self.model.base_model(input_ids=ids.to(self.device), use_cache=False)
        return output.last_hidden_state

    def tokenize(self, text: str, most: int | None = None) -> Int[Tensor, " T"]:
        """Token ids of a text without special tokens.

        Args:
            text: any text.
            most: the number of tokens wanted; only as much text is read as they need.

        Raises:
            InputError: the model has no tokenizer.
        """
        if self.tokenizer is None:
            raise InputError(f"the language model '{self.name}' has no tokenizer: give one.")
        if most is None:
            return self._ids(text)
        size = 8 * (most + _MARGIN)
        while True:
            ids = self._ids(text[:size])
            if len(ids) >= most + _MARGIN or size >= len(text):
                return ids[:most]
            size *= 2

    def _ids(self, text: str) -> Tensor:
        ids = self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        return torch.tensor(ids, dtype=torch.int64)


def load_language_model(
    spec: str | Path = "gpt2",
    *,
    tokenizer: str | Path | None = None,
    seed: int = 0,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> LanguageModel:
    """A frozen causal language model by name, folder or file.

    Args:
        spec: a Hugging Face name, a folder with config.json and weights, a ``.gguf`` file or a
            folder with one, or ``gpt2-random``: GPT-2's architecture with random weights, whose
            shapes are real and whose perplexity is that of guessing.
        tokenizer: name or folder of a tokenizer; the model's own if None.
        seed: of ``gpt2-random``.
        device: where to compute.
        dtype: of weights and states.

    Raises:
        MissingExtraError: transformers (for GGUF also gguf and accelerate) is not installed.
        InputError: the model cannot be loaded, or its logits are not hidden · weightᵀ + bias
            (models that cap or scale their logits cannot be adapted at the last projection alone).
    """
    transformers = _transformers(spec)
    place, options = locate_model(str(spec))
    with quietly(transformers), _sentences(str(spec)):
        if str(spec) == RANDOM_GPT2:
            model = _random_gpt2(transformers, seed).to(dtype)
        else:
            model = transformers.AutoModelForCausalLM.from_pretrained(place, dtype=dtype, **options)
        words = _tokenizer(transformers, str(spec), tokenizer, place, options)
    model = model.to(device).eval().requires_grad_(False)
    head = model.get_output_embeddings()
    if not isinstance(head, nn.Linear):
        raise InputError(
            f"the last layer of '{spec}' is {type(head).__name__}, not a linear projection: name a "
            "causal language model."
        )
    name = Path(spec).name if Path(spec).exists() else str(spec)
    loaded = LanguageModel(name, model, words, head.weight, head.bias)
    _check_projection(loaded)
    return loaded


def _transformers(spec: str | Path) -> Any:
    try:
        import transformers
    except ImportError as error:
        raise MissingExtraError(f"the language model '{spec}'", "hf") from error
    return transformers


def locate_model(spec: str) -> tuple[str, dict[str, str]]:
    """Where transformers looks, and the file to take there if it is a GGUF."""
    path = Path(spec)
    if path.is_dir() and not (path / "config.json").is_file():
        files = sorted(path.glob("*.gguf"))
        if len(files) != 1:
            raise InputError(
                f"'{spec}' has no config.json and {len(files)} .gguf files: give a folder with one "
                "model, or the .gguf file itself."
            )
        path = files[0]
    if path.suffix == ".gguf":
        if not path.is_file():
            raise InputError(f"the language model '{spec}' is no file: check the path.")
        return str(path.parent), {"gguf_file": path.name}
    return spec, {}


def _tokenizer(
    transformers: Any, spec: str, given: str | Path | None, place: str, options: dict[str, str]
) -> Any:
    if given is not None:
        return (
            transformers.AutoTokenizer.from_pretrained(str(given))
            if _whole(given)
            else (transformers.GPT2TokenizerFast.from_pretrained(str(given)))
        )
    if spec == RANDOM_GPT2:
        return None
    return transformers.AutoTokenizer.from_pretrained(place, **options)


def _whole(folder: str | Path) -> bool:
    """Whether a tokenizer says its own class; GPT-2's two bare files do not."""
    path = Path(folder)
    names = ("tokenizer_config.json", "tokenizer.json", "config.json")
    return not path.is_dir() or any((path / name).is_file() for name in names)


def _random_gpt2(transformers: Any, seed: int) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return transformers.GPT2LMHeadModel(transformers.GPT2Config())


@contextmanager
def quietly(transformers: Any) -> Iterator[None]:
    """Without the bars of loading, which are drawn even where nobody looks."""
    logging = transformers.utils.logging
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


@contextmanager
def _sentences(spec: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise MissingExtraError(f"the language model '{spec}'", "hf") from error
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        lines = str(error).strip().splitlines()
        raise InputError(
            f"the language model '{spec}' cannot be loaded "
            f"({lines[0] if lines else type(error).__name__}): give a name on the hub, a folder "
            "with config.json and weights, or a .gguf file."
        ) from error


@torch.no_grad()
def _check_projection(loaded: LanguageModel) -> None:
    """Refuse a model whose logits are more than its last projection of what `hidden` gives."""
    ids = torch.arange(8, device=loaded.device).remainder(loaded.vocabulary).unsqueeze(0)
    wanted = loaded.model(input_ids=ids, use_cache=False).logits.float()
    given = nn.functional.linear(loaded.hidden(ids), loaded.weight, loaded.bias).float()
    spread = wanted.std().clamp_min(torch.finfo(torch.float32).tiny)
    tolerance = 10 * torch.finfo(loaded.weight.dtype).eps ** 0.5
    if not (wanted - given).abs().max() <= tolerance * spread:
        raise InputError(
            f"the logits of '{loaded.name}' are not its last projection of its hidden states (they "
            "are scaled or capped after it): name another causal language model."
        )
