"""How a model uses its layers: which are called, how often, and where the samples are."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from ntklab.jacobians.engines.layerwise.call import Layout
from ntklab.jacobians.engines.layerwise.units import Unit, climb, groups_of, units_of
from ntklab.jacobians.engines.layerwise.watching import hidden_inside, tensors_of, watching
from ntklab.jacobians.functional import Functional
from ntklab.jacobians.inputs import Inputs, count_samples, take
from ntklab.jacobians.memory import is_out_of_memory


class NotLayerwise(RuntimeError):
    """A model whose parameters or samples the layerwise engine cannot tell apart: why."""


@dataclass(frozen=True)
class PlannedCall:
    """A call that every forward pass makes.

    Attributes:
        unit: the layer's number.
        inputs: layouts of the tensors among its arguments.
        outputs: layouts of those among its outputs.
        input_numbers: entries of its arguments a sample.
        output_numbers: entries of its outputs a sample.
        changed: whether something later writes into its arguments, so that they must be copied.
    """

    unit: int
    inputs: tuple[Layout, ...]
    outputs: tuple[Layout, ...]
    input_numbers: int
    output_numbers: int
    changed: bool


@dataclass(frozen=True)
class Kept:
    """Numbers that a group of layers keeps of a sample.

    Attributes:
        rows: entries of its parameters, for each output.
        inputs: of its calls.
        cotangents: of its calls, for each output.
    """

    rows: int
    inputs: int
    cotangents: int

    def early(self, outputs: int) -> bool:
        """Whether rows are smaller than what they are made of, and so made at once."""
        return outputs * self.rows <= self.inputs + outputs * self.cotangents

    def numbers(self, outputs: int) -> int:
        """The smaller of the two."""
        return min(outputs * self.rows, self.inputs + outputs * self.cotangents)


@dataclass(frozen=True)
class Plan:
    """The layers and calls of a model, from forward passes of one sample and of two.

    Attributes:
        units: the layers.
        calls: in the order in which they end.
        groups: numbers of units, those together that share a parameter.
        sizes: for each group, the numbers that it keeps of a sample.
        graph_bytes: a sample's activations that autograd keeps.
        itemsize: bytes of a number.
    """

    units: list[Unit]
    calls: list[PlannedCall]
    groups: list[list[int]]
    sizes: list["Kept"]
    graph_bytes: int
    itemsize: int

    def calls_of(self, group: int) -> list[int]:
        """Numbers of the calls of a group's layers."""
        units = self.groups[group]
        return [number for number, call in enumerate(self.calls) if call.unit in units]

    def kept_bytes(self, outputs: int) -> int:
        """A sample's inputs, cotangents and early rows for so many outputs."""
        return self.itemsize * sum(size.numbers(outputs) for size in self.sizes)


# A model seen as a function is planned once, whoever asks.
_PLANS: WeakKeyDictionary[Functional, Plan] = WeakKeyDictionary()


def plan_of(functional: Functional, x: Inputs) -> Plan:
    """`make_plan`, once for each functional."""
    if functional not in _PLANS:
        try:
            _PLANS[functional] = make_plan(functional, x)
        except NotLayerwise:
            raise
        except Exception as error:
            if is_out_of_memory(error):
                raise
            reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
            raise NotLayerwise(f"its layers cannot be watched: {reason}") from error
    return _PLANS[functional]


def make_plan(functional: Functional, x: Inputs) -> Plan:
    """Run the model on one sample and on two, and learn its layers' calls.

    Raises:
        NotLayerwise: a parameter is used outside every layer that holds it, calls differ between
            the two runs, or a layer's samples cannot be found.

    Cost: forward passes of three samples; one more for every level at which a parameter is used
    outside its layer.
    """
    units = units_of(functional.module, functional.names)
    while True:
        first, outside = _run_alone(functional, units, take(x, 0, 1))
        if not outside:
            break
        climbed = climb(functional.module, units, outside)
        if climbed is None:
            raise NotLayerwise(f"'{min(outside)}' is used outside of the layer that holds it")
        units = climbed
    second, graph_bytes = _run_together(functional, units, x)
    calls = _planned(units, first, second)
    groups = groups_of(units)
    itemsize = functional.dtype.itemsize
    sizes = [_kept(functional, units, calls, group) for group in groups]
    return Plan(units, calls, groups, sizes, graph_bytes, itemsize)


@dataclass
class _Seen:
    """One call as a trial saw it."""

    unit: int
    inputs: list[torch.Size]
    outputs: list[torch.Size]
    arguments: list[Tensor] = field(default_factory=list)
    versions: list[int] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        return any(t._version != v for t, v in zip(self.arguments, self.versions, strict=True))


def _run_alone(
    functional: Functional, units: list[Unit], x: Inputs
) -> tuple[list[_Seen], set[str]]:
    """One sample; also the parameters that are used where their layers are not running."""
    calls: list[_Seen] = []

    def note(unit: int, args: Any, kwargs: Any, outputs: Any) -> None:
        inputs = tensors_of((args, kwargs))
        seen = [t.shape for t in inputs], [t.shape for t in tensors_of(outputs)]
        calls.append(_Seen(unit, *seen))

    params = {name: p.clone().requires_grad_() for name, p in functional.params.items()}
    with torch.enable_grad(), watching(units, note), hidden_inside(units):
        outputs = functional.outputs(params, x)
    return calls, _reached(params, outputs)


def _run_together(functional: Functional, units: list[Unit], x: Inputs) -> tuple[list[_Seen], int]:
    """Two samples; also the bytes a sample that autograd keeps, parameters aside."""
    calls: list[_Seen] = []

    def note(unit: int, args: Any, kwargs: Any, outputs: Any) -> Any:
        inputs = tensors_of((args, kwargs))
        shapes = [t.shape for t in inputs], [t.shape for t in tensors_of(outputs)]
        calls.append(_Seen(unit, *shapes, inputs, [t._version for t in inputs]))
        return pytree.tree_map_only(Tensor, connected, outputs)

    own = {p.untyped_storage().data_ptr() for p in functional.module.parameters()}
    saved: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    last = count_samples(x) - 1
    pair = pytree.tree_map_only(Tensor, lambda t: t[[0, last]], x)
    hooks = torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t)
    with torch.enable_grad(), watching(units, note), hooks:
        functional.outputs(functional.params, pair)
    return calls, sum(saved.values()) // 2


def connected(output: Tensor) -> Tensor:
    """The same values with a graph behind them, so that autograd reaches the layer's output."""
    if output.requires_grad or not output.is_floating_point():
        return output
    # Adding makes a tensor that may be written to in place, which a leaf may not.
    return output + output.new_zeros(()).requires_grad_()


def _reached(params: Mapping[str, Tensor], outputs: Tensor) -> set[str]:
    """The parameters from which a path of the graph leads to the outputs."""
    names = {id(p): name for name, p in params.items()}
    reached, seen, stack = set(), set(), [outputs.grad_fn]
    while stack:
        node = stack.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        variable = getattr(node, "variable", None)
        if id(variable) in names:
            reached.add(names[id(variable)])
        stack.extend(following for following, _ in node.next_functions)
    return reached


def _planned(units: list[Unit], first: list[_Seen], second: list[_Seen]) -> list[PlannedCall]:
    if [call.unit for call in first] != [call.unit for call in second]:
        raise NotLayerwise("it calls other layers for two samples than for one")
    calls = []
    for one, two in zip(first, second, strict=True):
        layouts = [
            [Layout.of(shapes) for shapes in zip(a, b, strict=True)]
            for a, b in ((one.inputs, two.inputs), (one.outputs, two.outputs))
        ]
        if None in layouts[0] or None in layouts[1] or not layouts[1]:
            name = units[one.unit].name
            raise NotLayerwise(f"the samples of a call of '{name}' are not to be found")
        inputs, outputs = [[x for x in sides if x is not None] for sides in layouts]
        calls.append(
            PlannedCall(
                unit=one.unit,
                inputs=tuple(inputs),
                outputs=tuple(outputs),
                input_numbers=sum(shape.numel() for shape in one.inputs),
                output_numbers=sum(shape.numel() for shape in one.outputs),
                changed=two.changed,
            )
        )
    return calls


def _kept(
    functional: Functional, units: list[Unit], calls: list[PlannedCall], group: list[int]
) -> Kept:
    sizes = dict(zip(functional.names, functional.sizes, strict=True))
    names = {name for number in group for name in units[number].params.values()}
    own = [call for call in calls if call.unit in group]
    return Kept(
        rows=sum(sizes[name] for name in names),
        inputs=sum(call.input_numbers for call in own),
        cotangents=sum(call.output_numbers for call in own),
    )
