"""Every case that runs on the pretended device, and which public function each one covers.

A public function that takes a tensor or a device is covered by the example in its docstring, or by
the case that `covered.json` names; tests hold each case to it. After a new case, or a new function
whose example does not do: `python -m tests.accelerator.coverage`.
"""

import inspect
import json
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import torch

from tests.accelerator import kernels, runs, theory
from tests.accelerator.examples import has_example, run_example
from tests.accelerator.public import public_functions, public_things
from tests.accelerator.reached import watched

TABLE = Path(__file__).with_name("covered.json")

#: They run in a case, but what they take lies on the CPU, as its maker left it there.
ON_THE_CPU: Mapping[str, tuple[str, ...]] = {
    "takes numbers of a table, which are numpy's": ("statistics.association.spearman",),
    "takes what `spectrum`, `residual_modes` or `linearize` gives, which lies on the CPU": (
        "figures.draw.spectra.draw_spectra",
        "bounds.cross_entropy.cross_entropy_bound",
        "bounds.descent.descent_bound",
        "bounds.descent.descent_envelope",
        "bounds.descent.descent_prediction",
        "bounds.optimization.drift_bound",
        "bounds.optimization.flow_bound",
        "bounds.optimization.flow_prediction",
        "bounds.optimization.projected_flow_bound",
        "dynamics.cross_entropy.CrossEntropyDynamics.descent",
        "dynamics.cross_entropy.CrossEntropyDynamics.flow",
        "dynamics.squared.SquaredDynamics.descent",
        "dynamics.squared.SquaredDynamics.flow",
        "spectra.density.Density.histogram",
        "spectra.density.Density.mean_of",
    ),
    "the CPU's compiled loop; another device goes by products (`structured without numba`)": (
        "tensor_train.shifts.ShiftedCore.__init__",
        "tensor_train.shifts.ShiftedCore.meet",
    ),
    "takes a numpy array": ("arrays.tensor_of",),
}

#: No case runs them, for a reason.
NOT_RUN: Mapping[str, tuple[str, ...]] = {
    "the conformance suite builds what it compares, on the CPU": ("testing.suite.check_adapter",),
    "what an engine has that knows no better way; `Checked` asks `rows` at once": (
        "jacobians.engines.engine.Engine.decoupled",
        "jacobians.engines.engine.Engine.kernel_bytes",
        "jacobians.engines.engine.Engine.layer_kernels",
        "jacobians.engines.engine.Engine.matvec",
        "jacobians.engines.engine.Engine.rmatvec",
    ),
    "takes numpy arrays": (
        "distributed.store.BlockStore.keep_triangle",
        "distributed.store.BlockStore.write",
    ),
    "its device is one on paper": (
        "bench.scaled.roofline.roofline_markdown",
        "bench.scaled.roofline.roofline_rows",
    ),
}

#: Examples that stay on the CPU: what they show is not of a device.
CPU_EXAMPLES: Mapping[str, str] = {
    "testing.suite.check_adapter": "takes a class and builds on the CPU",
    "tensor_train.pullback.sweep_bytes": "asks about the CPU",
}


def cases() -> dict[str, Callable[[torch.device, Path], None]]:
    """All cases by name: those written out, then the examples of docstrings."""
    return {**kernels.CASES, **theory.CASES, **runs.CASES, **_examples()}


def _examples() -> dict[str, Callable[[torch.device, Path], None]]:
    things = public_functions()
    things |= {name: thing for name, thing in public_things().items() if inspect.isclass(thing)}
    return {
        f"example of {name}": partial(_example, thing)
        for name, thing in sorted(things.items())
        if has_example(thing) and name.removeprefix("ntklab.") not in CPU_EXAMPLES
    }


def _example(thing, device: torch.device, folder: Path) -> None:
    run_example(thing, device)


def table() -> dict[str, str]:
    """Function → the case that covers it; what the file does not name is covered by its example."""
    own = {name: f"example of {name}" for name, f in public_functions().items() if has_example(f)}
    left_out = {f"ntklab.{name}" for name in CPU_EXAMPLES} | named(NOT_RUN)
    own = {name: case for name, case in own.items() if name not in left_out}
    return own | json.loads(TABLE.read_text(encoding="utf-8"))


def named(reasons: Mapping[str, tuple[str, ...]]) -> set[str]:
    """The functions that have one of these reasons."""
    return {f"ntklab.{name}" for names in reasons.values() for name in names}


def main() -> None:
    """Run cases and write the table anew; say what no case covers.

    Names of cases on the command line are run alone; of the others the table's word stands.
    """
    from tests.accelerator.pretended import pretended

    device, functions, everything = pretended(), public_functions(), cases()
    chosen = {name: everything[name] for name in sys.argv[1:] or everything}
    covered = {
        function: name
        for function, name in json.loads(TABLE.read_text(encoding="utf-8")).items()
        if function in functions and name in everything and name not in chosen
    }
    cpu: dict[str, str] = {}
    for name, case in chosen.items():
        with tempfile.TemporaryDirectory() as folder, watched(functions, device) as called:
            try:
                case(device, Path(folder))
            except Exception as error:
                print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)
        for function, held in called.items():
            (covered if held else cpu).setdefault(function, name)
    for function in sorted(functions.keys() - covered.keys()):
        told = f"runs on the CPU in {cpu[function]}" if function in cpu else "is not run"
        print(f"{function} {told}")
    whole = covered | {name: cpu[name] for name in named(ON_THE_CPU) if name in cpu}
    whole = {name: case for name, case in whole.items() if case != f"example of {name}"}
    TABLE.write_text(json.dumps(dict(sorted(whole.items())), indent=0) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
