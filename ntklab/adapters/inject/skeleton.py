"""A transformers model without its weights: names and shapes of layers, at no cost."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from ntklab.errors import InputError, MissingExtraError
from ntklab.tasks.wikitext.language_model import locate_model


def model_skeleton(spec: str | Path) -> nn.Module:
    """The layers of a model on torch's `meta` device, from its configuration alone.

    Args:
        spec: a Hugging Face name, a folder with config.json or one .gguf file, or a .gguf file.

    Raises:
        MissingExtraError: transformers (for GGUF also gguf) is not installed.
        InputError: no such model, or a configuration that names no model.
    """
    try:
        import transformers
    except ImportError as error:
        raise MissingExtraError(f"the model '{spec}'", "hf") from error
    place, options = locate_model(str(spec))
    try:
        config = transformers.AutoConfig.from_pretrained(place, **options)
        with torch.device("meta"):
            return _class_of(transformers, config)(config).eval()
    except ImportError as error:
        raise MissingExtraError(f"the model '{spec}'", "hf") from error
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        line = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise InputError(
            f"the model '{spec}' has no configuration that can be read ({line}): give a name on "
            "the Hugging Face hub, a folder or a .gguf file."
        ) from error


def _class_of(transformers: Any, config: Any) -> Any:
    """The model's own class, with the head that it was trained with."""
    for name in config.architectures or ():
        if (kind := getattr(transformers, name, None)) is not None:
            return kind
    return transformers.AutoModel.from_config
