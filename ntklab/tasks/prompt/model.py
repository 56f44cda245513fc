"""A causal or masked language model, asked for the logits of label words at one place."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ntklab.errors import InputError, MissingExtraError
from ntklab.tasks.wikitext.language_model import locate_model, quietly


@dataclass(frozen=True, eq=False)
class PromptModel:
    """A language model with its tokenizer.

    Attributes:
        name: what was asked for; of a path its last part.
        model: the transformers model, in evaluation mode, frozen.
        tokenizer: its tokenizer.
        masked: whether it fills masks instead of continuing a text.
    """

    name: str
    model: nn.Module
    tokenizer: Any
    masked: bool

    @property
    def most_tokens(self) -> int:
        """Tokens that the model takes."""
        config = self.model.config
        limits = (getattr(config, n, None) for n in ("max_position_embeddings", "n_positions"))
        return min([limit for limit in limits if isinstance(limit, int)], default=2048)


def load_prompt_model(
    spec: str | Path,
    *,
    tokenizer: str | Path | None = None,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    weights: bool = True,
) -> PromptModel:
    """A language model by name, folder or GGUF; its configuration says which kind it is.

    Attention is torch's plain one where the model has a choice (`eager`), which any derivative
    engine can trace.

    Args:
        spec: a Hugging Face name, a folder, or a .gguf file.
        tokenizer: name or folder; the model's own if None.
        device: where to compute.
        dtype: of the weights.
        weights: False leaves them out: the model's parts stand on torch's `meta` device.

    Raises:
        MissingExtraError: transformers (for GGUF also gguf and accelerate) is not installed.
        InputError: the model cannot be loaded, or is neither causal nor masked.
    """
    try:
        import transformers
    except ImportError as error:
        raise MissingExtraError(f"the language model '{spec}'", "hf") from error
    place, options = locate_model(str(spec))
    try:
        config = transformers.AutoConfig.from_pretrained(place, **options)
        masked = _is_masked(str(spec), config)
        kind = transformers.AutoModelForMaskedLM if masked else transformers.AutoModelForCausalLM
        words = {"dtype": dtype, "attn_implementation": "eager"}
        with quietly(transformers):
            if weights:
                model: Any = kind.from_pretrained(place, **words, **options)
            else:
                with torch.device("meta"):
                    model = kind.from_config(config, **words)
        own = (place, options) if tokenizer is None else (str(tokenizer), {})
        made = transformers.AutoTokenizer.from_pretrained(own[0], **own[1])
    except ImportError as error:
        raise MissingExtraError(f"the language model '{spec}'", "hf") from error
    except InputError:
        raise
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        line = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise InputError(f"the language model '{spec}' cannot be loaded: {line}") from error
    name = Path(spec).name if Path(spec).exists() else str(spec)
    model = model.to(device) if weights else model
    return PromptModel(name, model.eval().requires_grad_(False), made, masked)


def _is_masked(spec: str, config: Any) -> bool:
    if getattr(config, "is_encoder_decoder", False):
        raise InputError(
            f"'{spec}' is an encoder-decoder, which needs decoder inputs that a prompt does not "
            "give: name a causal or a masked language model."
        )
    names = config.architectures or ()
    if any(name.endswith("ForMaskedLM") for name in names):
        return True
    causal = ("ForCausalLM", "LMHeadModel")
    if names and not any(name.endswith(causal) for name in names):
        raise InputError(
            f"'{spec}' is {names[0]}, which has no head for words: name a causal or a masked "
            "language model."
        )
    return False


class WordLogits(nn.Module):
    """Logits of the label words at one place of every prompt: (n, C).

    Called with keyword arguments: `input_ids` (n, T), `places` (n,), for a masked model `lengths`
    (n,), and where the lower blocks are frozen `states` (n, T, d), which enter block `first` in
    the place of what the blocks below would give.

    Attributes:
        model: the whole language model, under whose names the parameters stand.
        words: tokens of the label words, shape (C,).
        masked: whether attention looks ahead, and so must not see the padding.
        first: the lowest block that is run when `states` are given.
        narrowed: the last block's layer that takes every place by itself, and so is shown the one
            place that is read; None shows it all (see `ntklab.tasks.prompt.top_of`).
    """

    words: Tensor

    def __init__(
        self, model: nn.Module, words: Int[Tensor, " C"], *, masked: bool, first: int = 0
    ) -> None:
        super().__init__()
        self.model, self.masked, self.first = model, masked, first
        self.register_buffer("words", words, persistent=False)
        self.blocks_name, self.base_name = blocks_of(model)
        self.narrowed: str | None = None

    def forward(
        self,
        input_ids: Int[Tensor, "n T"],
        places: Int[Tensor, " n"],
        lengths: Int[Tensor, " n"] | None = None,
        states: Float[Tensor, "n T d"] | None = None,
    ) -> Float[Tensor, "n C"]:
        """The logits of the label words."""
        given = {"input_ids": input_ids, "use_cache": False}
        if self.masked:
            assert lengths is not None
            given["attention_mask"] = self._mask(input_ids, lengths)
            del given["use_cache"]
        with self._only_at(places), self._entering(states):
            logits = self.model(**given).logits
        return logits.squeeze(1).index_select(1, self.words)

    @torch.no_grad()
    def states(
        self, input_ids: Int[Tensor, "n T"], lengths: Int[Tensor, " n"]
    ) -> Float[Tensor, "n T d"]:
        """The hidden states that enter block `first`."""
        caught: list[Tensor] = []

        def catch(block: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            caught.append(args[0] if args else kwargs["hidden_states"])
            raise _CaughtError

        block = self._blocks()[self.first]
        hook = block.register_forward_pre_hook(catch, with_kwargs=True)
        base = self.model.get_submodule(self.base_name)
        try:
            mask = {"attention_mask": self._mask(input_ids, lengths)} if self.masked else {}
            base(input_ids=input_ids, **mask)
        except _CaughtError:
            pass
        finally:
            hook.remove()
        return caught[0]

    @property
    def block_count(self) -> int:
        """Blocks of the whole model."""
        return len(self._blocks())

    def _blocks(self) -> nn.ModuleList:
        blocks = self.model.get_submodule(self.blocks_name)
        assert isinstance(blocks, nn.ModuleList)
        return blocks

    def _mask(self, ids: Tensor, lengths: Tensor) -> Float[Tensor, "n 1 T T"]:
        """0 for tokens, very negative for padding: whole, so that nothing is derived from it."""
        count = ids.shape[1]
        seen = torch.arange(count, device=ids.device) < lengths[:, None]
        dtype = next(self.model.parameters()).dtype
        low = torch.full((), torch.finfo(dtype).min, dtype=dtype, device=ids.device)
        mask = torch.where(seen, torch.zeros_like(low), low)
        return mask[:, None, None, :].expand(-1, 1, count, count)

    @contextmanager
    def _only_at(self, places: Tensor) -> Iterator[None]:
        """The head is shown one place a prompt, since nothing else of its output is used.

        So is the layer `narrowed`. What it returns, (n, 1, d), is added to the states of all
        places: right at the one that is read.
        """

        def at_place(states: Tensor) -> Tensor:
            index = places[:, None, None].expand(-1, 1, states.shape[2])
            return states.gather(1, index)

        def gather(module: nn.Module, args: Any, output: Any) -> Any:
            output.last_hidden_state = at_place(output.last_hidden_state)
            return output

        def narrow(module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
            return at_place(args[0]), *args[1:]

        hooks = [self.model.get_submodule(self.base_name).register_forward_hook(gather)]
        if self.narrowed is not None:
            layer = self.model.get_submodule(self.narrowed)
            hooks.append(layer.register_forward_pre_hook(narrow))
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    @contextmanager
    def _entering(self, states: Tensor | None) -> Iterator[None]:
        """The blocks below `first` left out, and `states` at the door of that block."""
        if states is None:
            yield
            return
        parent, _, leaf = self.blocks_name.rpartition(".")
        holder, blocks = self.model.get_submodule(parent), self._blocks()

        def enter(block: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            if args:
                return (states, *args[1:]), kwargs
            return args, {**kwargs, "hidden_states": states}

        hook = blocks[self.first].register_forward_pre_hook(enter, with_kwargs=True)
        holder._modules[leaf] = nn.ModuleList(list(blocks)[self.first :])
        try:
            yield
        finally:
            hook.remove()
            holder._modules[leaf] = blocks


class _CaughtError(Exception):
    """Ends a forward pass whose rest nobody needs."""


def blocks_of(model: nn.Module) -> tuple[str, str]:
    """Names of the list of blocks and of the model without its head.

    Raises:
        InputError: a model without one list of blocks.
    """
    base = getattr(model, "base_model", None)
    names = {module: name for name, module in model.named_modules()}
    if base is None or base is model or base not in names:
        raise InputError(f"{type(model).__name__} has no body under its head: name another model.")
    lists = [
        (name, len(part))
        for name, part in base.named_modules(prefix=names[base])
        if isinstance(part, nn.ModuleList)
    ]
    if not lists:
        raise InputError(f"{type(model).__name__} has no list of blocks: name another model.")
    return max(lists, key=lambda pair: pair[1])[0], names[base]
