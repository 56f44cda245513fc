"""Faults put into ntklab on purpose: each must fail the case that passes without it."""

import pytest
import torch

from ntklab.adapters.presets import Draws
from ntklab.errors import InputError
from ntklab.jacobians import Jacobian
from ntklab.jacobians.engines.structured import Structured
from ntklab.tensor_train import pullback
from ntklab.training.seeds import Minibatches
from ntklab.training.vocabulary_head import VocabularyHead
from tests.accelerator import kernels, runs
from tests.accelerator.pretended import pretended


def rows_on_the_cpu(patch) -> None:
    """Rows of J are left on the CPU."""
    rows = Structured.rows
    patch.setattr(Structured, "rows", lambda self, x: rows(self, x).cpu())


def numpy_without_cpu(patch) -> None:
    """A product is handed to scipy where it lies."""

    def to_scipy(self):
        import scipy.sparse.linalg

        def apply(v):
            return (self @ torch.as_tensor(v, dtype=torch.float64, device=self.device)).numpy()

        return scipy.sparse.linalg.LinearOperator(
            self.shape, matvec=apply, matmat=apply, dtype=float
        )

    patch.setattr(Jacobian, "to_scipy", to_scipy)


def generator_of_another_device(patch) -> None:
    """An adapter's entries are drawn where they go, by a generator of the CPU."""

    def normal(self, *size, std=1.0):
        options = {"dtype": torch.float64, "device": self.device}
        return std * torch.randn(*size, generator=self.generator, **options)

    patch.setattr(Draws, "normal", normal)


def rows_of_a_batch_on_the_cpu(patch) -> None:
    """Indices of a minibatch are left on the CPU."""
    rows = Minibatches.rows
    patch.setattr(Minibatches, "rows", lambda self, step: _cpu(rows(self, step)))


def _cpu(tensor):
    return None if tensor is None else tensor.cpu()


def buffer_on_the_cpu(patch) -> None:
    """A module makes a buffer without asking where its parameters are (it was so once)."""
    begin = VocabularyHead.__init__

    def made(self, *arguments, **options):
        begin(self, *arguments, **options)
        self.running = self.running.cpu()

    patch.setattr(VocabularyHead, "__init__", made)


def compiled_loop_on_the_device(patch) -> None:
    """The compiled loop of the CPU is taken for every device."""
    fits = pullback.shifts_pay

    def careless(cores, cut, features, second):
        return fits(cores, cut, torch.empty_like(features, device="cpu"), second)

    from ntklab.adapters import layer_rows

    patch.setattr(pullback, "shifts_pay", careless)
    patch.setattr(layer_rows, "shifts_pay", careless)


FAULTS = {
    rows_on_the_cpu: kernels.every_engine,
    numpy_without_cpu: kernels.every_engine,
    generator_of_another_device: kernels.adapters,
    rows_of_a_batch_on_the_cpu: runs.training,
    buffer_on_the_cpu: runs.vocabulary,
    compiled_loop_on_the_device: kernels.structured_without_numba,
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_fault_put_in_on_purpose_is_caught(fault, monkeypatch, tmp_path):
    device = pretended()
    fault(monkeypatch)
    with pytest.raises((RuntimeError, TypeError, AssertionError, InputError)) as caught:
        FAULTS[fault](device, tmp_path)
    words = ("same device", "Tensor.cpu", "generator", "cpu", "compiled loop")
    assert any(word in str(caught.value) for word in words), caught.value
