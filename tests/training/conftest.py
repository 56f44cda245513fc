"""Small problems on which runs take a fraction of a second."""

import pytest
import torch

from ntklab.tasks import load_task
from ntklab.training import Data


@pytest.fixture
def data() -> Data:
    """24 samples of 12 features in 2 classes, 6 to test by; float64."""
    return Data.of_task(load_task("synthetic", features=12, samples=24))


def parameters(model: torch.nn.Module) -> torch.Tensor:
    """All parameters as one vector."""
    return torch.cat([p.detach().reshape(-1) for p in model.parameters()])


@pytest.fixture
def flat():
    return parameters
