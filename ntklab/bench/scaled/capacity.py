"""Costs of a kernel of N samples, C outputs and P parameters, and the largest that fits a place.

Every figure of `docs/scale.md` is one of these formulas at given numbers. K is (NC)², b bytes an
entry, cut into blocks of s samples; W workers.
"""

from dataclasses import dataclass
from math import sqrt
from typing import Any

from ntklab.spectra.routes import gram_bytes

#: Bytes of the entries of J and of K as they are summed, and of K as it is kept.
SUMMED, KEPT = 8, 4

_HOUR = 3600.0


@dataclass(frozen=True)
class Place:
    """Machines that share a kernel.

    Attributes:
        name: in words.
        workers: W.
        flops: of one worker's float64 matrix product, a second.
        memory: bytes of one worker.
        network: bytes a second into one worker.
        disk: bytes for K.
        said: where flops, memory and network are from.
    """

    name: str
    workers: int
    flops: float
    memory: float
    network: float
    disk: float
    said: str


@dataclass(frozen=True)
class Demand:
    """Costs of a kernel.

    Attributes:
        samples: N.
        outputs: C.
        params: P.
        chunk: s, samples a block.

    Example:
        >>> demand = Demand(samples=20_000, outputs=2, params=1140, chunk=1000)
        >>> demand.blocks, round(demand.flops / 1e12, 2), round(demand.stored / 1e9, 2)
        (210, 1.92, 3.36)
    """

    samples: int
    outputs: int
    params: int
    chunk: int

    @property
    def side(self) -> int:
        """N·C."""
        return self.samples * self.outputs

    @property
    def strips(self) -> int:
        """N/s."""
        return -(-self.samples // self.chunk)

    @property
    def blocks(self) -> int:
        """Of the upper triangle: n(n + 1)/2 for n = N/s."""
        return self.strips * (self.strips + 1) // 2

    @property
    def flops(self) -> float:
        """2 P times the entries of all blocks: (NC)² P (1 + s/N)."""
        return 2.0 * self.params * self.blocks * (self.chunk * self.outputs) ** 2

    @property
    def rows(self) -> float:
        """Bytes of J as it travels: N·C·P·b; float64 models send twice those of float32 ones."""
        return float(SUMMED * self.side * self.params)

    @property
    def stored(self) -> float:
        """Bytes of K on disk, upper triangle of blocks: (NC)² b/2 (1 + s/N)."""
        return float(KEPT * self.blocks * (self.chunk * self.outputs) ** 2)

    def received(self, workers: int) -> float:
        """Bytes into one worker: at most the rows that it did not compute, N·C·P·b (1 − 1/W)."""
        return self.rows * (1 - 1 / workers)

    def seconds(self, place: Place) -> float:
        """Flops and bytes, one after the other: K's products, rows over the network."""
        products = self.flops / (place.workers * place.flops)
        return products + self.received(place.workers) / place.network


def most_side(place: Place, params: int, hours: float = 1.0) -> int:
    """The largest N·C whose K is computed in so many hours: √(3600 h W F/P)."""
    return int(sqrt(_HOUR * hours * place.workers * place.flops / params))


def most_solved(memory: float) -> int:
    """The largest side of a Gram matrix whose eigenvalues one machine finds: 7·8·n² bytes.

    Example:
        >>> most_solved(gram_bytes(20_000))
        20000
    """
    return int(sqrt(memory / gram_bytes(1)))


def most_kept(disk: float) -> int:
    """The largest N·C whose upper triangle a disk holds: √(2·disk/b).

    Example:
        >>> most_kept(200e9)
        316227
    """
    return int(sqrt(2 * disk / KEPT))


def most_params(place: Place) -> int:
    """The largest P whose triangles of the tall QR fit one worker, three at a time: √(M/24)."""
    return int(sqrt(place.memory / (3 * SUMMED)))


def places(flops: float, memory: float, disk: float) -> list[Place]:
    """One machine as measured, eight GPUs and a hundred workers on paper.

    Args:
        flops: of one worker here, measured.
        memory: of one worker here.
        disk: that is free here.
    """
    return [
        Place("this machine, 2 workers", 2, flops, memory, 2e9, disk, "measured; loopback 2 GB/s"),
        Place(
            *("8 H100", 8, 6.7e13, 80e9, 5e10, 1e13),
            "SXM card: float64 tensor cores 67 Tflop/s, 80 GB; 400 Gbit/s",
        ),
        Place(
            *("100 workers as here", 100, flops, memory, 1.25e9, 1e13),
            "as measured here; 10 Gbit/s each",
        ),
    ]


def capacity_rows(flops: float, memory: float, disk: float, params: int) -> list[dict[str, Any]]:
    """The largest kernels that fit each place, one row each, by the formulas above."""
    return [
        {
            "kind": "capacity",
            "case": place.name,
            "workers": place.workers,
            "flops": place.flops,
            "params": params,
            "side_in_an_hour": most_side(place, params),
            "side_kept": most_kept(place.disk),
            "side_solved": most_solved(place.memory),
            "params_of_triangle": most_params(place),
            "assumed": place.said,
            "reason": None,
        }
        for place in places(flops, memory, disk)
    ]
