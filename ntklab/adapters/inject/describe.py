"""Adapters of a model before they are made: counts, shapes and warnings, a layer and in all."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from ntklab.adapters.adapter import Adapter
from ntklab.adapters.inject.replace import build_layer_adapter
from ntklab.adapters.inject.targets import Layers, Target, select_targets


def describe_injection(
    model: nn.Module,
    method: str,
    *,
    target_modules: str | Iterable[str],
    layers: Layers | None = None,
    start: str = "ntk",
    scale: float | None = None,
    **sizes: Any,
) -> dict[str, Any]:
    """The adapters that `inject` would make, without changing the model.

    Args:
        model: any module, also on the `meta` device (`model_skeleton`).
        method: as for `inject`.
        target_modules: likewise.
        layers: likewise.
        start: likewise.
        scale: likewise.
        **sizes: likewise.

    Returns:
        A JSON-able dict: `method`, `layers` (one dict a layer: name, in_features, out_features,
        weights = d C, parameters, compression = weights / parameters, shapes, linear, warnings),
        `count`, `parameters`, `weights`, `compression`, `frozen` (numbers that layers share), and
        `warnings`, each once.

    Raises:
        InputError: what `inject` refuses.

    Cost: one adapter for every shape of layer, on the CPU.

    Example:
        >>> model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> table = describe_injection(model, "lora", target_modules="all-linear", rank=2)
        >>> table["parameters"], [layer["parameters"] for layer in table["layers"]]
        (48, [28, 20])
    """
    made: dict[tuple[int, int], Adapter] = {}
    rows = []
    for target in select_targets(model, target_modules, layers):
        shape = (target.in_features, target.out_features)
        if shape not in made:
            made[shape] = _adapter(target, method, start, scale, sizes)
        rows.append(_row(target, made[shape]))
    parameters, weights = (sum(row[word] for row in rows) for word in ("parameters", "weights"))
    return {
        "method": method,
        "layers": rows,
        "count": len(rows),
        "parameters": parameters,
        "weights": weights,
        "compression": weights / parameters,
        "frozen": sum(_shared(adapter) for adapter in made.values()),
        "warnings": list(dict.fromkeys(w for a in made.values() for w in a.warnings)),
    }


def _adapter(
    target: Target, method: str, start: str, scale: float | None, sizes: dict[str, Any]
) -> Adapter:
    # A base of its own, so that the model's is left alone and no weight is needed.
    layer = nn.Linear(target.in_features, target.out_features, device="meta")
    layer.weight = nn.Parameter(torch.empty(0), requires_grad=False)
    return build_layer_adapter(layer, target.name, method, start=start, scale=scale, **sizes)


def _row(target: Target, adapter: Adapter) -> dict[str, Any]:
    weights = target.in_features * target.out_features
    return {
        "layer": target.name,
        "in_features": target.in_features,
        "out_features": target.out_features,
        "weights": weights,
        "parameters": adapter.parameter_count,
        "compression": weights / adapter.parameter_count,
        "shapes": {name: str(shape) for name, shape in adapter.shapes.items()},
        "linear": adapter.linear,
        "warnings": list(adapter.warnings),
    }


def _shared(adapter: Adapter) -> int:
    """Frozen numbers that all layers of one shape share."""
    if adapter.sharing_key is None:
        return 0
    return sum(b.numel() for name, b in adapter.named_buffers() if not name.startswith("base."))
