"""The floor: the time that the counted arithmetic takes at the speeds measured in the same run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from ntklab.adapters import Adapter
from ntklab.bench.counting import GRAM, Route, Stage, kernel_routes, smaller_side

GEMM, STREAM = "floor: matrix product", "floor: copy"

# The block in which the engine sweeps its cotangents (`ntklab.tensor_train.pullback`).
_STREAM_BYTES = 16 << 20


@dataclass(frozen=True)
class Speeds:
    """Measured speeds of this machine.

    Attributes:
        multiply_adds: of a matrix product, a second.
        bytes: read and written by a copy, a second.
    """

    multiply_adds: float
    bytes: float


@dataclass(frozen=True)
class Floor:
    """The least seconds over the known routes.

    Attributes:
        asked: multiply-adds at the matrix-product rate, with the Gram matrix of the smaller side
            in full: the measure that the project was given.
        flops: the same with the kernel's lower triangle where that is less: a matrix product that
            knows of symmetry needs no more.
        traffic: each stage takes the longer of its multiply-adds and its bytes (a roofline).
        route: the route of `traffic`.
        multiply_adds: of the route of `flops`.
    """

    asked: float
    flops: float
    traffic: float
    route: str
    multiply_adds: int


class Calibration:
    """Two measurements that run among the contenders, so that they see the same machine.

    Args:
        adapter: the head, whose Gram matrix sets the shape of the matrix product.
        samples: N.
        dtype: of both.
        device: of both.
    """

    def __init__(
        self, adapter: Adapter, samples: int, dtype: torch.dtype, device: torch.device | str
    ) -> None:
        self.short, self.long = gram_shape(adapter, samples)
        self._factor = torch.randn(self.short, self.long, dtype=dtype, device=device)
        self._gram = torch.empty(self.short, self.short, dtype=dtype, device=device)
        count = _STREAM_BYTES // self._factor.element_size()
        self._source = torch.ones(count, dtype=dtype, device=device)
        self._target = torch.empty_like(self._source)

    @property
    def runs(self) -> Mapping[str, Callable[[], object]]:
        """The two measurements by name."""
        return {
            GEMM: lambda: torch.mm(self._factor, self._factor.T, out=self._gram),
            STREAM: lambda: self._target.copy_(self._source),
        }

    def speeds(self, gemm_seconds: float, stream_seconds: float) -> Speeds:
        """From their times."""
        moved = 2 * self._source.numel() * self._source.element_size()
        return Speeds(self.short**2 * self.long / gemm_seconds, moved / stream_seconds)


def gram_shape(adapter: Adapter, samples: int) -> tuple[int, int]:
    """The smaller and the larger side of the matrix whose Gram matrix ends every route.

    J (N·C, P) in general; Φ (N, d) for a head whose kernel decouples over outputs.

    Example:
        >>> from ntklab.adapters import build_adapter
        >>> gram_shape(build_adapter("lora", 512, 2, rank=4), 1000)
        (512, 1000)
    """
    if "decoupled" in kernel_routes(adapter, 1):
        sides = sorted((samples, adapter.in_features))
    else:
        sides = sorted((samples * adapter.out_features, adapter.parameter_count))
    return sides[0], sides[1]


def floor(adapter: Adapter, samples: int, speeds: Speeds, itemsize: int) -> Floor:
    """The floor of a full kernel.

    Args:
        adapter: the head.
        samples: N.
        speeds: measured in the same run.
        itemsize: bytes of a number.

    Example:
        >>> from ntklab.adapters import build_adapter
        >>> found = floor(build_adapter("lora", 512, 2, rank=4), 1000, Speeds(5e10, 2e10), 4)
        >>> found.route, round(1e3 * found.flops, 1)
        ('decoupled', 5.2)
    """
    routes = kernel_routes(adapter, samples)
    totals = {name: sum(s.multiply_adds for s in stages) for name, stages in routes.items()}
    least = min(totals, key=lambda name: totals[name])
    timed = {name: _roofline(stages, speeds, itemsize) for name, stages in routes.items()}
    route = min(timed, key=lambda name: timed[name])
    plain = totals[least] - gram_of(routes[least]) + smaller_side(*gram_shape(adapter, samples))
    rate = speeds.multiply_adds
    return Floor(plain / rate, totals[least] / rate, timed[route], route, totals[least])


def gram_of(route: Route) -> int:
    """Multiply-adds of the Gram matrix that ends a route."""
    return next(stage.multiply_adds for stage in route if stage.name == GRAM)


def _roofline(stages: Route, speeds: Speeds, itemsize: int) -> float:
    def seconds(stage: Stage) -> float:
        moved = stage.numbers * itemsize / speeds.bytes
        return max(stage.multiply_adds / speeds.multiply_adds, moved)

    return sum(seconds(stage) for stage in stages)
