"""Every method of the panel, put into the upper part of a language model."""

from typing import Any

from torch import nn

from ntklab.adapters.inject import inject
from ntklab.adapters.inject.peft import inject_peft
from ntklab.experiments.training.prompt.config import FULL, PREFIX, PROBE, PromptConfig
from ntklab.tasks.prompt import WordLogits, head_name, top_of


def build_model(config: PromptConfig, model: WordLogits) -> WordLogits:
    """The upper part of a model with a method in it; what is trained requires gradients.

    Args:
        config: method, sizes, layers and start.
        model: the whole model; left as it is.

    Raises:
        InputError: for layers, targets or sizes that do not fit.
    """
    top, method = top_of(model), config.adapter.method
    if method == FULL:
        for number, block in enumerate(_blocks(top).children()):
            block.requires_grad_(number >= top.first)
        return top
    if method == PROBE:
        inject(top.model, PROBE, target_modules=[head_name(top)], start="zero")
        return top
    targets = targets_of(config, top.model)
    place: dict[str, Any] = {"target_modules": targets, "layers": config.layers}
    seed, sizes = config.compute.seed, config.adapter.sizes
    if method.startswith(PREFIX):
        ranks = {"r": sizes["rank"]} if "rank" in sizes else {}
        inject_peft(top.model, method, **place, seed=seed, **ranks)
        return top
    scale = config.adapter.scale
    options: dict[str, Any] = {"start": config.start, "scale": scale, "share": config.shared}
    inject(top.model, method, **place, seed=seed, **options, **sizes)
    return top


def targets_of(config: PromptConfig, model: nn.Module) -> list[str] | str:
    """Names of the adapted layers: as asked for, or what peft takes for LoRA there."""
    own = _QUERY_AND_VALUE.get(str(model.config.model_type), _ALL)  # type: ignore[union-attr]
    chosen = own if config.targets is None else config.targets
    return _ALL if chosen == _ALL else [name.strip() for name in chosen.split(",")]


_ALL = "all-linear"

# peft's choices for LoRA by architecture, written out so that its version does not decide.
_QUERY_AND_VALUE: dict[str, str] = {
    **dict.fromkeys(("llama", "mistral", "qwen2", "qwen3", "gemma", "opt"), "q_proj,v_proj"),
    **dict.fromkeys(("bert", "roberta", "electra"), "query,value"),
    **dict.fromkeys(("gpt_neox", "bloom", "falcon"), "query_key_value"),
    **{"gpt2": "c_attn", "distilbert": "q_lin,v_lin"},
}


def _blocks(top: WordLogits) -> nn.Module:
    return top.model.get_submodule(top.blocks_name)
