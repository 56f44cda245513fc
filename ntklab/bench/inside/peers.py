"""Other ways to the kernels of the cases inside models, for `--peers`: what others publish.

Each is a function of a module that reads C numbers a sample, and its inputs. Where a library takes
gradients by all weights and throws most of them away (TRAK), it is given the trained ones alone:
what is raced is its way, not the default of an argument. A language model's logits are read as a
user of these ways reads them, from those of all positions; `tutorial-narrowed` borrows our readout,
whose last projection sees one position, and so shows what is owed to the readout alone.
"""

import resource
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ntklab.bench.peers import trak_gradients, trak_gram, why_absent
from ntklab.bench.tutorial import jacobian_contraction
from ntklab.jacobians import TokenLogits

#: Samples differentiated at a time by those who hold rows; more is no faster on a CPU.
CHUNK = 8

#: The tutorial's way with this library's readout.
NARROWED = "tutorial-narrowed"

Run = Callable[[], Tensor]

_STATUS = Path("/proc/self/status")


class ReadOut(nn.Module):
    """A model and its readout as one module: (n, …) to (n, C).

    Args:
        model: of tensors, or a language model.
        readout: of the language model; None reads all outputs.
        narrowed: whether the last projection sees only the position that is read.

    Example:
        >>> import torch
        >>> ReadOut(nn.Linear(3, 2), None)(torch.ones(4, 3)).shape
        torch.Size([4, 2])
    """

    def __init__(
        self, model: nn.Module, readout: TokenLogits | None, *, narrowed: bool = False
    ) -> None:
        super().__init__()
        self.model, self.readout, self.narrowed = model, readout, narrowed

    def forward(self, x: Tensor) -> Tensor:
        """The C numbers of every sample; of a language model x is token ids."""
        if self.readout is None:
            outputs: Tensor = self.model(x)
            return outputs
        given = {"input_ids": x}
        if self.narrowed:
            return self.readout.read(self.model, lambda: self._logits(given), given)
        return self.readout.of(self._logits(given), given)

    def _logits(self, given: dict[str, Tensor]) -> Any:
        return self.model(**given, use_cache=False)


def model_peers() -> dict[str, tuple[str | None, Callable[[ReadOut, Tensor], Run]]]:
    """By name: the module that a peer needs, if any, and what makes its run."""
    return {
        "tutorial": (None, _tutorial),
        NARROWED: (None, _tutorial),
        "TRAK": ("trak", _trak),
        "nngeometry": ("nngeometry", _nngeometry),
    }


def absent(name: str) -> str | None:
    """Why a peer cannot be raced, in a sentence; None if it can.

    Example:
        >>> absent("tutorial") is None
        True
    """
    module = model_peers()[name][0]
    return None if module is None else why_absent(module)


def peer_run(name: str, model: nn.Module, x: Any, readout: TokenLogits | None) -> Run:
    """The run of a peer on a case's model and inputs."""
    inputs = x["input_ids"] if isinstance(x, dict) else x
    whole = ReadOut(model, readout, narrowed=name == NARROWED).eval()
    return model_peers()[name][1](whole, inputs)


def limit_memory(more: int) -> None:
    """From here on this process may take so many bytes more; beyond, torch says what it wanted.

    Linux counts what a process writes to (RLIMIT_DATA); elsewhere nothing is limited.

    Args:
        more: bytes above what is held now.
    """
    if not _STATUS.exists():
        return
    for line in _STATUS.read_text().splitlines():
        if line.startswith("VmData:"):
            held = int(line.split()[1]) * 1024
            resource.setrlimit(resource.RLIMIT_DATA, (held + more, resource.RLIM_INFINITY))


def _tutorial(model: ReadOut, x: Tensor) -> Run:
    return partial(jacobian_contraction, model, x, chunk=CHUNK)


def _trak(model: ReadOut, x: Tensor) -> Run:
    """Its per-sample gradients, unprojected, once an output; the product is ours."""
    like = next(p for p in model.parameters() if p.requires_grad)
    gradients = trak_gradients(model, like)
    frozen = {n: p for n, p in model.named_parameters() if not p.requires_grad}
    gradients.func_weights = {n: p for n, p in model.named_parameters() if p.requires_grad}
    gradients.func_buffers |= frozen
    return trak_gram(model, gradients, x, like=like, chunk=CHUNK)


def _nngeometry(model: ReadOut, x: Tensor) -> Run:
    """Its Gram matrix from layer inputs and output gradients, over the trained layers it knows."""
    from nngeometry.gram import GramMatrix
    from nngeometry.layercollection import LayerCollection
    from torch.utils.data import DataLoader, TensorDataset

    layers = LayerCollection()
    for part in model.modules():
        own = [p for p in part.parameters(recurse=False) if p.requires_grad]
        if own:
            layers.add_layer_from_model(model, part)

    def run() -> Tensor:
        loader = DataLoader(TensorDataset(x), batch_size=len(x))
        gram = GramMatrix(
            model, loader, function=lambda *batch: model(batch[0]), layer_collection=layers
        )
        blocks = gram.to_torch()
        return blocks.permute(1, 0, 3, 2).reshape(blocks.shape[0] * len(x), -1)

    return run
