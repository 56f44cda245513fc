"""How much `ntklab reproduce` computes, and where its results go."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ntklab.compute import resolve_device


@dataclass(frozen=True)
class Size:
    """How many samples and images, seeds of spectra and of training runs, and which widths."""

    samples: int
    seeds: Sequence[int]
    training_seeds: str
    widths: Sequence[int]
    images: int | None = None


QUICK = Size(256, range(5), "0:3", (64, 256, 1024))
FULL = Size(512, range(30), "0:30", (64, 256, 1024, 4096), images=1000)


@dataclass(frozen=True)
class Setting:
    """How much to compute, and where.

    Attributes:
        folder: of all results.
        quick: few seeds and samples.
        force: start afresh instead of resuming.
        device: a word of `--device`.
    """

    folder: Path
    quick: bool
    force: bool = False
    device: str = "auto"

    @property
    def size(self) -> Size:
        """How much is computed: a spectrum takes about 0.1 s in the quick form."""
        return QUICK if self.quick else FULL

    @property
    def given(self) -> dict[str, Any]:
        """Settings of everything that is computed on images."""
        given = {"samples": self.size.samples, "images": self.size.images}
        return {**given, "device": resolve_device(self.device)}
