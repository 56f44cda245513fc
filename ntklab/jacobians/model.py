"""Models as people have them: unwrapped, or refused with what to do instead."""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from torch.nn.utils.spectral_norm import SpectralNorm

from ntklab.errors import InputError, unknown, warn_caller


def unwrap(model: object) -> nn.Module:
    """The module that computes, without the shells that torch puts around one.

    `DataParallel`, `DistributedDataParallel` and the result of `torch.compile` are taken off, so
    that parameters have the names of the model inside.

    Raises:
        InputError: no module at all, or one that torch.func cannot take apart (scripted, traced).

    Example:
        >>> inner = nn.Linear(2, 1)
        >>> unwrap(nn.DataParallel(inner)) is inner
        True
    """
    while isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)) or (
        isinstance(model, nn.Module) and "_orig_mod" in model._modules
    ):
        model = model._orig_mod if "_orig_mod" in model._modules else model.module
    if isinstance(model, type) and issubclass(model, nn.Module):
        raise InputError(f"the model is the class {model.__name__}: give an instance of it.")
    if not isinstance(model, nn.Module):
        raise InputError(
            f"the model is of type {type(model).__name__}: give an nn.Module that holds the "
            "parameters (wrap a function in one, with the function as its forward)."
        )
    for name, part in model.named_modules():
        if isinstance(part, torch.jit.ScriptModule):
            where = f"its part '{name}'" if name else "it"
            raise InputError(
                f"the parameters of this model cannot be exchanged, since {where} was scripted or "
                "traced: give the module from which that was made."
            )
    return model


def warn_of_single_precision(params: Mapping[str, Tensor], names: Iterable[str]) -> None:
    """Warn where parameters to differentiate by are coarser than the model they stand in.

    peft makes some of its parameters float32 inside a float64 model: rows then look like float64
    and are good to float32.

    Args:
        params: all parameters of the model.
        names: those to differentiate by.
    """
    if len({p.dtype for p in params.values()}) == 1:
        return
    steps = {n: torch.finfo(p.dtype).eps for n, p in params.items() if p.is_floating_point()}
    coarse = [name for name in names if steps.get(name, 0) > min(steps.values())]
    if coarse and all(name in coarse for name in names):
        finest = params[min(steps, key=lambda name: steps[name])].dtype
        warn_caller(
            f"{len(coarse)} parameters (the first is '{coarse[0]}') are {params[coarse[0]].dtype} "
            f"inside a model of {finest}, so that the rows are no more precise than they: call "
            f"model.to({finest}) first."
        )


def check_mode(module: nn.Module) -> None:
    """Refuse what makes a sample's output depend on the batch, on chance or on earlier calls.

    Raises:
        InputError: the module's name, why, and what to do.
    """
    for name, part in module.named_modules():
        reason = _dependence(part)
        if reason is not None:
            where = f"'{name}' ({type(part).__name__})" if name else f"this {type(part).__name__}"
            raise InputError(f"{where} {reason}.")


def _dependence(part: nn.Module) -> str | None:
    if part.training and (source := _dependence_in_training(part)) is not None:
        return (
            f"is in training mode, where a sample's output depends on {source}: call model.eval() "
            "first"
        )
    if isinstance(part, nn.modules.batchnorm._BatchNorm) and part.running_mean is None:
        return (
            "keeps no running statistics, so a sample's output depends on the batch in every mode: "
            "use one with track_running_stats=True"
        )
    if isinstance(part, (nn.Embedding, nn.EmbeddingBag)) and part.max_norm is not None:
        return "rescales its weights at each call (max_norm): set max_norm = None"
    if isinstance(part, (nn.Embedding, nn.EmbeddingBag)) and part.scale_grad_by_freq:
        return (
            "divides its gradients by how often a token occurs, which is the derivative of no "
            "function: set scale_grad_by_freq = False"
        )
    return None


def _dependence_in_training(part: nn.Module) -> str | None:
    if isinstance(part, nn.modules.batchnorm._BatchNorm):
        return "the batch"
    chance = (
        (isinstance(part, nn.modules.dropout._DropoutNd) and part.p > 0)
        or (isinstance(part, (nn.RNNBase, nn.MultiheadAttention)) and part.dropout > 0)
        or isinstance(part, nn.RReLU)
    )
    if chance:
        return "chance"
    if isinstance(part, parametrizations._SpectralNorm) or any(
        isinstance(hook, SpectralNorm) for hook in part._forward_pre_hooks.values()
    ):
        return "earlier calls (each moves spectral_norm's vectors)"
    return None


def select_parameters(everything: Mapping[str, Tensor], params: Iterable[str] | None) -> list[str]:
    """Names of the parameters to differentiate by, in the module's order.

    Args:
        everything: all parameters of the model by name.
        params: names or patterns (`*`); all that require gradients if None.

    Raises:
        InputError: a name that fits none, no trainable parameter at all, or parameters by which
            there is no real Jacobian: complex, without values, or on several devices.
    """
    names = _matching(everything, params)
    if not names:
        raise InputError(
            "the model has no trainable parameters: set requires_grad on some, or name them in "
            "`params`."
        )
    for name in names:
        _check_parameter(name, everything[name])
    devices = sorted({str(everything[name].device) for name in names})
    if len(devices) > 1:
        raise InputError(
            f"the parameters lie on several devices ({', '.join(devices)}): move the model to "
            "one, or name parameters of one device in `params`."
        )
    return names


def _matching(everything: Mapping[str, Tensor], params: Iterable[str] | None) -> list[str]:
    if params is None:
        return [name for name, p in everything.items() if p.requires_grad]
    patterns = [params] if isinstance(params, str) else list(params)
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in everything):
            raise unknown("parameter", pattern, everything)
    return [n for n in everything if any(fnmatchcase(n, pattern) for pattern in patterns)]


def _check_parameter(name: str, parameter: Tensor) -> None:
    if isinstance(parameter, nn.parameter.UninitializedParameter):
        raise InputError(f"parameter '{name}' has no shape yet: run the model once before.")
    if parameter.is_meta:
        raise InputError(
            f"parameter '{name}' is on the meta device, without values: load the weights first "
            "(`to_empty`, then `load_state_dict`)."
        )
    if not parameter.is_floating_point():
        raise InputError(
            f"parameter '{name}' is {parameter.dtype}: kernels are of real parameters; keep a "
            "complex one as pairs of real numbers (torch.view_as_complex in forward), or leave it "
            "out of `params`."
        )
