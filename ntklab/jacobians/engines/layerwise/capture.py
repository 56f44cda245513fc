"""One forward pass, then a backward pass an output: what every layer saw and what became of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.utils import _pytree as pytree

from ntklab.jacobians.engines.layerwise.call import Call, Layout
from ntklab.jacobians.engines.layerwise.plan import NotLayerwise, Plan, connected
from ntklab.jacobians.engines.layerwise.terms import Rows, Term
from ntklab.jacobians.engines.layerwise.watching import tensors_of, watching
from ntklab.jacobians.functional import Functional
from ntklab.jacobians.inputs import Inputs, count_samples

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


@dataclass
class _Record:
    """A call of the forward pass."""

    arguments: Arguments
    versions: list[int]
    edges: list[GradientEdge | None]
    shapes: list[torch.Size]


class Forward:
    """A forward pass of a batch that backward passes can start from.

    Attributes:
        samples: n.
        outputs: (n, C), with their graph.
    """

    def __init__(self, plan: Plan, functional: Functional, x: Inputs) -> None:
        self.plan, self.samples = plan, count_samples(x)
        self._records: list[_Record] = []
        with torch.enable_grad(), watching(plan.units, self._see):
            self.outputs = functional.outputs(functional.params, x)
        if len(self._records) != len(plan.calls):
            raise NotLayerwise("it does not call the same layers for all samples")

    def _see(self, unit: int, args: Any, kwargs: Any, outputs: Any) -> Any:
        place = len(self._records)
        if place >= len(self.plan.calls) or self.plan.calls[place].unit != unit:
            raise NotLayerwise("it does not call the same layers for all samples")
        planned, inputs = self.plan.calls[place], tensors_of((args, kwargs))
        _check(planned.inputs, inputs, self.samples)
        _check(planned.outputs, tensors_of(outputs), self.samples)
        arguments = pytree.tree_map_only(
            Tensor, lambda t: t.detach().clone() if planned.changed else t.detach(), (args, kwargs)
        )
        layouts = iter(planned.outputs)
        result = pytree.tree_map_only(
            Tensor, lambda t: connected(self._apart(t, next(layouts))), outputs
        )
        tensors = tensors_of(result)
        edges = [get_gradient_edge(t) if t.requires_grad else None for t in tensors]
        versions = [t._version for t in tensors_of(arguments)]
        self._records.append(_Record(arguments, versions, edges, [t.shape for t in tensors]))
        return result

    def _apart(self, output: Tensor, layout: Layout) -> Tensor:
        """An output that all samples share, once for each, so that cotangents stay apart."""
        if layout.axis is not None:
            return output
        return layout.by_sample(output, self.samples).squeeze(1)

    def back(self, directions: Float[Tensor, "k C"], *, last: bool = True) -> "Captured":
        """A backward pass for each of k combinations of the outputs.

        Args:
            directions: their coefficients, on the outputs' device in their dtype.
            last: whether the graph may be given up.
        """
        captured = Captured(self.plan, self._records, self.samples, len(directions))
        edges = [edge for record in self._records for edge in record.edges if edge is not None]
        if edges and self.outputs.requires_grad:
            for place, direction in enumerate(directions):
                # Σ_n f_c(x_n): samples do not see each other, so each gets its own derivative.
                given = torch.autograd.grad(
                    self.outputs,
                    edges,
                    direction.expand_as(self.outputs),
                    retain_graph=not last or place + 1 < len(directions),
                    allow_unused=True,
                )
                captured.add(place, given)
        if last:
            self._records = []
        return captured


def _check(layouts: tuple[Layout, ...], tensors: list[Tensor], samples: int) -> None:
    if len(layouts) != len(tensors):
        raise NotLayerwise("it does not call its layers in one way for all samples")
    for layout, tensor in zip(layouts, tensors, strict=True):
        if layout.axis is not None and tensor.shape[layout.axis] != samples * layout.copies:
            raise NotLayerwise("the shapes that its layers see do not follow its samples")


class Captured:
    """Inputs and cotangents of all layers for a batch and some outputs; rows of small layers.

    Attributes:
        plan: of the model.
        samples: n.
        outputs: how many combinations of the model's outputs.
    """

    def __init__(self, plan: Plan, records: list[_Record], samples: int, outputs: int) -> None:
        self.plan, self.samples, self.outputs = plan, samples, outputs
        self._records = records
        self._cotangents: list[tuple[Tensor, ...] | None] = [None] * len(records)
        self._rows: dict[str, Tensor] = {}
        self.early = [size.early(outputs) for size in plan.sizes]
        self._early_calls = {
            call for group, early in enumerate(self.early) if early for call in plan.calls_of(group)
        }

    def add(self, output: int, gradients: tuple[Tensor | None, ...]) -> None:
        """Take what one backward pass brought to every layer's outputs."""
        left = iter(gradients)
        for number, record in enumerate(self._records):
            own = [None if edge is None else next(left) for edge in record.edges]
            if all(gradient is None for gradient in own):
                continue  # this output does not depend on this call
            if number in self._early_calls:
                parts = self._by_sample(number, own)
                self._add_rows(number, output, tuple(part.unsqueeze(1) for part in parts))
            else:
                self._keep(number, output, self._by_sample(number, own))

    def terms(self, group: int) -> dict[str, list[Term]]:
        """The gradients by a group's parameters, one term a use; none for an idle parameter."""
        terms: dict[str, list[Term]] = {}
        if self.early[group]:
            for unit in (self.plan.units[number] for number in self.plan.groups[group]):
                for name in unit.params.values():
                    if name in self._rows:
                        terms[name] = [Rows(self._rows[name])]
            return terms
        for number in self.plan.calls_of(group):
            cotangents = self._cotangents[number]
            if cotangents is not None:
                for name, term in self._call_terms(number, cotangents):
                    terms.setdefault(name, []).append(term)
        return terms

    def _by_sample(self, number: int, own: list[Tensor | None]) -> list[Tensor]:
        """A call's gradients (n, k, …), zeros where an output of the layer is not used."""
        record, parts = self._records[number], []
        like = next(gradient for gradient in own if gradient is not None)
        for place, gradient in enumerate(own):
            layout = self.plan.calls[number].outputs[place]
            layout = Layout(0) if layout.axis is None else layout
            whole = like.new_zeros(record.shapes[place]) if gradient is None else gradient
            parts.append(layout.by_sample(whole, self.samples))
        return parts

    def _keep(self, number: int, output: int, parts: list[Tensor]) -> None:
        cotangents = self._cotangents[number]
        if cotangents is None:
            cotangents = tuple(
                part.new_zeros(self.samples, self.outputs, *part.shape[1:]) for part in parts
            )
            self._cotangents[number] = cotangents
        for whole, part in zip(cotangents, parts, strict=True):
            whole[:, output] = part

    def _add_rows(self, number: int, output: int, cotangents: tuple[Tensor, ...]) -> None:
        for name, term in self._call_terms(number, cotangents):
            rows = term.rows()[:, 0]
            if name not in self._rows:
                self._rows[name] = rows.new_zeros(self.samples, self.outputs, rows.shape[1])
            self._rows[name][:, output] += rows

    @torch.no_grad()
    def _call_terms(
        self, number: int, cotangents: tuple[Tensor, ...]
    ) -> Iterator[tuple[str, Term]]:
        """The gradients of one call by parameters' names in the model."""
        record, planned = self._records[number], self.plan.calls[number]
        unit = self.plan.units[planned.unit]
        if [t._version for t in tensors_of(record.arguments)] != record.versions:
            raise NotLayerwise(f"the inputs of '{unit.name}' are written to after its call")
        call = Call(self.samples, record.arguments, planned.inputs, cotangents, planned.outputs)
        terms = unit.rule.terms(unit.module, list(unit.params), call)
        for local, name in unit.params.items():
            yield name, terms[local]
