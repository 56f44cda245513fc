"""`ntklab info --model`: adapters inside a model, counted before anything is loaded."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ntklab.tables import Columns

TABLE: Columns = {
    "method": "method",
    "layer": "layer",
    "in_features": "d",
    "out_features": "C",
    "parameters": "P",
    "weights": "d·C",
    "compression": "times fewer",
    "shapes": "shapes",
}


def injections(
    model: str, targets: str, layers: str | None, configs: Sequence[Any]
) -> list[dict[str, Any]]:
    """The layers that every method would put into the model.

    Args:
        model: name, folder or .gguf file.
        targets: names with commas, an expression, or all-linear.
        layers: such as -6:.
        configs: one a method, as `ntklab info` has them.

    Raises:
        InputError: what `model_skeleton` and `inject` refuse.
    """
    from ntklab.adapters.inject.describe import describe_injection
    from ntklab.adapters.inject.skeleton import model_skeleton

    skeleton = model_skeleton(model)
    words: str | list[str] = targets.split(",") if "," in targets else targets
    injected = []
    for config in configs:
        spec = config.adapter
        described = describe_injection(
            skeleton,
            spec.method,
            target_modules=words,
            layers=layers,
            start=spec.preset,
            scale=spec.scale,
            **spec.sizes,
        )
        injected.append({"model": Path(model).name or model, **described})
    return injected


def page(described: Mapping[str, Any]) -> str:
    """One method's adapters as text: a line a shape of layer, and the sum."""
    lines = [f"{described['method']} in {described['count']} layers of {described['model']}"]
    groups: dict[tuple[str, int, int], list[Mapping[str, Any]]] = {}
    for row in described["layers"]:
        key = (row["layer"].rpartition(".")[2], row["in_features"], row["out_features"])
        groups.setdefault(key, []).append(row)
    for (name, inputs, outputs), rows in groups.items():
        row = rows[0]
        lines.append(
            f"  {name:<18}{len(rows)} × ({inputs} to {outputs}): {row['parameters']:,} parameters "
            f"each, {row['compression']:.0f} times fewer than {row['weights']:,}"
        )
        lines += [f"  {'':<18}{train} {shape}" for train, shape in row["shapes"].items()]
    lines.append(
        f"  {'in all':<18}{described['parameters']:,} parameters for "
        f"{described['weights']:,} weights, {described['compression']:.0f} times fewer"
    )
    if described["frozen"]:
        lines.append(f"  {'shared, frozen':<18}{described['frozen']:,} numbers")
    return "\n".join([*lines, *(f"  {'note':<18}{warning}" for warning in described["warnings"])])


def flat(described: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row a layer, for a table."""
    return [
        {
            "model": described["model"],
            "method": described["method"],
            **row,
            "shapes": "; ".join(f"{name} {shape}" for name, shape in row["shapes"].items()),
            "warnings": " ".join(row["warnings"]),
        }
        for row in described["layers"]
    ]
