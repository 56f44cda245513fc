"""The engine in use, compared with `loop` before its numbers leave.

Rules by which torch batches a backward pass are wrong for some modules, and which ones no test can
list: a PReLU's rows are off by two thirds where batch and outputs are equally many. So two samples
of what an engine computes are computed again by `loop`, for every size of batch in use.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.accelerator import same_random_state
from ntklab.adapters.adapter import Decoupled
from ntklab.errors import InputError, warn_caller
from ntklab.jacobians.engines.engine import Engine, Output
from ntklab.jacobians.guards.agreement import Disagreement
from ntklab.jacobians.guards.reference import Reference
from ntklab.jacobians.inputs import Inputs, count_samples, gather, take
from ntklab.jacobians.memory import Progress, chunk_size, is_out_of_memory

Result = TypeVar("Result")

# Samples of a batch that are compared: rules that mix samples up may spare the first.
_COMPARED = 2


class Checked:
    """An engine on given inputs, with those that take its place where it is wrong or fails.

    Args:
        engine: the first to use.
        x: inputs of the samples that the methods number.
        memory: bytes that a batch may use: a successor may need more for a sample.
        successors: engines to go on with, in this order, `loop` last; with none of them (an
            engine asked for by name) a disagreement or a failure is an error.
        check: whether to compare; failures are taken care of in any case.

    Attributes:
        engine: the one in use.
        seconds: spent on comparisons so far.

    Cost: for every size of batch, 2·C backward passes of one sample.
    """

    def __init__(
        self,
        engine: Engine,
        x: Inputs,
        memory: int,
        *,
        successors: Sequence[type[Engine]] = (),
        check: bool = True,
    ) -> None:
        self.engine, self.x = engine, x
        self._memory, self._successors, self._check = memory, list(successors), check
        self.seconds = 0.0
        self._most: int | None = None
        self._compared: dict[tuple[str, int], set[int]] = {}
        self._reference = Reference(engine.functional, x, memory)

    def try_first(self) -> None:
        """Let one sample pass, so that an engine that cannot run the model gives way at once."""
        while self._successors and not self.engine.vouches():
            if self._attempt(self._try_engine):
                return

    def _try_engine(self) -> bool:
        self.engine.try_on(self.x)
        return True

    def rows(self, start: int, stop: int) -> Float[Tensor, "n C P"]:
        """Rows of samples start..stop.

        Raises:
            InputError: an engine without successors fails, or disagrees with `loop`.
        """

        def piece(first: int, last: int) -> Tensor | None:
            def compare(rows: Tensor) -> Disagreement | None:
                samples = self._to_compare("J", first, last)
                return self._reference.rows([rows[n - first] for n in samples], samples)

            return self._attempt(lambda: self.engine.rows(take(self.x, first, last)), compare)

        pieces = self._pieces(start, stop, piece)
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces)

    def matvec(self, start: int, stop: int, v: Float[Tensor, "P k"]) -> Float[Tensor, "n C k"]:
        """J v for samples start..stop."""
        if type(self.engine).matvec is Engine.matvec:
            return self.rows(start, stop).to(v.dtype) @ v

        def piece(first: int, last: int) -> Tensor | None:
            x = take(self.x, first, last)

            def compare(_: Tensor) -> Disagreement | None:
                samples = self._to_compare(f"J by {v.shape[1]}", first, last)
                if not samples:
                    return None
                probe = _probe(v)
                products = self.engine.matvec(x, probe)
                few = [products[n - first] for n in samples]
                return self._reference.matvec(few, probe, samples)

            return self._attempt(lambda: self.engine.matvec(x, v), compare)

        return torch.cat(self._pieces(start, stop, piece))

    def rmatvec(self, start: int, stop: int, u: Float[Tensor, "n C k"]) -> Float[Tensor, "P k"]:
        """Jᵀ u, summed over samples start..stop; u is of these."""
        if type(self.engine).rmatvec is Engine.rmatvec:
            return torch.einsum("ncp,nck->pk", self.rows(start, stop).to(u.dtype), u)

        def piece(first: int, last: int) -> Tensor | None:
            x, here = take(self.x, first, last), u[first - start : last - start]

            def compare(_: Tensor) -> Disagreement | None:
                samples = self._to_compare(f"Jᵀ by {u.shape[2]}", first, last)
                if not samples:
                    return None
                # A sum hides its samples: the probe is zero but on those to be compared.
                chosen, probe = [n - first for n in samples], torch.zeros_like(here)
                probe[chosen] = _probe(here[chosen])
                pulled = self.engine.rmatvec(x, probe)
                return self._reference.rmatvec(pulled, probe[chosen], samples)

            return self._attempt(lambda: self.engine.rmatvec(x, here), compare)

        return torch.stack(self._pieces(start, stop, piece)).sum(0)

    def kernel(
        self,
        other: "Checked",
        output: Output,
        dtype: torch.dtype,
        memory: int,
        progress: Progress | None = None,
    ) -> Tensor | None:
        """The kernel without rows, where the engine has a way; `other` is of the same model."""

        def compute() -> Tensor | None:
            return self.engine.kernel(self.x, other.x, output, dtype, memory, progress)

        def compare(kernel: Tensor) -> Disagreement | None:
            these, those = self._ends(), other._ends()
            step = self.engine.functional.n_outputs if output == "full" else 1
            block = kernel[..., _entries(these, step), :][..., _entries(those, step)]
            return self._reference.kernel(block, other._reference, these, those, output)

        return self._attempt(compute, compare)

    def layer_kernels(
        self, output: Output, dtype: torch.dtype, memory: int
    ) -> dict[str, Tensor] | None:
        """The kernel's parts by layer without rows, where the engine has them."""

        def compare(parts: dict[str, Tensor]) -> Disagreement | None:
            ends, step = self._ends(), self.engine.functional.n_outputs if output == "full" else 1
            here = _entries(ends, step)
            block = sum(part[..., here, :][..., here] for part in parts.values())
            assert isinstance(block, Tensor)
            return self._reference.kernel(block, self._reference, ends, ends, output)

        return self._attempt(
            lambda: self.engine.layer_kernels(self.x, output, dtype, memory), compare
        )

    def decoupled(self) -> Decoupled | None:
        """The kernel as S ⊗ I + S' ⊗ BBᵀ, where the engine knows that form."""

        def compare(parts: Decoupled) -> Disagreement | None:
            ends = self._ends()
            coupled = None if parts.coupled is None else parts.coupled[ends]
            few = replace(parts, shared=parts.shared[ends], coupled=coupled)
            return self._reference.decoupled(few, ends)

        return self._attempt(lambda: self.engine.decoupled(self.x), compare)

    def dual_gram(self, dtype: torch.dtype, memory: int) -> Float[Tensor, "P P"] | None:
        """G = JᵀJ by a shorter way than rows, where the engine has one."""

        def compare(_: Tensor) -> Disagreement | None:
            # Two samples over and over: as many as there are, so that the engine goes the same way.
            ends, count = self._ends(), count_samples(self.x)
            repeated = [ends[n % len(ends)] for n in range(count)]
            gram = self.engine.dual_gram(gather(self.x, repeated), dtype, memory)
            assert gram is not None
            return self._reference.dual_gram(gram, ends, [repeated.count(n) for n in ends])

        return self._attempt(lambda: self.engine.dual_gram(self.x, dtype, memory), compare)

    def _pieces(
        self, start: int, stop: int, piece: Callable[[int, int], Tensor | None]
    ) -> list[Tensor]:
        """Results that cover start..stop, at most `_most` samples each."""
        done: list[Tensor] = []
        while start < stop:
            last = min(stop, start + (self._most or stop))
            result = piece(start, last)
            if result is not None:
                done.append(result)
                start = last
        return done

    def _attempt(
        self,
        compute: Callable[[], Result | None],
        compare: Callable[[Result], Disagreement | None] | None = None,
    ) -> Result | None:
        """A result of the engine in use; None if it has none, or had to give way."""
        try:
            if self.engine.vouches():  # an adapter of ours: nothing in it draws
                return compute()
            with same_random_state(self.engine.functional.device):
                result = compute()
                if result is None or compare is None or not self._check:
                    return result
                started = time.perf_counter()
                disagreement = compare(result)
                self.seconds += time.perf_counter() - started
        except InputError:
            raise
        except Exception as error:
            if is_out_of_memory(error):
                raise
            self._give_way_to_failure(error)
            return None
        if disagreement is None:
            return result
        self._give_way_to(disagreement)
        return None

    def _to_compare(self, route: str, start: int, stop: int) -> list[int]:
        """The ends of start..stop, until two samples have been compared in batches of this size."""
        compared = self._compared.setdefault((route, stop - start), set())
        fresh = [n for n in dict.fromkeys((start, stop - 1)) if n not in compared]
        samples = fresh[: max(0, _COMPARED - len(compared))]
        compared.update(samples)
        return samples

    def _ends(self) -> list[int]:
        """The first and the last sample."""
        return sorted({0, count_samples(self.x) - 1})

    def _give_way_to(self, disagreement: Disagreement) -> None:
        name = self.engine.name
        if not self._successors:
            raise InputError(
                f"engine '{name}' is wrong for this model, since {disagreement}: use engine='auto' "
                "or 'loop' (check=False takes its numbers as they are)."
            )
        following = self._succeed()
        warn_caller(
            f"engine '{name}' is wrong for this model, since {disagreement}: going on with "
            f"'{following}'."
        )

    def _give_way_to_failure(self, error: Exception) -> None:
        name = self.engine.name
        reason = (str(error).splitlines() or [""])[0].rstrip(".") or type(error).__name__
        if not self._successors:
            instead = "use engine='auto' or 'loop'" if name != "loop" else "the model itself fails"
            raise InputError(
                f"engine '{name}' cannot run this model ({reason}): {instead}."
            ) from error
        following = self._succeed()
        warn_caller(
            f"engine '{name}' cannot run this model ({reason}): going on with the slower engine "
            f"'{following}'."
        )

    def _succeed(self) -> str:
        """Put the next engine in place; its name."""
        self.engine = self._successors.pop(0).build(self.engine.functional, self.x)
        self._compared.clear()
        per_sample = self.engine.bytes_per_sample(self.x)
        self._most = chunk_size(per_sample, self._memory // 4, count_samples(self.x))
        return self.engine.name


def _probe(like: Tensor) -> Tensor:
    """A product's other factor without zeros, so that one comparison speaks for all of them."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(like.shape, generator=generator, dtype=torch.float64).to(like)


def _entries(samples: Sequence[int], step: int) -> list[int]:
    """Rows of a kernel that belong to samples, `step` of them each."""
    return [n * step + c for n in samples for c in range(step)]
