"""Other libraries' kernels of the same heads, for `--peers`; imported nowhere else.

Each library is one function that turns a model and its inputs into a run. What a library cannot
express is not asked of it: nngeometry knows layers, not generated weights.
"""

import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from copy import deepcopy
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from ntklab.adapters import LoRA
from ntklab.bench.contender import Contender, Run, written_out


def peers() -> dict[str, Contender]:
    """Contenders by the module that they need."""
    return {
        "neural_tangents": Contender("neural-tangents", _neural_tangents, 2, _is_layers),
        "nngeometry": Contender("nngeometry", _nngeometry, 2, _is_layers),
        "curvlinops": Contender("curvlinops", _curvlinops, 2),
        "trak": Contender("TRAK", _trak),
    }


def installed_peers() -> list[Contender]:
    """Those whose library can be imported here."""
    return [contender for name, contender in peers().items() if why_absent(name) is None]


def why_absent(module: str) -> str | None:
    """Why a library cannot be raced, in a sentence; None if it can.

    Example:
        >>> why_absent("no_such_library")
        'no_such_library is not installed'
    """
    if find_spec(module) is None:
        return f"{module} is not installed"
    try:
        import_module(module)
    except Exception as error:  # an import of somebody else's may fail in any way
        return f"{module} is installed but cannot be imported ({str(error).splitlines()[0]})"
    return None


def layers_of(model: nn.Module) -> tuple[nn.Sequential, float]:
    """The model as linear layers, with the factor of its outputs: LoRA is two of them.

    Example:
        >>> from ntklab.adapters import build_adapter
        >>> layers, scale = layers_of(build_adapter("lora", 3, 2, rank=1))
        >>> [tuple(p.shape) for p in layers.parameters()], scale
        ([(1, 3), (2, 1)], 1.0)
    """
    if not isinstance(model, LoRA):
        assert isinstance(model, nn.Sequential)
        return deepcopy(model), 1.0
    d, rank, outputs = model.in_features, model.width, model.out_features
    layers = nn.Sequential(nn.Linear(d, rank, bias=False), nn.Linear(rank, outputs, bias=False))
    for layer, factor in zip(layers, (model.A, model.B), strict=True):
        assert isinstance(layer, nn.Linear)
        layer.weight = nn.Parameter(factor.detach().clone())
    return layers, model.scale


def _is_layers(model: nn.Module) -> bool:
    return isinstance(model, (LoRA, nn.Sequential))


def _nngeometry(model: nn.Module, x: Tensor) -> Run:
    """Its Gram matrix from layer inputs and output gradients; one batch, its fastest."""
    from nngeometry.gram import GramMatrix
    from torch.utils.data import DataLoader, TensorDataset

    layers, scale = layers_of(model)

    def run() -> Tensor:
        loader = DataLoader(TensorDataset(x.clone()), batch_size=len(x))
        gram = GramMatrix(layers, loader, function=lambda *batch: scale * layers(batch[0]))
        blocks = gram.to_torch()
        return blocks.permute(1, 0, 3, 2).reshape(blocks.shape[0] * len(x), -1)

    return run


def _curvlinops(model: nn.Module, x: Tensor) -> Run:
    """J (Jᵀ I) by its two linear operators."""
    from curvlinops import JacobianLinearOperator

    model = written_out(model)
    trained = [p for p in model.parameters() if p.requires_grad]

    def run() -> Tensor:
        data = [(x, torch.zeros(len(x)))]
        operator = JacobianLinearOperator(model, trained, data, check_deterministic=False)
        columns = torch.eye(operator.shape[0], dtype=x.dtype, device=x.device)
        return (operator @ (operator.adjoint() @ columns)).detach()

    return run


def _trak(model: nn.Module, x: Tensor) -> Run:
    """Its per-sample gradients, unprojected, once an output; the Gram matrix is ours."""
    model = written_out(model)
    return trak_gram(model, trak_gradients(model, x), x, like=x, chunk=32)


def trak_gradients(model: nn.Module, like: Tensor) -> Any:
    """TRAK's per-sample gradients of one output, which a batch of (samples, directions) names."""
    from trak.gradient_computers import FunctionalGradientComputer
    from trak.modelout_functions import AbstractModelOutput

    class OneOutput(AbstractModelOutput):
        @staticmethod
        def get_output(model: Any, weights: Any, buffers: Any, sample: Any, which: Any) -> Tensor:
            outputs = torch.func.functional_call(model, (weights, buffers), (sample.unsqueeze(0),))
            return outputs.squeeze(0) @ which

        def get_out_to_loss_grad(self, *_: Any) -> Tensor:
            raise NotImplementedError

    return FunctionalGradientComputer(model, OneOutput, None, like.dtype, like.device)


def trak_gram(model: nn.Module, gradients: Any, x: Tensor, *, like: Tensor, chunk: int) -> Run:
    """The Gram matrix of TRAK's gradients, `chunk` samples and one output at a time."""
    with torch.no_grad():
        outputs = model(x[:1]).shape[1]

    def run() -> Tensor:
        rows = []
        for which in torch.eye(outputs).to(like):
            parts = []
            for samples in x.split(chunk):
                batch = (samples, which.expand(len(samples), outputs))
                grads = gradients.compute_per_sample_grad(batch)
                parts.append(torch.cat([g.detach().flatten(1) for g in grads.values()], dim=1))
            rows.append(torch.cat(parts))
        jacobian = torch.stack(rows, dim=1).flatten(0, 1)
        return jacobian @ jacobian.T

    return run


def _neural_tangents(model: nn.Module, x: Tensor) -> Run:
    """The fastest of its engines on this machine, compiled, chosen on the first run."""
    import jax
    import neural_tangents as nt
    import numpy as np

    layers, scale = layers_of(model)
    weights = [np.asarray(p.detach().cpu()) for p in layers.parameters()]
    relu = any(isinstance(layer, nn.ReLU) for layer in layers)

    def apply(params: Any, inputs: Any) -> Any:
        hidden = inputs @ params[0].T
        return scale * ((jax.nn.relu(hidden) if relu else hidden) @ params[1].T)

    inputs = np.asarray(x.cpu())
    engines = [_compiled(jax, nt, apply, one) for one in nt.NtkImplementation]
    with redirect_stdout(sys.stderr):  # it prints while it compiles, and stdout is for results
        timed = {kernel: _seconds(kernel, inputs, weights) for kernel in engines}
    best = min(timed, key=lambda kernel: timed[kernel])

    def run() -> Tensor:
        with redirect_stdout(sys.stderr):
            blocks = torch.from_numpy(np.array(best(inputs, None, weights)))
        return blocks.permute(0, 2, 1, 3).reshape(len(x) * blocks.shape[2], -1)

    return run


def _compiled(jax: Any, nt: Any, apply: Any, implementation: Any) -> Callable[..., Any]:
    options = {"trace_axes": (), "vmap_axes": 0, "implementation": implementation}
    return jax.jit(nt.empirical_ntk_fn(apply, **options))


def _seconds(kernel: Callable[..., Any], inputs: Any, weights: Any) -> float:
    small = inputs[:64]
    kernel(small, None, weights).block_until_ready()
    start = time.perf_counter()
    kernel(small, None, weights).block_until_ready()
    return time.perf_counter() - start
