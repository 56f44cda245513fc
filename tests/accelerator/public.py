"""The public functions of ntklab that take a tensor or a device, found by their signatures."""

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator

import ntklab

# The program passes names on; what it calls is here.
_NO_LIBRARY = {"cli"}

# Tensors, and what holds tensors.
_TAKES = re.compile(
    r"\b(Tensor|Device|device|ndarray|Module|Linear|Jacobian\w*|Spectrum|Adapter|LoRA|TensorGuide|"
    r"Data|Task|Split|Functional|Modes|Trajectory|HiddenStates|KernelAtStart|ResidualModes)\b"
)


def packages() -> list:
    """The modules of ntklab whose names are public."""
    found = (module.name for module in pkgutil.iter_modules(ntklab.__path__))
    public = sorted(name for name in found if name[0] != "_" and name not in _NO_LIBRARY)
    return [importlib.import_module(f"ntklab.{name}") for name in public]


def public_things() -> dict[str, object]:
    """Every public function and class, by the name that it is defined under."""
    things = {}
    for package in packages():
        own = (name for name, value in vars(package).items() if _defined(value, package.__name__))
        for name in getattr(package, "__all__", None) or sorted(own):
            thing = getattr(package, name, None)
            if inspect.isfunction(thing) or inspect.isclass(thing):
                things[f"{thing.__module__}.{thing.__qualname__}"] = thing
    return {name: thing for name, thing in things.items() if name.startswith("ntklab.")}


def public_functions() -> dict[str, object]:
    """Those of them, and of their methods, that take a tensor or a device."""
    functions = {}
    for name, thing in public_things().items():
        for place, function in _functions(name, thing):
            if _takes_tensors(function):
                functions[place] = function
    return functions


def _functions(name: str, thing) -> Iterator[tuple[str, object]]:
    if inspect.isfunction(thing):
        yield name, thing
        return
    if getattr(thing, "_is_protocol", False):
        return  # a protocol says what others do
    for attribute, value in vars(thing).items():
        plain = value.__func__ if isinstance(value, (classmethod, staticmethod)) else value
        said = attribute[0] != "_" or attribute == "__init__"
        if (
            inspect.isfunction(plain)
            and said
            and not _generated(plain)
            and not hasattr(plain, "__isabstractmethod__")
        ):
            yield f"{name}.{attribute}", plain


def _generated(function) -> bool:
    """Whether a dataclass wrote it: it keeps what it is given and computes nothing."""
    return inspect.unwrap(function).__code__.co_filename == "<string>"


def _takes_tensors(function) -> bool:
    parameters = inspect.signature(function).parameters.values()
    return any(_TAKES.search(str(one.annotation)) or one.name == "device" for one in parameters)


def _defined(value: object, where: str) -> bool:
    name = getattr(value, "__name__", "_")
    return name[0] != "_" and getattr(value, "__module__", None) == where
