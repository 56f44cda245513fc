"""Empirical neural tangent kernels of low-rank adapters, beside what training measures.

Names are loaded when first used, so that `import ntklab` costs nothing and pulls in neither
plotting nor language-model libraries.

>>> import ntklab, torch
>>> head = ntklab.build_adapter("lora", 64, 2, rank=4, dtype=torch.float64)
>>> J = ntklab.jacobian(head, torch.randn(20, 64, dtype=torch.float64))
>>> ntklab.spectrum(J).rank
40
"""

import os
from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules
from typing import TYPE_CHECKING

__version__ = "0.2.0"

# torch's threads spin for long after every parallel operation, on cores that threads of ours
# (`ntklab.parallel`) and other processes could use. Read once, when torch loads.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")

if TYPE_CHECKING:
    from ntklab.adapters import (
        METHODS,
        Adapter,
        LinearProbe,
        LoRA,
        TensorGuide,
        TeRA,
        TTDelta,
        TTLoRA,
        build_adapter,
    )
    from ntklab.adapters.inject import (
        inject,
        load_adapter,
        merge,
        remove,
        save_adapter,
        unmerge,
    )
    from ntklab.bounds import Bound, side_by_side
    from ntklab.distributed import Recipe
    from ntklab.dynamics import predict
    from ntklab.dynamics.linearize import linearize
    from ntklab.dynamics.regime import regime
    from ntklab.errors import InputError, MissingExtraError
    from ntklab.jacobians import Jacobian, jacobian, ntk
    from ntklab.records import Record
    from ntklab.spectra import Spectrum, spectrum
    from ntklab.tasks import Task, load_task
    from ntklab.tensor_train import TTShape, plan
    from ntklab.training import Data, TrainConfig, compare, train

# One line a home, in the order in which data flows.
_HOMES = {
    "ntklab.tasks": ("Task", "load_task"),
    "ntklab.tensor_train": ("TTShape", "plan"),
    "ntklab.adapters": (
        *("Adapter", "LinearProbe", "LoRA", "TTDelta", "TTLoRA", "TeRA", "TensorGuide"),
        *("METHODS", "build_adapter"),
    ),
    "ntklab.distributed": ("Recipe",),
    "ntklab.adapters.inject": (
        *("inject", "merge", "unmerge", "remove", "save_adapter", "load_adapter"),
    ),
    "ntklab.jacobians": ("Jacobian", "jacobian", "ntk"),
    "ntklab.spectra": ("Spectrum", "spectrum"),
    "ntklab.bounds": ("Bound", "side_by_side"),
    "ntklab.training": ("Data", "TrainConfig", "train", "compare"),
    "ntklab.dynamics": ("linearize", "predict", "regime"),
    "ntklab.records": ("Record",),
    "ntklab.errors": ("InputError", "MissingExtraError"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [  # noqa: RUF022 - grouped as data flows
    # tasks
    "Task",
    "load_task",
    # tensor trains
    "TTShape",
    "plan",
    # adapters
    "Adapter",
    "LinearProbe",
    "LoRA",
    "TTDelta",
    "TTLoRA",
    "TeRA",
    "TensorGuide",
    "METHODS",
    "build_adapter",
    # adapters inside models
    "inject",
    "merge",
    "unmerge",
    "remove",
    "save_adapter",
    "load_adapter",
    # Jacobian and kernel
    "Jacobian",
    "jacobian",
    "ntk",
    # how workers build a model
    "Recipe",
    # spectrum
    "Spectrum",
    "spectrum",
    # bounds, beside what they bound
    "Bound",
    "side_by_side",
    # measured runs, and what linearized theory predicts of them
    "Data",
    "TrainConfig",
    "train",
    "compare",
    "linearize",
    "predict",
    "regime",
    # records
    "Record",
    # errors
    "InputError",
    "MissingExtraError",
]


def __getattr__(name: str) -> object:
    if name in _HOME_OF:
        value = getattr(import_module(_HOME_OF[name]), name)
        globals()[name] = value  # the next look finds it at once
        return value
    # Packages too (`ntklab.bounds`), whether or not something has imported them before.
    if not name.startswith("_") and find_spec(f"{__name__}.{name}") is not None:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module 'ntklab' has no attribute '{name}'")


def __dir__() -> list[str]:
    modules = (module.name for module in iter_modules(__path__) if module.name[0] != "_")
    return sorted({*globals(), *__all__, *modules})
