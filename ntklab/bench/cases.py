"""The cases of `ntklab bench`: data, so that a new row is a new line."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ntklab.bench.inside.models import MODEL_CASES, ModelCase
from ntklab.bench.inside.vocabulary import VOCABULARY_CASES, VocabularyCase
from ntklab.bench.problem import MLP, Problem
from ntklab.bench.scaled.case import ScaleCase
from ntklab.errors import unknown


@dataclass(frozen=True)
class KernelCase:
    """One full kernel, by every contender.

    Attributes:
        name: what `--case` says.
        problem: at its real size.
        quick: at the size of `--quick`.
    """

    name: str
    problem: Problem
    quick: Problem


@dataclass(frozen=True)
class SpectrumCase:
    """One whole spectrum at a large number of outputs, in a process of its own."""

    name: str
    problem: Problem
    quick: Problem


@dataclass(frozen=True)
class Curve:
    """Jacobian time along one axis.

    Attributes:
        name: what `--case` says.
        axis: N, M, C or P.
        points: problems; their place on the axis is read off them.
        quick: the points of `--quick`.
    """

    name: str
    axis: str
    points: tuple[Problem, ...]
    quick: tuple[Problem, ...] = field(default=())


@dataclass(frozen=True)
class TrainingCase:
    """Training steps of a head on the features of images, by the fast loop and by slow ones.

    Attributes:
        name: what `--case` says.
        problem: the head; its samples are images.
        quick: at the size of `--quick`.
        batch: samples a step.
        steps: of the fast loop.
        few_steps: of the slow ones, which take as long.
        quick_steps: of the fast loop in the quick form.
    """

    name: str
    problem: Problem
    quick: Problem
    batch: int = 16
    steps: int = 10_000
    few_steps: int = 50
    quick_steps: int = 200


@dataclass(frozen=True)
class BlockCase:
    """One kernel's rows with blocks of several sizes, by shifts and by sweeps.

    Attributes:
        name: what `--case` says.
        problem: at its real size.
        quick: at the size of `--quick`.
        mebibytes: the sizes for a sweep.
        kibibytes: the sizes for a thread that goes by shifts; none on a GPU.
    """

    name: str
    problem: Problem
    quick: Problem
    mebibytes: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64)
    kibibytes: tuple[int, ...] = (256, 512, 1024, 2048, 4096, 8192)


@dataclass(frozen=True)
class CheckCase:
    """The comparison with `loop` beside the kernel of a ResNet-18, all its parameters trained.

    Attributes:
        name: what `--case` says.
        engine: whose rows are compared.
        samples: images of 50 × 50.
        quick_samples: those of `--quick`.
        outputs: C.
        memory: that rows and kernel may take; with less, rows are computed several times over.
    """

    name: str
    engine: str = "jacrev"
    samples: int = 64
    quick_samples: int = 8
    outputs: int = 2
    memory: str = "12GiB"


Case = (
    KernelCase
    | SpectrumCase
    | Curve
    | TrainingCase
    | BlockCase
    | CheckCase
    | ModelCase
    | VocabularyCase
    | ScaleCase
)

# Out-dims of the published head (d = 512, C = 2) by width; those from 1024 on are the paper's.
_OUT_DIMS = {
    256: (8, 4, 257, 16),
    512: (8, 8, 257, 16),
    1024: (16, 8, 257, 16),
    2048: (16, 8, 257, 32),
    4096: (16, 16, 257, 32),
}


def _tensorguide(
    width: int,
    *,
    samples: int = 1000,
    ranks: tuple[int, ...] = (1, 2, 2, 1, 1),
    activation: str = "relu",
) -> Problem:
    sizes = {
        "width": width,
        "in_dims": (1, 2, 2, 1),
        "out_dims": _OUT_DIMS[width],
        "tt_ranks": ranks,
        "activation": activation,
    }
    return Problem("tensorguide", samples, sizes=sizes)


def _kernel(name: str, problem: Problem) -> KernelCase:
    return KernelCase(name, problem, problem.with_samples(min(problem.samples, 200)))


def _large(name: str, method: str, **sizes: object) -> SpectrumCase:
    """The head of GPT-2 (768 → 50257); 200 outputs in a quick run, where shapes are planned."""
    fixed = dict(sizes)
    planned = {k: v for k, v in sizes.items() if k in ("rank", "width", "activation")}
    return SpectrumCase(
        name,
        Problem(method, 1024, 768, 50257, fixed),
        Problem(method, 16, 768, 200, planned),
    )


def _large_tensorguide(width: int, out_dims: tuple[int, ...]) -> SpectrumCase:
    """Shapes of 51025 M = 5·5·13·157·M weights, with the latent and ranks of the paper's head."""
    return _large(
        f"spectrum-tensorguide-{width}",
        "tensorguide",
        width=width,
        in_dims=(1, 2, 2, 1),
        out_dims=out_dims,
        tt_ranks=(1, 2, 2, 1, 1),
        activation="identity",
    )


def _curve(name: str, axis: str, points: Iterable[Problem]) -> Curve:
    """In a quick run the first three points with a fifth of the samples."""
    problems = tuple(points)
    return Curve(name, axis, problems, tuple(p.with_samples(p.samples // 5) for p in problems[:3]))


def _by_samples(width: int, activation: str, counts: tuple[int, ...]) -> tuple[Problem, ...]:
    head = _tensorguide(width, activation=activation)
    return tuple(head.with_samples(n) for n in counts)


_SAMPLES = (200, 400, 1000, 2000, 4000, 10_000)

_CASES: tuple[Case, ...] = (
    _kernel("relu-1024", _tensorguide(1024)),
    _kernel("relu-4096", _tensorguide(4096)),
    _kernel("uncollapsed-1024", _tensorguide(1024, ranks=(1, 2, 2, 2, 1))),
    _kernel("identity-1024", _tensorguide(1024, activation="identity")),
    _kernel("lora", Problem("lora", 1000, sizes={"rank": 4})),
    _kernel("lora-64", Problem("lora", 64, sizes={"rank": 4})),
    _kernel("tt-lora", Problem("tt-lora", 1000)),
    _kernel("tt-delta", Problem("tt-delta", 1000)),
    _kernel("tera", Problem("tera", 1000)),
    _kernel("linear-probe", Problem("linear-probe", 1000)),
    _kernel("mlp", Problem(MLP, 1000, sizes={"width": 64})),
    _large("spectrum-lora-1", "lora", rank=1),
    _large("spectrum-lora-4", "lora", rank=4),
    _large_tensorguide(1, (5, 5, 13, 157)),
    _large_tensorguide(2, (10, 5, 13, 157)),
    _large_tensorguide(4, (10, 10, 13, 157)),
    TrainingCase("training", _tensorguide(1024, samples=480), _tensorguide(256, samples=20)),
    BlockCase("block-size", _tensorguide(1024), _tensorguide(1024, samples=64)),
    BlockCase(
        "block-size-uncollapsed",
        _tensorguide(1024, ranks=(1, 2, 2, 2, 1)),
        _tensorguide(1024, samples=64, ranks=(1, 2, 2, 2, 1)),
    ),
    CheckCase("self-check"),
    ScaleCase("scale-20000", _tensorguide(1024, samples=20_000), _tensorguide(1024, samples=200)),
    _curve("samples-relu", "N", _by_samples(1024, "relu", _SAMPLES)),
    _curve("samples-identity", "N", _by_samples(1024, "identity", _SAMPLES)),
    _curve("width-relu", "M", (_tensorguide(m) for m in _OUT_DIMS)),
    _curve("width-identity", "M", (_tensorguide(m, activation="identity") for m in _OUT_DIMS)),
    _curve(
        "outputs-relu",
        "C",
        (Problem("tensorguide", 1000, 512, c, {"width": 256}) for c in (2, 4, 8, 16, 32)),
    ),
    _curve(
        "params-relu",
        "P",
        (_tensorguide(1024, ranks=(1, r, r, 1, 1)) for r in (1, 2, 4, 6, 8)),
    ),
    *MODEL_CASES,
    *VOCABULARY_CASES,
)

CASES: Mapping[str, Case] = {case.name: case for case in _CASES}


def cases_named(names: Iterable[str]) -> list[Case]:
    """The cases of those names, all if there are none.

    Raises:
        InputError: unknown name, with the nearest match.

    Example:
        >>> [case.name for case in cases_named(["lora-64"])]
        ['lora-64']
    """
    wanted = list(dict.fromkeys(names)) or list(CASES)
    for name in wanted:
        if name not in CASES:
            raise unknown("bench case", name, CASES)
    return [CASES[name] for name in wanted]
