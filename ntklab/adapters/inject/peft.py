"""Methods of peft on a model's layers, with the same words as `inject`.

Any `PeftModel` is a module like another: `ntklab.jacobian` takes it as it is. What stands here
builds one from a method's name, with sizes that fit the chosen layers, and says why where a
method has no kernel of this kind.
"""

import warnings
from collections.abc import Iterable
from dataclasses import fields
from math import gcd
from typing import Any

import torch
from torch import nn

from ntklab.adapters.inject.targets import Layers, Target, block_of, select_targets
from ntklab.errors import InputError, MissingExtraError, unknown

#: Not a method of its own in peft, but an option of another.
_OPTIONS = {"dora": ("LORA", {"use_dora": True})}

#: Methods that `inject_peft` does not build, each with its reason.
REFUSED = {
    "xlora": "mixes LoRA adapters that are trained already, which you load: build the PeftModel "
    "yourself",
    "shadow": "hands objects of its own, not tensors, from layer to layer",
    "lily": "averages its routing over the batch, so that a sample's outputs depend on the others "
    "and no kernel of pairs of samples exists",
    "mixed": "is no method but several: build the PeftModel yourself",
}

# Options by which methods draw what they freeze, whatever torch's generator says.
_SEEDS = ("projection_prng_key", "random_loc_seed", "random_seed", "projection_seed", "proj_seed")

# Methods that are not placed in the chosen linear layers: prompts, norms, tokens.
_BESIDE = {
    "prompt-tuning",
    "multitask-prompt-tuning",
    "p-tuning",
    "prefix-tuning",
    "cpt",
    "cartridge",
    "adaption-prompt",
}


def peft_methods() -> tuple[str, ...]:
    """The names that `inject_peft` knows: peft's own, in lower case with dashes, and `dora`.

    Raises:
        MissingExtraError: peft is not installed.
    """
    words = (kind.value.lower().replace("_", "-") for kind in _peft().PeftType)
    # "ntklab" is there once `peft_tuner` has registered our own adapters.
    return tuple(sorted({*words, *_OPTIONS} - REFUSED.keys() - {"ntklab"}))


def inject_peft(
    model: nn.Module,
    method: str,
    *,
    target_modules: str | Iterable[str],
    layers: Layers | None = None,
    seed: int = 0,
    **options: Any,
) -> nn.Module:
    """A `PeftModel` around a model, by a method's name.

    Sizes that a method needs and nobody gives are the largest that fit the chosen layers and stay
    small. Everything trainable is cast to the model's dtype: peft makes some parameters float32
    inside a float64 model.

    Args:
        model: a transformers model; peft changes it in place.
        method: a name of `peft_methods`, with or without `peft:` in front.
        target_modules: as for `inject`; prompt methods do without, `ln-tuning` takes the
            normalizations of the chosen layers.
        layers: as for `inject`.
        seed: of the draws.
        **options: of peft's own configuration, which win.

    Returns:
        The `PeftModel`, in the mode (training or evaluation) that the model was in.

    Raises:
        MissingExtraError: peft is not installed.
        InputError: an unknown method, one that is refused, or what peft says of the options.
    """
    peft, name = _peft(), method.removeprefix("peft:")
    if name in REFUSED:
        raise InputError(f"peft's method '{name}' {REFUSED[name]}.")
    if name not in peft_methods():
        raise unknown("peft method", name, peft_methods())
    word, extra = _OPTIONS.get(name, (name.upper().replace("-", "_"), {}))
    config_class = peft.mapping.PEFT_TYPE_TO_CONFIG_MAPPING[peft.PeftType(word)]
    targets = select_targets(model, target_modules, layers)
    known = {field.name for field in fields(config_class)}
    chosen = {key: value for key, value in _sizes(name, targets).items() if key in known}
    placed = _placed(model, name, targets)
    draws = {key: seed for key in _SEEDS if key in known}
    asked = {"task_type": _task(model), **placed, **chosen, **draws, **extra, **options}
    mode, dtype = model.training, next(p.dtype for p in model.parameters())
    try:
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            # transformers warns of names that peft still reads.
            warnings.simplefilter("ignore", FutureWarning)
            torch.manual_seed(seed)
            wrapped = _wrapped(peft, model, name, config_class(**asked), dtype)
    except ImportError as error:
        raise InputError(
            f"peft's method '{name}' needs another package: {_first(error)}"
        ) from error
    except (ValueError, TypeError, RuntimeError, AttributeError, NotImplementedError) as error:
        raise InputError(f"peft's method '{name}' refuses: {_first(error)}") from error
    return wrapped.train(mode)


def _wrapped(peft: Any, model: nn.Module, name: str, config: Any, dtype: torch.dtype) -> nn.Module:
    if name == "psoft" and dtype == torch.float64:
        model.float()  # it starts from an SVD that it does in single precision only
    wrapped: nn.Module = peft.get_peft_model(model, config)
    return wrapped.to(dtype)


def _placed(model: nn.Module, name: str, targets: list[Target]) -> dict[str, Any]:
    """Where the method goes."""
    if name in _BESIDE:
        return {}
    if name == "trainable-tokens":
        return {"token_indices": [0, 1]}
    if name == "ln-tuning":
        blocks = {target.index for target in targets}
        return {"target_modules": _norms(model, blocks)}
    placed: dict[str, Any] = {"target_modules": [target.name for target in targets]}
    return placed | ({"feedforward_modules": []} if name == "ia3" else {})


def _norms(model: nn.Module, blocks: set[int | None]) -> list[str]:
    return [
        name
        for name, module in model.named_modules()
        if "norm" in type(module).__name__.lower() and block_of(model, name) in blocks
    ]


def _sizes(name: str, targets: list[Target]) -> dict[str, Any]:
    """Sizes of the method's configuration that fit the layers; the caller keeps those it has."""
    common = 0
    for target in targets:
        common = gcd(common, target.in_features, target.out_features)
    block = max((b for b in (2, 4, 8, 16, 32) if common % b == 0), default=1)
    entries = min((t.in_features * t.out_features for t in targets), default=64)
    frequencies = {"n_frequency": min(64, entries)}
    own: dict[str, dict[str, Any]] = {
        "adalora": {"init_r": 4, "total_step": 1},
        "oft": {"oft_block_size": block},
        "boft": {"boft_block_size": block},
        "c3a": {"block_size": block},
        "vblora": {"vector_length": block, "num_vectors": 32, "topk": 2, "r": 4},
        "road": {"group_size": block},
        "fourierft": frequencies,
        "waveft": frequencies,
        "poly": {"n_tasks": 1, "n_skills": 2, "n_splits": 1, "r": 4},
        "multitask-prompt-tuning": {"num_tasks": 1},
        "adaption-prompt": {"adapter_len": 4, "adapter_layers": 1},
        "cpt": {
            "cpt_token_ids": [0, 1, 2, 3],
            "cpt_mask": [1] * 4,
            "cpt_tokens_type_mask": [1] * 4,
        },
    }
    ranks = {} if name == "oft" else {"r": 4}  # oft takes a block size or a rank, not both
    return {**ranks, "num_virtual_tokens": 4, **own.get(name, {})}


def _task(model: nn.Module) -> str | None:
    name = type(model).__name__
    endings = {
        ("ForCausalLM", "LMHeadModel"): "CAUSAL_LM",
        ("ForSequenceClassification",): "SEQ_CLS",
        ("ForTokenClassification",): "TOKEN_CLS",
        ("ForConditionalGeneration",): "SEQ_2_SEQ_LM",
    }
    return next((task for ends, task in endings.items() if name.endswith(ends)), None)


def _first(error: Exception) -> str:
    line = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return line if line.endswith(".") else f"{line}."


def _peft() -> Any:
    try:
        import peft
    except ImportError as error:
        raise MissingExtraError("a method of peft", "hf") from error
    return peft
