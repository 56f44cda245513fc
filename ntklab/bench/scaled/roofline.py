"""The least time of a bench case on an accelerator: counted work at the maker's peak rates.

The work is counted by running the code itself on torch's meta device, which has shapes and no
numbers (`ntklab.bench.counts`): so it is the way that a device takes, without the CPU's compiled
loops. Seconds are the least that the counts allow; a first measurement is set beside them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev, vmap

from ntklab.adapters import Adapter, DeltaAdapter, FactorAdapter
from ntklab.bench.cases import Case, Curve, KernelCase, SpectrumCase, TrainingCase, cases_named
from ntklab.bench.counts import Counts, counted
from ntklab.bench.inside.models import ModelCase, passes
from ntklab.bench.problem import Problem
from ntklab.bench.scaled.measured import measured_text
from ntklab.errors import unknown
from ntklab.jacobians.decoupled import decoupled_kernel
from ntklab.jacobians.dual import dual_gram
from ntklab.jacobians.symmetric import gram_matrix
from ntklab.spectra.decoupled import decoupled_singular_values
from ntklab.tables import in_markdown

#: Between them the table stands in a page.
ROOFLINE = "<!-- roofline: begin -->", "<!-- roofline: end -->"
_META = "meta"
_ALL = 1 << 50  # no memory is taken there


@dataclass(frozen=True)
class Peak:
    """The most that a device can do, as its maker says.

    Attributes:
        name: of the device.
        float32: multiply-adds a second, without TF32.
        float64: multiply-adds a second, tensor cores included.
        bytes: of memory read and written a second.
        memory: bytes that it has.
        launch: seconds that the host takes to start one operation; ours, not the maker's.
        source: of the figures.
    """

    name: str
    float32: float
    float64: float
    bytes: float
    memory: float
    launch: float
    source: str


PEAKS: Mapping[str, Peak] = {
    "h100": Peak(
        "NVIDIA H100 SXM5 80 GB",
        float32=67e12 / 2,
        float64=67e12 / 2,
        bytes=3.35e12,
        memory=80e9,
        launch=5e-6,
        source="the SXM column of NVIDIA's table, as resellers reprint it: FP32 67 TFLOPS, FP64 "
        "Tensor Core 67 TFLOPS, memory bandwidth 3.35 TB/s; the PCIe card has 51, 51 and 2.0; "
        "NVIDIA's own sheet was not read",
    )
}


@dataclass(frozen=True)
class Expected:
    """Work of a case and the least seconds for it.

    Attributes:
        case: its name.
        what: what is counted.
        counts: multiply-adds, bytes and operations.
        dtype: of the numbers.
    """

    case: str
    what: str
    counts: Counts
    dtype: str = "float32"

    def seconds(self, peak: Peak) -> dict[str, float]:
        """By what could bound it: arithmetic, memory, and the host that starts the operations.

        Example:
            >>> work = Expected("a", "a product", Counts(335 * 10**11, 3350, 2))
            >>> {name: round(value, 6) for name, value in work.seconds(PEAKS["h100"]).items()}
            {'arithmetic': 1.0, 'memory': 0.0, 'launches': 1e-05}
        """
        return {
            "arithmetic": self.counts.multiply_adds / getattr(peak, self.dtype),
            "memory": self.counts.bytes / peak.bytes,
            "launches": self.counts.operations * peak.launch,
        }


def expected(case: Case) -> list[Expected]:
    """The work of a case at its real size; a curve's largest point stands for it.

    Empty for a case that times the CPU's own loops or compares engines (`block-size`,
    `self-check`).

    Example:
        >>> work, = expected(cases_named(["lora-64"])[0])
        >>> work.what, work.counts.operations < 40
        ('full kernel', True)
    """
    if isinstance(case, KernelCase):
        return [_kernel_of(case.name, case.problem)]
    if isinstance(case, Curve):
        return [_rows_of(case.name, case.points[-1])]
    if isinstance(case, SpectrumCase):
        return [_spectrum_of(case)]
    if isinstance(case, TrainingCase):
        return [_training_of(case)]
    return [_passes_of(case)] if isinstance(case, ModelCase) else []


def roofline_rows(
    names: Iterable[str] = (), device: str = "h100", records: Path | None = None
) -> list[dict[str, str]]:
    """The table of `docs/engines.md`: a row for each case, each cell a text for people.

    Args:
        names: of cases; all if there are none.
        device: a name of `PEAKS`.
        records: folder of records; those that `ntklab gpu-records` has made of the bench stand
            beside what is expected, in ms and with their machine.

    Raises:
        InputError: a device that is not in `PEAKS`, or an unknown case.

    Cost: seconds for a head, up to a minute for a case inside a language model, which is built
    without values.

    Example:
        >>> row, = roofline_rows(["lora-64"])
        >>> row["what"], row["bound by"], row["measured"]
        ('full kernel, float32', 'launches', 'not yet measured')
    """
    if device not in PEAKS:
        raise unknown("device of a roofline", device, PEAKS)
    return [
        _row(work, PEAKS[device]) | {"measured": measured_text(case, records)}
        for case in cases_named(names)
        for work in expected(case)
    ]


def roofline_markdown(
    names: Iterable[str] = (), device: str = "h100", records: Path | None = None
) -> str:
    """The same as a page has it, under the peak rates and their source."""
    rows, peak = roofline_rows(names, device, records), PEAKS[device]
    told = (
        f"On paper, {peak.name}: {peak.float32 / 1e12:.3g} T multiply-adds a second in float32 "
        f"(no TF32) and {peak.float64 / 1e12:.3g} T in float64, {peak.bytes / 1e12:.3g} TB/s "
        f"({peak.source}); {peak.launch * 1e6:.3g} µs to start an operation is our own assumption."
    )
    return told + "\n\n" + in_markdown(list(rows[0]), [list(row.values()) for row in rows]).rstrip()


def _row(work: Expected, peak: Peak) -> dict[str, str]:
    times = work.seconds(peak)
    slowest = max(times, key=lambda name: times[name])
    return {
        "case": work.case,
        "what": f"{work.what}, {work.dtype}",
        "G multiply-adds": f"{work.counts.multiply_adds / 1e9:.3g}",
        "GB": f"{work.counts.bytes / 1e9:.3g}",
        "operations": str(work.counts.operations),
        **{f"{name}, ms": f"{1e3 * value:.3g}" for name, value in times.items()},
        "expected, ms": f"{1e3 * times[slowest]:.3g}",
        "bound by": slowest,
    }


def _kernel_of(name: str, problem: Problem) -> Expected:
    model, x = _on_meta(problem)
    return Expected(name, "full kernel", counted(lambda: _kernel(model, x)))


def _rows_of(name: str, problem: Problem) -> Expected:
    model, x = _on_meta(problem)
    axis = f"rows of J, N = {problem.samples}, C = {problem.outputs}"
    return Expected(name, axis, counted(lambda: _rows(model, x)))


def _on_meta(problem: Problem, dtype: torch.dtype = torch.float32) -> tuple[nn.Module, Tensor]:
    return problem.model(dtype, _META), problem.features(dtype, _META)


@torch.no_grad()
def _kernel(model: nn.Module, x: Tensor) -> Tensor:
    parts = model.decoupled(x) if isinstance(model, Adapter) else None
    if parts is not None:
        return decoupled_kernel(parts, parts, "full")
    return gram_matrix(_rows(model, x).flatten(0, 1))


@torch.no_grad()
def _rows(model: nn.Module, x: Tensor) -> Tensor:
    """∂f/∂θ, (N, C, P), as the engine `structured` or, for a plain network, `jacrev` has it."""
    if isinstance(model, FactorAdapter) and not model.basis_pays(x):
        return model.jacobian_rows(x)
    if isinstance(model, FactorAdapter):
        eye = torch.empty(model.in_features, model.in_features, dtype=x.dtype, device=_META)
        tangent = model.jacobian_rows(eye)
        return (x @ tangent.flatten(1)).reshape(len(x), *tangent.shape[1:])
    if isinstance(model, DeltaAdapter):
        tangent = model.scale * model.update_tangent()
        return (x @ tangent.flatten(1)).reshape(len(x), *tangent.shape[1:])
    params = dict(model.named_parameters())

    def outputs(values: dict[str, Tensor], row: Tensor) -> Tensor:
        return functional_call(model, values, (row[None],))[0]

    blocks = vmap(jacrev(outputs), (None, 0))(params, x)
    return torch.cat([block.flatten(2) for block in blocks.values()], 2)


def _spectrum_of(case: SpectrumCase) -> Expected:
    """Values of the decoupled blocks (N, n), or of the dual Gram matrix (n, n).

    The solvers' own work is not counted by torch: m n² + n³ multiply-adds for singular values of
    an (m, n) block by way of its R, and 2/3 n³ for eigenvalues of a Gram matrix.
    """
    model, x = _on_meta(case.problem, torch.float64)
    assert isinstance(model, Adapter)
    parts = model.decoupled(x)
    if parts is None:
        with torch.no_grad():
            counts = counted(lambda: dual_gram(model, x, torch.float64, _ALL))
        n = model.parameter_count
        what, solved = f"dual Gram matrix and its eigenvalues, n = {n}", 2 * n**3 // 3
    else:
        with torch.no_grad():
            counts = counted(lambda: decoupled_singular_values(parts))
        n = parts.shared.shape[1] + (0 if parts.coupled is None else parts.coupled.shape[1])
        blocks = 1 + (0 if parts.factor is None else min(parts.factor.shape))
        what = f"singular values of {blocks} blocks, {len(x)} × {n}"
        solved = blocks * (len(x) * n**2 + n**3)
    whole = replace(counts, multiply_adds=counts.multiply_adds + solved)
    return Expected(case.name, what, whole, "float64")


def _training_of(case: TrainingCase) -> Expected:
    """All steps: forward, backward, update."""
    model, _ = _on_meta(case.problem)
    x = torch.empty(case.batch, case.problem.in_features, device=_META)
    y = torch.zeros(case.batch, dtype=torch.int64, device=_META)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, foreach=True)

    def step() -> None:
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()

    one = counted(step)
    each = (one.multiply_adds, one.bytes, one.operations)
    return Expected(case.name, f"{case.steps} steps", Counts(*(case.steps * n for n in each)))


def _passes_of(case: ModelCase) -> Expected:
    """One forward pass and C backward passes, which every engine must make."""
    problem = case.problem
    model, x, readout = problem.build(_META)
    counts = counted(lambda: passes(model, x, readout))
    return Expected(case.name, f"forward and {problem.outputs} backward passes", counts)
