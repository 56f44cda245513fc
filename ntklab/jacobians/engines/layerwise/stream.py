"""A kernel added up layer by layer, block of samples by block, within an amount of memory."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ntklab.errors import InputError
from ntklab.jacobians.engines.engine import Output
from ntklab.jacobians.engines.layerwise.capture import Captured, Forward
from ntklab.jacobians.engines.layerwise.plan import Plan, plan_of
from ntklab.jacobians.engines.layerwise.products import ROWS_AT_ONCE, block
from ntklab.jacobians.functional import Functional
from ntklab.jacobians.inputs import Inputs, count_samples, take
from ntklab.jacobians.memory import Progress, format_memory, spans

# Where a parameter's block of the kernel is added up.
Into = Callable[[str], Tensor]

# Outputs at a time where samples do not all fit: fewer would not make room, more might not fit.
_FEW_OUTPUTS = 8


@dataclass(frozen=True)
class Schedule:
    """How much is held at a time.

    Attributes:
        samples: of a block, of which two are held unless one is all.
        outputs: backward passes whose cotangents are held.
    """

    samples: int
    outputs: int

    @staticmethod
    def of(
        plan: Plan, samples: int, outputs: int, memory: int, *, divisible: bool, alone: bool
    ) -> "Schedule":
        """The one with the fewest passes that fits.

        Args:
            plan: of the model.
            samples: of the longer side.
            outputs: backward passes in all.
            memory: bytes beside the kernel.
            divisible: whether passes can be added up one after the other.
            alone: whether both sides are the same samples.

        Raises:
            InputError: one sample does not fit.
        """
        # The rest is for one layer's rows.
        budget, passing = memory - memory // 4, plan.graph_bytes
        if alone:
            for count in _halves(outputs) if divisible else [outputs]:
                if samples * (plan.kept_bytes(count) + passing) <= budget:
                    return Schedule(samples, count)
        count = min(outputs, _FEW_OUTPUTS) if divisible else outputs
        # Passes one after the other keep both graphs.
        graphs = 2 if count < outputs else 1
        each = 2 * plan.kept_bytes(count) + graphs * passing
        size = budget // max(1, each)
        if size < 1:
            raise InputError(
                f"what one sample's layers see takes {format_memory(each * 4 / 3)} beside the "
                f"kernel, more than the {format_memory(max(memory, 0))} that are left for it: "
                "allow more memory, or ask for fewer outputs (`readout`)."
            )
        return Schedule(min(size, samples), count)


def _halves(count: int) -> Iterator[int]:
    while True:
        yield count
        if count == 1:
            return
        count = -(-count // 2)


class Stream:
    """Every parameter's part of K(x1, x2).

    Args:
        functional: the model.
        x1: inputs.
        x2: inputs, the same object where the kernel is symmetric.
        output: what is asked of it.
        memory: bytes beside the kernel.
        progress: called with (samples done, N1).
    """

    def __init__(
        self,
        functional: Functional,
        x1: Inputs,
        x2: Inputs,
        output: Output,
        memory: int,
        progress: Progress | None = None,
    ) -> None:
        self.functional, self.x1, self.x2 = functional, x1, x2
        self.output, self.progress = output, progress
        self.plan, self.symmetric = plan_of(functional, x1), x2 is x1
        self.most = max(1 << 12, min(ROWS_AT_ONCE, memory // 128))
        self.directions = torch.eye(
            functional.n_outputs, dtype=functional.dtype, device=functional.device
        )
        self.schedule = Schedule.of(
            self.plan,
            max(count_samples(x1), count_samples(x2)),
            len(self.directions),
            memory,
            divisible=output in ("trace", "diagonal"),
            alone=self.symmetric,
        )

    @property
    def held_bytes(self) -> int:
        """Of inputs, cotangents and graphs, of as many samples as are held at a time."""
        schedule, samples = self.schedule, count_samples(self.x1)
        alone = self.symmetric and schedule.samples >= samples
        graphs = 1 if alone or schedule.outputs == len(self.directions) else 2
        sides = 1 if alone else 2
        inputs = sides * self.plan.kept_bytes(schedule.outputs)
        return min(schedule.samples, samples) * (inputs + graphs * self.plan.graph_bytes)

    @property
    def block_bytes(self) -> int:
        """Of a block of one layer's rows and its copy in the kernel's dtype, at most."""
        samples = min((1 if self.symmetric else 2) * self.schedule.samples, count_samples(self.x1))
        rows = samples * len(self.directions) * max(self.functional.sizes)
        return min(self.most, rows) * (self.plan.itemsize + 8)

    def add_to(self, into: Into) -> None:
        """Add all parts to where `into` says for each parameter."""
        n, m, size = count_samples(self.x1), count_samples(self.x2), self.schedule.samples
        for start, stop in spans(n, size):
            held = _Side(self, self.x1, start, stop)
            if self.symmetric:
                self._add(held, None, into)
            for begin, end in spans(start if self.symmetric else m, size):
                self._add(held, _Side(self, self.x2, begin, end), into)
            del held
            if self.progress is not None:
                self.progress(stop, n)

    def _add(self, first: "_Side", second: "_Side | None", into: Into) -> None:
        """One block of samples with another, or with itself."""
        for start, stop in spans(len(self.directions), self.schedule.outputs):
            left = first.captured(start, stop)
            right = None if second is None else second.captured(start, stop)
            for name, part in self._parts(left, right, into):
                self._place(into(name), part, first, second, start, stop)

    def _parts(
        self, left: Captured, right: Captured | None, into: Into
    ) -> Iterator[tuple[str, Tensor]]:
        for group in range(len(self.plan.groups)):
            terms = left.terms(group)
            others = terms if right is None else right.terms(group)
            for name in terms.keys() & others.keys():
                other = None if right is None else others[name]
                yield name, block(terms[name], other, self.output, into(name).dtype, self.most)

    def _place(
        self,
        target: Tensor,
        part: Tensor,
        first: "_Side",
        second: "_Side | None",
        start: int,
        stop: int,
    ) -> None:
        """Add a part where it belongs, and mirror it where the kernel is symmetric."""
        outputs, step = self.functional.n_outputs, 1
        if self.output == "full":
            step = outputs
        elif self.output == "trace":
            part = part * ((stop - start) / outputs)  # a mean over these outputs
        if self.output == "diagonal":
            target = target[start:stop]
        here = slice(first.start * step, first.stop * step)
        if second is None:
            target[..., here, here] += part
            return
        there = slice(second.start * step, second.stop * step)
        target[..., here, there] += part
        if self.symmetric:
            target[..., there, here] += part.mT


class _Side:
    """A block of samples, run forward once; backward passes are run as they are asked for."""

    def __init__(self, stream: Stream, x: Inputs, start: int, stop: int) -> None:
        self.stream, self.start, self.stop = stream, start, stop
        self._forward: Forward | None = Forward(
            stream.plan, stream.functional, take(x, start, stop)
        )
        self._held: tuple[int, Captured] | None = None

    def captured(self, start: int, stop: int) -> Captured:
        """From the backward passes start..stop; those asked for last are kept."""
        if self._held is None or self._held[0] != start:
            assert self._forward is not None
            directions = self.stream.directions
            # With all passes held, the graph has done its work.
            last = stop - start == len(directions)
            self._held = None
            self._held = (start, self._forward.back(directions[start:stop], last=last))
            if last:
                self._forward = None
        return self._held[1]
