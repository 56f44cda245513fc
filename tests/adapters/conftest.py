"""The heads of the quantum-dot experiments at their published shapes."""

import pytest
import torch

from ntklab.adapters import LinearProbe, LoRA, TensorGuide, TTLoRA
from ntklab.tensor_train import TTShape

OUT_DIMS = {
    64: (8, 4, 257, 4),
    1024: (16, 8, 257, 16),
    2048: (16, 8, 257, 32),
    4096: (16, 16, 257, 32),
}


class QuantumDotHeads:
    """512 features, 2 outputs, float64, one seed."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    @property
    def _common(self):
        return {"generator": torch.Generator().manual_seed(self.seed), "dtype": torch.float64}

    def lora(self, **options):
        return LoRA(512, 2, 4, **self._common, **options)

    def probe(self):
        return LinearProbe(512, 2, **self._common)

    def tt_lora(self, **options):
        first = TTShape((8, 8, 8), (8, 8, 80), (1, 2, 2, 1))
        second = TTShape((4, 5), (10, 2), (1, 2, 1))
        return TTLoRA(512, 2, 10, shape1=first, shape2=second, **self._common, **options)

    def tensorguide(self, width=1024, ranks=(1, 2, 2, 1, 1), **options):
        shape = TTShape((1, 2, 2, 1), OUT_DIMS[width], ranks)
        return TensorGuide(512, 2, width, shape=shape, **self._common, **options)


@pytest.fixture
def heads():
    return QuantumDotHeads()
