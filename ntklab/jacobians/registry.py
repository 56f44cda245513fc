"""Engines by name: one line an engine. Names are known before any of them is loaded."""

from typing import Any

from ntklab.registry import Place, Registry

_HERE = "ntklab.jacobians.engines"

#: Classes of engines by name; `jacobian` also takes "auto".
ENGINES: Registry[Any] = Registry(
    "engine",
    {
        "structured": Place(f"{_HERE}.structured", "Structured"),
        "layerwise": Place(f"{_HERE}.layerwise", "Layerwise"),
        "jacrev": Place(f"{_HERE}.jacrev", "Jacrev"),
        "vjp-jvp": Place(f"{_HERE}.vjp_jvp", "VjpJvp"),
        "loop": Place(f"{_HERE}.loop", "Loop"),
    },
)
