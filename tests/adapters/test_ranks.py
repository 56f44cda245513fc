"""Ranks of the kernel at full quantum-dot size, as theory §1 and §4 predict them."""

import pytest
import torch

from ntklab.adapters import LoRA, TensorGuide, TeRA, TTDelta
from ntklab.jacobians import jacobian
from ntklab.spectra import DenseJacobian, spectrum
from ntklab.tensor_train import TTShape

N, D = 600, 512  # more samples than features: the ranks are those of the heads


@pytest.fixture(scope="module")
def features():
    generator = torch.Generator().manual_seed(11)
    return torch.randn(N, D, dtype=torch.float64, generator=generator)


def decided_rank(adapter, features):
    """The measured rank, from singular values with a clear gap."""
    found = spectrum(jacobian(adapter, features))
    assert found.gap is None or found.gap < 1e-6
    return found.rank


HEADS = {
    "linear probe": (1024, lambda h: h.probe()),
    "LoRA r = 4": (1024, lambda h: h.lora()),
    "LoRA, B = 0": (8, lambda h: h.lora(preset="paper")),
    "TT-LoRA": (632, lambda h: h.tt_lora()),
    "TG linear 1024": (1024, lambda h: h.tensorguide(1024, activation="identity")),
    "TG ReLU 64": (1059, lambda h: h.tensorguide(64)),
    "TG ReLU 1024": (1111, lambda h: h.tensorguide(1024)),
    "TG ReLU 4096": (1175, lambda h: h.tensorguide(4096)),
}


@pytest.mark.parametrize(("rank", "build"), HEADS.values(), ids=HEADS)
def test_rank_at_full_size(heads, features, rank, build):
    adapter = build(heads)
    assert decided_rank(adapter, features) == rank
    # At B = 0 the generic bound is far above; everywhere else it is attained.
    assert adapter.rank_bound(N) == (1024 if rank == 8 else rank)


@pytest.mark.parametrize(
    ("rank", "contrasts", "build"),
    [
        (632, 504, lambda h: h.tt_lora()),
        (1024, 512, lambda h: h.lora()),
        (1024, 512, lambda h: h.tensorguide(1024, activation="identity")),
        (1111, 600, lambda h: h.tensorguide(1024)),
    ],
    ids=["TT-LoRA", "LoRA", "TG linear", "TG ReLU"],
)
def test_what_softmax_sees(heads, features, rank, contrasts, build):
    """The logit difference of two classes: singular for linear heads once N > d (theory §4)."""
    rows = jacobian(build(heads), features).dense()
    difference = rows[0::2] - rows[1::2]
    assert spectrum(DenseJacobian(difference, 1)).rank == contrasts
    assert spectrum(DenseJacobian(rows, 2), centred=True).rank == contrasts
    assert spectrum(DenseJacobian(rows, 2)).rank == rank


def test_the_collapsed_widths_of_the_released_shapes(heads):
    """M = 1024 and 2048 give W1 the same rank 64, and 4096 gives 128 (theory P2)."""
    for width, effective in ((1024, 64), (2048, 64), (4096, 128)):
        head = heads.tensorguide(width)
        first = head.factors()[0].detach()
        assert int(torch.linalg.matrix_rank(first)) == effective == head.effective_width
        assert any(f"{effective}" in warning for warning in head.warnings)


def test_a_second_bond_lifts_the_collapse(heads):
    head = heads.tensorguide(1024, ranks=(1, 2, 2, 2, 1))
    assert int(torch.linalg.matrix_rank(head.factors()[0].detach())) == 128 == head.effective_width


@pytest.mark.parametrize("features_rank", [1, 3, 5])
@pytest.mark.parametrize("outputs", [1, 2, 5])
@pytest.mark.parametrize("rank", [1, 3])
def test_lora_attains_its_formula(features_rank, outputs, rank):
    """min(r, C) rank Φ + (C − min(r, C)) min(r, rank Φ) (theory P3)."""
    head = LoRA(7, outputs, rank, dtype=torch.float64)
    left, right = (
        torch.randn(*s, dtype=torch.float64) for s in ((9, features_rank), (features_rank, 7))
    )
    found = decided_rank(head, left @ right)
    through = min(rank, outputs)
    wanted = through * features_rank + (outputs - through) * min(rank, features_rank)
    assert found == wanted == head.rank_bound(9, features_rank)


def test_tera_loses_one_direction_for_every_exchange_of_a_factor():
    head = TeRA(12, 2, dims=(6, 4), ranks=(4, 3), dtype=torch.float64)
    assert decided_rank(head, torch.randn(30, 12, dtype=torch.float64)) == 6 == 7 - 2 + 1


def test_tt_delta_is_of_the_dimension_of_its_variety():
    # Σ r m r − Σ r² with ranks (1, 2, 2, 1): 12 + 16 + 8 − 8 = 28.
    shape = TTShape.plain((6, 4, 4), (1, 2, 2, 1))
    head = TTDelta(48, 2, shape=shape, dtype=torch.float64)
    assert decided_rank(head, torch.randn(60, 48, dtype=torch.float64)) == 28 == shape.rank_bound


def test_rectifying_raises_the_rank_past_the_features():
    """N = 70 > d = 64, C = 2: 128 for linear heads, all 140 for ReLU (theory, eq 27)."""
    features = torch.randn(70, 64, dtype=torch.float64)
    shape = TTShape((1, 2, 2), (16, 66, 8), (1, 3, 3, 1))
    ranks = {
        name: decided_rank(
            TensorGuide(64, 2, 128, shape=shape, activation=name, dtype=torch.float64), features
        )
        for name in ("identity", "relu")
    }
    assert ranks == {"identity": 128, "relu": 140}
