"""Tasks by name. Names are known before any task is loaded."""

from typing import Any

from ntklab.registry import Place, Registry

#: Functions that load a task, by name.
TASKS: Registry[Any] = Registry(
    "task",
    {
        "quantum-dot": Place("ntklab.tasks.quantum_dot", "load_quantum_dot"),
        "synthetic": Place("ntklab.tasks.synthetic", "load_synthetic"),
        "wikitext": Place("ntklab.tasks.wikitext", "load_wikitext"),
    },
)
