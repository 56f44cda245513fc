"""Rows of the engines beside those of `loop`, for a few samples."""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.adapters.adapter import Decoupled
from ntklab.jacobians.decoupled import decoupled_kernel
from ntklab.jacobians.engines.engine import Output, multiply_rows
from ntklab.jacobians.engines.loop import Loop
from ntklab.jacobians.functional import Functional
from ntklab.jacobians.guards.agreement import Disagreement, noise_floor, tolerance, worst_entry
from ntklab.jacobians.inputs import Inputs, take

# Columns of rows that are multiplied at a time: rows of a large model are held once, as they are.
_COLUMNS = 1 << 22

# The share of the memory that rows of a reference may take: kernel and engine have the rest.
_SHARE = 4


class Reference:
    """Rows of J by `loop`, one sample at a time, and what they say of an engine's results.

    Every method returns the worst entry beyond `tolerance`, or None. Entries are judged beside
    others of their parameter, so that a wrong rule for a small one does not hide behind a large
    one, with `noise_floor` for what cancels to zero.

    Args:
        functional: the model.
        x: inputs of all samples.
        memory: bytes, of which the rows behind a kernel may take a quarter; None for no limit.
    """

    def __init__(self, functional: Functional, x: Inputs, memory: int | None = None) -> None:
        self._loop, self._functional, self._x = Loop(functional), functional, x
        self._memory = memory

    def rows(
        self, rows: Sequence[Float[Tensor, "C P"]], samples: Sequence[int]
    ) -> Disagreement | None:
        """Rows of some samples.

        Cost: C backward passes a sample.
        """
        for computed, n in zip(rows, samples, strict=True):
            if self._near(computed, self.of(n)):
                continue
            wanted = self.of(n)
            name = f"∂f_{{}}/∂{{}} of sample {n}"
            worst = self._by_parameter(computed, wanted, wanted.abs(), name)
            if worst is not None:
                return worst
        return None

    def matvec(
        self,
        products: Sequence[Float[Tensor, "C k"]],
        v: Float[Tensor, "P k"],
        samples: Sequence[int],
    ) -> Disagreement | None:
        """J v of some samples."""
        relative, floor = self._precision(v.dtype)
        for product, n in zip(products, samples, strict=True):
            row = self.of(n).to(v.dtype)
            wanted = row @ v
            allowed = relative * wanted.abs() + floor * torch.outer(row.norm(dim=1), v.norm(dim=0))
            name = f"entry {{}}, {{}} of J v at sample {n}"
            worst = worst_entry(product, wanted, allowed, name.format)
            if worst is not None:
                return worst
        return None

    def rmatvec(
        self, pulled: Float[Tensor, "P k"], u: Float[Tensor, "n C k"], samples: Sequence[int]
    ) -> Disagreement | None:
        """Jᵀ u where u is zero but on some samples; u holds these."""
        rows = self.of_all(samples, u.dtype)
        wanted = torch.einsum("ncp,nck->kp", rows, u)
        terms = torch.einsum("ncp,nck->kp", rows.abs(), u.abs())
        return self._by_parameter(pulled.mT, wanted, terms, "column {} of Jᵀu by {}")

    def kernel(
        self,
        block: Tensor,
        other: "Reference",
        these: Sequence[int],
        those: Sequence[int],
        output: Output,
    ) -> Disagreement | None:
        """The block of a kernel between some samples and some of other inputs.

        Every parameter counts, a few of them at a time where the memory does not hold all their
        rows: each group costs C backward passes a sample, and at least one parameter is held.
        """
        same = other is self and list(these) == list(those)
        wanted = torch.zeros_like(block)
        for names in self._groups(len(these) + (0 if same else len(those))):
            first = self._columns(names, these)
            second = first if same else other._columns(names, those)
            for part, its in zip(first.split(_COLUMNS, 2), second.split(_COLUMNS, 2), strict=True):
                wanted += multiply_rows(part.to(block.dtype), its.to(block.dtype), output)
        allowed = self._precision(block.dtype)[0] * wanted.abs().max()
        return worst_entry(block, wanted, allowed, lambda *place: f"entry {place} of the kernel")

    def decoupled(self, parts: Decoupled, samples: Sequence[int]) -> Disagreement | None:
        """The parts of a decoupled kernel for some samples."""
        kernel = decoupled_kernel(parts, parts, "full")
        return self.kernel(kernel, self, samples, samples, "full")

    def dual_gram(
        self, gram: Float[Tensor, "P P"], samples: Sequence[int], times: Sequence[int]
    ) -> Disagreement | None:
        """JᵀJ where J holds some samples, each so many times."""
        rows = self.of_all(samples, gram.dtype)
        counts = torch.tensor(times, dtype=gram.dtype, device=gram.device)
        wanted = torch.einsum("n,ncp,ncq->pq", counts, rows, rows)
        scale = wanted.diagonal().clamp_min(0).sqrt()
        relative, floor = self._precision(gram.dtype)
        allowed = relative * torch.outer(scale, scale) + floor * scale.max() ** 2
        return worst_entry(gram, wanted, allowed, "entry {}, {} of JᵀJ".format)

    def of(self, sample: int) -> Float[Tensor, "C P"]:
        """The rows of one sample."""
        return self._loop.rows(take(self._x, sample, sample + 1))[0]

    def of_all(self, samples: Sequence[int], dtype: torch.dtype) -> Float[Tensor, "n C P"]:
        """The rows of some samples."""
        return torch.stack([self.of(n).to(dtype) for n in samples])

    def _columns(self, names: Sequence[str], samples: Sequence[int]) -> Float[Tensor, "n C p"]:
        """The rows of some samples by some parameters."""
        rows = [self._loop.rows_by(names, take(self._x, n, n + 1)) for n in samples]
        return torch.cat(rows).to(self._functional.dtype)

    def _groups(self, samples: int) -> Iterator[list[str]]:
        """Parameters whose rows for so many samples fit together."""
        f = self._functional
        each = samples * f.n_outputs * f.dtype.itemsize
        room = float("inf") if self._memory is None else self._memory / _SHARE
        group: list[str] = []
        held = 0
        for name, size in zip(f.names, f.sizes, strict=True):
            if group and held + each * size > room:
                yield group
                group, held = [], 0
            group, held = [*group, name], held + each * size
        yield group

    def _near(self, values: Float[Tensor, "C P"], wanted: Float[Tensor, "C P"]) -> bool:
        """Whether all is well, as it mostly is, by few passes over memory; overwrites `wanted`.

        These passes cost as much as the backward passes before them where parameters are many.
        """
        if values.shape != wanted.shape:
            return False
        relative, floor = self._precision(wanted.dtype)
        blocks = wanted.split(self._functional.sizes, -1)
        largest = [_largest(block) for block in blocks]
        noise = floor * max(largest)
        wanted.sub_(values)
        return all(
            _largest(block) <= relative * size + noise < float("inf")
            for block, size in zip(blocks, largest, strict=True)
        )

    def _by_parameter(
        self, values: Tensor, wanted: Tensor, terms: Tensor, name: str
    ) -> Disagreement | None:
        """The first parameter's worst entry; `terms` of what adds up to `wanted`, in size."""
        f = self._functional
        relative, floor = self._precision(wanted.dtype)
        noise = floor * _largest(terms[terms.isfinite()].unsqueeze(0))
        blocks = zip(f.names, values.split(f.sizes, -1), wanted.split(f.sizes, -1), strict=True)
        for parameter, value, expected in blocks:
            largest = _largest(expected[expected.isfinite()].unsqueeze(0))

            def describe(c: int, p: int, parameter: str = parameter) -> str:
                return name.format(c, f"{parameter}[{p}]")

            allowed = torch.tensor(relative * largest + noise)
            worst = worst_entry(value, expected, allowed, describe)
            if worst is not None:
                return worst
        return None

    def _precision(self, dtype: torch.dtype) -> tuple[float, float]:
        """`tolerance` and `noise_floor` of the coarser of a result's dtype and the model's."""
        f = self._functional
        kinds = (dtype, f.coarsest_dtype)
        return (
            max(tolerance(kind, f.device) for kind in kinds),
            max(noise_floor(kind, f.device) for kind in kinds),
        )


def _largest(rows: Float[Tensor, "C p"]) -> float:
    """max |v|, NaN where there is one; 0 of none. Row by row, since `aminmax` wants whole ones."""
    if rows.numel() == 0:
        return 0.0
    ends = torch.stack([end for row in rows for end in torch.aminmax(row)])
    return float(ends.abs().max())
