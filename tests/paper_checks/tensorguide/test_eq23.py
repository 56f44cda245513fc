import pytest
import torch

from ntklab.claims import Effort, Verdict
from paper_checks.tensorguide.eq23 import CHECK, collect, trial


def swapped(A, B):
    """[I ⊗ B | Aᵀ ⊗ I]: right for columns, wrong for rows."""
    by_a = torch.kron(torch.eye(A.shape[1], dtype=A.dtype), B)
    return torch.cat([by_a, torch.kron(A.T.contiguous(), torch.eye(len(B), dtype=A.dtype))], dim=1)


def test_holds_for_the_library():
    found = CHECK.judge(CHECK.measure(Effort()))
    assert found.verdict is Verdict.OK
    assert "times too small" in found.because


def test_a_derivative_in_another_order_is_found_out():
    found = CHECK.judge(collect([trial(seed, swapped) for seed in range(3)]))
    assert found.verdict is Verdict.FALSE


def test_a_missing_factor_is_found_out():
    def only_a(A, B):
        return torch.kron(B, torch.eye(A.shape[1], dtype=A.dtype))

    row = trial(0, only_a)
    assert row["chain_error"] > 1e-3
    assert row["closed_error"] == pytest.approx(0, abs=1e-12)
