"""Whether a model with adapters stays linear in the weights of the layers that they adapt."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ntklab.adapters.adapter import Adapter
from ntklab.adapters.base_layer import is_conv1d
from ntklab.adapters.inject.recentred import Recentred


def linearization_in_weights(
    model: nn.Module, outputs: Callable[[], Float[Tensor, "n C"]]
) -> tuple[Float[Tensor, "n C"], Float[Tensor, "n C"]] | None:
    """f(W) and ∇_W f(W)·ΔW, for the plain weights W and what the adapters add to them now.

    The kernel regime of full fine-tuning asks that f(W + ΔW) − f(W) be ∇_W f(W)·ΔW. An adapter may
    be in it while its own kernel, over its own parameters, changes: for W + BA that kernel depends
    on A and B even where f is linear in W (arXiv 2402.11867 speaks of the former).

    Each adapted layer is made to give W x + s_i ΔW x for sample i. At s = 0 the gradient by s is
    the derivative along ΔW of all samples at once.

    Args:
        model: with injected adapters, or peft's, on linear layers.
        outputs: calls the model on the n samples; every adapted layer sees them along its first
            dimension.

    Returns:
        f(W) and the derivative, in the model's dtype, without graph; None if nothing is adapted,
        if some layer is not linear or its adapter is not (then there is no ΔW), or if a layer sees
        samples otherwise.

    Cost: one forward and C backward passes.

    Example:
        >>> from ntklab import inject
        >>> model = inject(nn.Sequential(nn.Linear(3, 2)), "lora", target_modules=["0"], rank=1)
        >>> x = torch.ones(4, 3)
        >>> plain, moved = linearization_in_weights(model, lambda: model(x))
        >>> torch.allclose(plain + moved, model(x), atol=1e-6)
        True
    """
    layers = list(_adapted(model))
    if not layers or any(plain is None for _, plain in layers):
        return None
    # One, made by the first layer that runs: it shows how many samples there are.
    shares: list[Tensor] = []
    fits = True

    def mixed(plain: nn.Module) -> Callable[..., Tensor]:
        def hook(layer: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
            nonlocal fits
            if not shares:
                shares.append(output.new_zeros(len(output)).requires_grad_(True))
            if len(output) != len(shares[0]):
                fits = False
                return output
            own = plain(args[0])
            share = shares[0].view(-1, *[1] * (output.ndim - 1))
            return own + share * (output - own)

        return hook

    with ExitStack() as stack, torch.enable_grad():
        for layer, plain in layers:
            assert plain is not None
            stack.callback(layer.register_forward_hook(mixed(plain)).remove)
        start = outputs()
    if not fits or len(shares[0]) != len(start):
        return None
    columns = [
        torch.autograd.grad(start[:, c].sum(), shares[0], retain_graph=True)[0]
        for c in range(start.shape[1])
    ]
    return start.detach(), torch.stack(columns, 1)


def _adapted(model: nn.Module) -> Iterator[tuple[nn.Module, nn.Module | None]]:
    """Each adapted layer and the plain layer in it; None where nothing is added to its weight."""
    for module in model.modules():
        plain = _plain(module)
        if plain is not None:
            linear = isinstance(plain, nn.Linear) or is_conv1d(plain)
            # TensorGuide with a ReLU between its factors adds a function, not a matrix.
            linear = linear and bool(getattr(module, "linear", True))
            yield module, plain if linear else None


def _plain(module: nn.Module) -> nn.Module | None:
    if isinstance(module, Adapter):
        base = module.base
        return base.layer if isinstance(base, Recentred) else base
    base = getattr(module, "base_layer", None)  # as peft has it
    return base if isinstance(base, nn.Module) else None
