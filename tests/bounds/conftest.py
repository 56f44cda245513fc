"""Kernels and linearised problems that several bounds are tested on."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from ntklab.adapters import build_adapter
from ntklab.jacobians import jacobian


@dataclass
class Pool:
    """A finite population and a linearised adapter on it: its mean risk is *the* risk.

    Attributes: outputs before training (M, C), Jacobian rows (M, C, P), targets (M, C), classes.
    """

    start: Tensor
    rows: Tensor
    targets: Tensor
    classes: Tensor

    def draw(self, size: int, seed: int) -> Tensor:
        """Indices of an independent sample, with replacement."""
        generator = torch.Generator().manual_seed(seed)
        return torch.randint(len(self.start), (size,), generator=generator)


def make_pool(n_outputs: int, size: int = 2000, features: int = 5, noise: float = 0.3) -> Pool:
    """Gaussian features, a LoRA head at its random start, labels from a noisy linear teacher."""
    g = torch.Generator().manual_seed(n_outputs)
    x = torch.randn(size, features, generator=g, dtype=torch.float64) / features**0.5
    head = build_adapter("lora", features, n_outputs, rank=2, generator=g, dtype=torch.float64)
    with torch.no_grad():
        start = 0.2 * head(x)
    rows = jacobian(head, x).dense().reshape(size, n_outputs, -1)
    teacher = torch.randn(features, max(n_outputs, 2), generator=g, dtype=torch.float64)
    scores = x @ teacher + noise * torch.randn(size, max(n_outputs, 2), generator=g).double()
    classes = scores.argmax(dim=1)
    if n_outputs == 1:
        targets = 2.0 * classes.double()[:, None] - 1
    else:
        targets = torch.nn.functional.one_hot(classes, n_outputs).double()
    return Pool(start, rows, targets, classes)


@pytest.fixture(scope="session")
def margin_pool() -> Pool:
    return make_pool(1)


@pytest.fixture(scope="session")
def vector_pool() -> Pool:
    return make_pool(3)


@pytest.fixture
def random_kernel():
    """K = A Aᵀ of a chosen size and rank, float64."""

    def make(size: int, rank: int, seed: int = 0) -> Tensor:
        g = torch.Generator().manual_seed(seed)
        A = torch.randn(size, rank, generator=g, dtype=torch.float64)
        return A @ A.T

    return make
