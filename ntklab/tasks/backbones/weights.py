"""Reading weights from files without ever running code that a file brings along."""

import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ntklab.errors import InputError

_UNREADABLE = (SafetensorError, OSError, RuntimeError, ValueError, EOFError, KeyError)


def _reason(error: Exception) -> str:
    if isinstance(error, pickle.UnpicklingError):
        # torch's own message advises weights_only=False, which would run the file's code.
        return "not a pickle of plain tensors"
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


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
    except (*_UNREADABLE, pickle.UnpicklingError) as error:
        raise InputError(
            f"'{path}' cannot be read as weights ({_reason(error)}): give a safetensors file, or "
            "a state dict of plain tensors saved by torch.save."
        ) from error
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise InputError(
            f"'{path}' holds a {type(state).__name__} that is not a dict of tensors by name: "
            "save model.state_dict() and give that file."
        )
    return state
