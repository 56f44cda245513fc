"""Forward passes with an eye on some layers: hooks that are gone when the pass is over."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.utils import _pytree as pytree

from ntklab.jacobians.engines.layerwise.units import Unit

# (unit's number, args, kwargs, outputs) to the outputs that the model goes on with.
Seen = Callable[[int, tuple[Any, ...], dict[str, Any], Any], Any]


@contextmanager
def watching(units: list[Unit], seen: Seen) -> Iterator[None]:
    """Within, `seen` is told of every call of these layers and may replace its outputs."""
    handles = []

    def tell(number: int) -> Callable[..., Any]:
        def hook(module: nn.Module, args: Any, kwargs: Any, outputs: Any) -> Any:
            return seen(number, args, kwargs, outputs)

        return hook

    try:
        for number, unit in enumerate(units):
            hook = tell(number)
            # First of all hooks: what other hooks make of the outputs is no part of the layer.
            handles.append(unit.module.register_forward_hook(hook, with_kwargs=True, prepend=True))
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def hidden_inside(units: list[Unit]) -> Iterator[None]:
    """Within, layers see their parameters without a graph; who else uses them sees the graph."""
    handles: list[Any] = []

    def hide(unit: Unit) -> tuple[Callable[..., None], Callable[..., None]]:
        originals: list[tuple[nn.Module, str, Tensor]] = []

        def before(*_given: Any) -> None:
            for local in unit.params:
                path, _dot, name = local.rpartition(".")
                owner = unit.module.get_submodule(path)
                originals.append((owner, name, owner._parameters[name]))  # type: ignore[arg-type]
                owner._parameters[name] = originals[-1][2].detach()  # type: ignore[assignment]

        def after(*_given: Any) -> None:
            while originals:
                owner, name, value = originals.pop()
                owner._parameters[name] = value  # type: ignore[assignment]

        return before, after

    try:
        for unit in units:
            before, after = hide(unit)
            handles.append(unit.module.register_forward_pre_hook(before, prepend=True))
            handles.append(unit.module.register_forward_hook(after))
        yield
    finally:
        for handle in handles:
            handle.remove()


def tensors_of(values: Any) -> list[Tensor]:
    """The tensors among arguments or outputs, in the order of `pytree.tree_leaves`."""
    return [leaf for leaf in pytree.tree_leaves(values) if isinstance(leaf, Tensor)]
