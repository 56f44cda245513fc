"""Reading weights from files without ever running code that a file brings along."""

import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ntklab.errors import InputError


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Read a state dict from a safetensors file or one saved by ``torch.save``.

    Args:
        path: The file; ``.safetensors`` in its name says which of the two it is.

    Returns:
        Tensors by name, on the CPU.

    Raises:
        InputError: If the file is missing, unreadable, needs unpickling of code, or holds
            something other than tensors by name.
    """
    if not path.is_file():
        raise InputError(f"'{path}' is not a file: give a safetensors file or a torch state dict.")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (
        SafetensorError,
        pickle.UnpicklingError,
        OSError,
        RuntimeError,
        ValueError,
        EOFError,
        KeyError,
    ) as error:
        # torch's messages run over many lines and advise weights_only=False: never that here.
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"'{path}' cannot be read as weights ({reason}): give a safetensors file, or a state "
            "dict of plain tensors saved by torch.save."
        ) from error
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise InputError(
            f"'{path}' holds a {type(state).__name__} that is not a dict of tensors by name: "
            "save model.state_dict() and give that file."
        )
    return state
