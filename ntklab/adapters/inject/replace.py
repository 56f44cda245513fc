"""Putting adapters in the place of a model's linear layers, and taking them out again."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn

from ntklab.adapters.adapter import Adapter
from ntklab.adapters.base_layer import layer_sizes
from ntklab.adapters.build import build_adapter
from ntklab.adapters.inject.recentred import Recentred
from ntklab.adapters.inject.targets import Layers, Target, select_targets
from ntklab.adapters.spec import STARTS
from ntklab.display import ShortRepr
from ntklab.errors import InputError, unknown

_RECORD = "ntklab_injection"


@dataclass(eq=False, repr=False)
class Injection(ShortRepr):
    """The adapters in a model, kept on it as the attribute `ntklab_injection`.

    Attributes:
        method: the adapters' registry name.
        start: `ntk`, `released` or `zero`.
        seed: of the draws.
        scale: factor of the adapted parts; None for the preset's.
        share: whether layers of one shape share what is frozen (TeRA).
        sizes: as they were given.
        places: every adapter's first name, and all names of the layer it replaced.
        trainable: the parameters that were trainable before.
        merged: the adapters and the weights they were folded into, by first name, while merged.
    """

    method: str
    start: str
    seed: int
    scale: float | None
    share: bool
    sizes: dict[str, Any]
    places: dict[str, tuple[str, ...]]
    trainable: tuple[str, ...] = ()
    merged: dict[str, tuple[Adapter, Tensor]] = field(default_factory=dict)


def inject(
    model: nn.Module,
    method: str | type[Adapter],
    *,
    target_modules: str | Iterable[str],
    layers: Layers | None = None,
    start: str = "ntk",
    seed: int = 0,
    scale: float | None = None,
    share: bool = True,
    **sizes: Any,
) -> nn.Module:
    """Replace linear layers of a model by adapters that hold them as their frozen base.

    The model is changed in place: afterwards only the adapters are trainable. Each layer draws
    from `seed` and its own name, so its adapter does not depend on which other layers have one.
    TeRA's frozen core and factors are shared by all layers of equal shape; the first of them
    keeps them in its state.

    `start="zero"` sets ΔW = 0, so that the model's outputs are what they were:

    - LoRA: B = 0; TT-LoRA: the largest core of W2; TT-delta: the largest core; TeRA: the longest
      v_k; the linear probe: W. Only what was set to zero has a gradient at first (all of it).
    - TensorGuide generates both factors from one train, so a zero core would make the gradient
      zero as well; there the start is subtracted, base(x) + s (g(θ, x) − g(θ₀, x)). So it is for
      every adapter that has no factor of its own to set to zero.

    Args:
        model: any module with linear layers, such as a transformers model.
        method: a name of `METHODS`, or an adapter class of your own.
        target_modules: peft's words, see `select_targets`.
        layers: which blocks, such as `-6:`; all if None.
        start: `ntk` or `released` (presets of the adapters), or `zero`.
        seed: of the draws.
        scale: factor of the adapted parts; the preset's if None.
        share: whether TeRA's frozen tensors are those of the first layer of equal shape, or drawn
            for every layer by its own name.
        **sizes: width, rank, in_dims, out_dims, tt_ranks, budget, activation, as
            `build_adapter` takes them.

    Returns:
        The model itself.

    Raises:
        InputError: an unknown method, start, target or layer; a target that is no linear layer or
            has quantized weights; sizes that do not fit, naming the layer; a model that holds
            adapters already.

    Example:
        >>> model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> before = model(torch.ones(1, 6))
        >>> _ = inject(model, "lora", target_modules=["0"], start="zero", rank=2)
        >>> [name for name, p in model.named_parameters() if p.requires_grad]
        ['0.A', '0.B']
        >>> torch.equal(model(torch.ones(1, 6)), before)
        True
    """
    if start not in STARTS:
        raise unknown("start", start, STARTS)
    if injection_of(model) is not None:
        raise InputError("the model holds injected adapters already: remove() them first.")
    targets = select_targets(model, target_modules, layers)
    trainable = tuple(name for name, p in model.named_parameters() if p.requires_grad)
    try:
        adapters = _build(targets, method, start, seed, scale, sizes, share=share)
    except Exception:
        _thaw(model, trainable)  # building froze the layers that it reached
        raise
    model.requires_grad_(False)
    for target in targets:
        adapter = adapters[target.name]
        _thaw(adapter, [n for n, _ in adapter.named_parameters() if not n.startswith("base.")])
        _put(model, target.places, adapter)
    places = {target.name: target.places for target in targets}
    word = method if isinstance(method, str) else method.method
    setattr(model, _RECORD, Injection(word, start, seed, scale, share, sizes, places, trainable))
    return model


def injection_of(model: nn.Module) -> Injection | None:
    """The adapters that `inject` put into a model, or None."""
    record = getattr(model, _RECORD, None)
    return record if isinstance(record, Injection) else None


def adapters_in(model: nn.Module) -> dict[str, Adapter]:
    """The injected adapters by the names of the layers they replace, in the model's order.

    Raises:
        InputError: the model holds none, or they are merged.
    """
    record = _record(model)
    if record.merged:
        raise InputError("the adapters are merged into the weights: unmerge() them first.")
    return {name: model.get_submodule(name) for name in record.places}  # type: ignore[misc]


@torch.no_grad()
def merge(model: nn.Module) -> nn.Module:
    """Fold every ΔW into its base weight and put the plain layers back in their places.

    The merged model needs none of this library's code and saves as it would have before. The
    weights from before are kept beside it until `unmerge` puts them back, equal bit for bit.

    Returns:
        The model itself.

    Raises:
        InputError: no adapters, merged already, an adapter that is not linear in its input
            (TensorGuide with a ReLU), or a base weight that is tied with another layer's.

    Cost: d C multiply-adds and numbers a layer.

    Example:
        >>> model = inject(nn.Sequential(nn.Linear(6, 2)), "lora", target_modules=["0"], rank=2)
        >>> list(merge(model).state_dict())
        ['0.weight', '0.bias']
    """
    adapters = adapters_in(model)
    for name, adapter in adapters.items():
        _check_mergeable(model, name, adapter)
    record = _record(model)
    for name, adapter in adapters.items():
        layer = _plain(adapter)
        record.merged[name] = (adapter, layer.weight.detach().clone())
        layer.weight.copy_(_merged_weight(adapter, layer))
        _put(model, record.places[name], layer)
    return model


@torch.no_grad()
def unmerge(model: nn.Module) -> nn.Module:
    """Undo `merge`: the weights from before, bit for bit, under the same adapters.

    Returns:
        The model itself.

    Raises:
        InputError: nothing is merged.
    """
    record = _record(model)
    if not record.merged:
        raise InputError("no adapters are merged into this model: nothing to undo.")
    for name, (adapter, weight) in record.merged.items():
        layer = _plain(adapter)
        layer.weight.copy_(weight)
        adapter.to(layer.weight)  # the model may have been moved or cast since
        _put(model, record.places[name], adapter)
    record.merged = {}
    return model


def remove(model: nn.Module) -> nn.Module:
    """Take the adapters out: the plain layers, their weights and who was trainable, as before.

    Returns:
        The model itself.

    Raises:
        InputError: the model holds no injected adapters.
    """
    record = _record(model)
    if record.merged:
        unmerge(model)
    for name, adapter in adapters_in(model).items():
        _put(model, record.places[name], _plain(adapter))
    _thaw(model, record.trainable)
    delattr(model, _RECORD)
    return model


def _record(model: nn.Module) -> Injection:
    if (record := injection_of(model)) is None:
        raise InputError("the model holds no injected adapters: inject() some first.")
    return record


def _build(
    targets: list[Target],
    method: str | type[Adapter],
    start: str,
    seed: int,
    scale: float | None,
    sizes: Mapping[str, Any],
    *,
    share: bool,
) -> dict[str, Adapter]:
    adapters: dict[str, Adapter] = {}
    owners: dict[tuple[object, ...], Adapter] = {}
    for target in targets:
        adapter = build_layer_adapter(
            target.layer, target.name, method, start=start, seed=seed, scale=scale, **sizes
        )
        if share and adapter.sharing_key is not None:
            key = (*adapter.sharing_key, target.layer.weight.dtype)
            owner = owners.setdefault(key, adapter)
            if owner is not adapter:
                adapter.share(owner)
        adapters[target.name] = adapter
    return adapters


def build_layer_adapter(
    layer: nn.Linear,
    name: str,
    method: str | type[Adapter],
    *,
    start: str = "ntk",
    seed: int = 0,
    scale: float | None = None,
    **sizes: Any,
) -> Adapter:
    """The adapter that takes the place of one layer, with its start; the layer is frozen.

    Raises:
        InputError: what `build_adapter` refuses, after the layer's name.

    Example:
        >>> build_layer_adapter(nn.Linear(6, 8), "q_proj", "lora", rank=2).parameter_count
        28
    """
    inputs, outputs = layer_sizes(layer)
    weight = layer.weight
    try:
        adapter = build_adapter(
            method,
            inputs,
            outputs,
            preset="ntk" if start == "zero" else start,
            scale=scale,
            base=layer,
            generator=_generator(seed, name),
            dtype=weight.dtype,
            # Draws are scaled by numbers of their own, which `meta` does not have.
            device="cpu" if weight.is_meta else weight.device,
            **sizes,
        )
    except InputError as error:
        raise InputError(f"layer '{name}' ({inputs} to {outputs} features): {error}") from error
    if start == "zero" and not adapter.start_at_zero():
        adapter.base = cast(nn.Linear, Recentred.around(adapter))
    adapter.inside_a_model = True
    if weight.is_meta:
        adapter.to("meta")
    adapter.train(layer.training)
    return adapter


def _generator(seed: int, name: str) -> Generator:
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return Generator().manual_seed(int.from_bytes(digest[:8], "big", signed=True))


def _thaw(module: nn.Module, names: Iterable[str]) -> None:
    parameters = dict(module.named_parameters())
    for name in names:
        parameters[name].requires_grad_()


def _plain(adapter: Adapter) -> nn.Linear:
    base: nn.Module | None = adapter.base
    layer = base.layer if isinstance(base, Recentred) else base
    assert layer is not None
    return cast(nn.Linear, layer)


def _put(model: nn.Module, places: Iterable[str], module: nn.Module) -> None:
    for place in places:
        parent, _, leaf = place.rpartition(".")
        setattr(model.get_submodule(parent), leaf, module)


def _merged_weight(adapter: Adapter, layer: nn.Linear) -> Tensor:
    """W + ΔW in the layout of the layer's weight."""
    update: Float[Tensor, "d C"] = adapter.update()
    base: nn.Module | None = adapter.base
    if isinstance(base, Recentred):
        update = update - base.start.update()
    return layer.weight + (update.T if isinstance(layer, nn.Linear) else update)


def _check_mergeable(model: nn.Module, name: str, adapter: Adapter) -> None:
    if not adapter.linear:
        raise InputError(
            f"'{name}' holds a {adapter.method} adapter that is not linear in its input, so no "
            "weight equals it: merge one with activation 'identity', or save_adapter() this one."
        )
    weight = _plain(adapter).weight
    own = {f"{place}.base." for place in _record(model).places[name]}
    for other, parameter in model.named_parameters(remove_duplicate=False):
        if parameter is weight and not any(other.startswith(prefix) for prefix in own):
            raise InputError(
                f"the weight of '{name}' is also '{other}': merging would change both, so untie "
                "them first."
            )
