"""Alignment with labels and between kernels."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ntklab.errors import InputError
from ntklab.spectra import (
    DenseJacobian,
    centre_rows,
    cka,
    kernel_target_alignment,
    label_alignment,
    relative_distance,
    spectrum,
)


def gaussian(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 4), st.integers(2, 4), st.integers(1, 12), st.integers(0, 99))
def test_energies_and_residual_add_up_and_match_projections(N, C, P, seed):
    J, Y = gaussian(N * C, P, seed=seed), gaussian(N, C, seed=seed + 1)
    split = label_alignment(spectrum(DenseJacobian(J, C), vectors=True), Y)
    y = Y.reshape(-1)
    fitted = J @ torch.linalg.pinv(J) @ y
    assert split.total == pytest.approx(float(y @ y))
    assert split.residual == pytest.approx(float(((y - fitted) ** 2).sum()), abs=1e-10)
    assert float(split.energy.sum()) + split.residual == pytest.approx(split.total)
    assert float(split.cumulative[-1]) + split.residual_fraction == pytest.approx(1.0)
    assert split.energy.shape == (min(N * C, P),)


def test_centred_labels_lose_only_their_mean():
    J, Y = gaussian(12, 50), gaussian(4, 3, seed=1)
    s = spectrum(DenseJacobian(J, 3), centred=True, vectors=True)
    split = label_alignment(s, Y + 100)
    centred = centre_rows(Y.reshape(-1, 1), 3)
    assert split.total == pytest.approx(float((centred**2).sum()))
    assert split.residual == pytest.approx(0.0, abs=1e-18)
    with pytest.raises(InputError, match="cannot be centred"):
        label_alignment(s, Y.reshape(-1))


def test_label_alignment_refusals():
    s = spectrum(torch.eye(3), vectors=True)
    with pytest.raises(InputError, match="vectors=True"):
        label_alignment(spectrum(torch.eye(3)), torch.ones(3))
    with pytest.raises(InputError, match="do not fit"):
        label_alignment(s, torch.ones(4))
    with pytest.raises(InputError, match="zero"):
        label_alignment(s, torch.zeros(3))


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 8), st.integers(1, 3), st.integers(0, 99))
def test_alignment_equals_its_definition_with_explicit_centring(n, C, seed):
    A = gaussian(n, n + 2, seed=seed)
    K, Y = A @ A.T, gaussian(n, C, seed=seed + 1)
    H = torch.eye(n).double() - 1 / n
    for centred, K1, L1 in ((False, K, Y @ Y.T), (True, H @ K @ H, H @ Y @ Y.T @ H)):
        wanted = float(torch.trace(K1 @ L1) / (K1.norm() * L1.norm()))
        assert kernel_target_alignment(K, Y, sample_centred=centred) == pytest.approx(wanted)
        assert cka(K, Y @ Y.T, sample_centred=centred) == pytest.approx(wanted)
    y = Y[:, 0]
    by_quadratic_form = float(y @ K @ y / (K.norm() * (y @ y)))
    assert kernel_target_alignment(K, y) == pytest.approx(by_quadratic_form)


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 8), st.floats(1e-150, 1e3), st.integers(0, 99))
def test_cka_ignores_scale_and_distance_does_not(n, scale, seed):
    A, B = gaussian(n, n + 1, seed=seed), gaussian(n, n + 1, seed=seed + 1)
    K, L = A @ A.T, B @ B.T
    for flag in (True, False):
        assert cka(scale * K, scale * K, sample_centred=flag) == pytest.approx(1.0)
        assert cka(K, L, sample_centred=flag) == pytest.approx(
            cka(scale * K, L, sample_centred=flag)
        )
    assert relative_distance(scale * K, scale * L) == pytest.approx(
        float((K - L).norm() / L.norm())
    )
    assert relative_distance((1 + 1e-3) * K, K) == pytest.approx(1e-3)


def test_kernels_without_direction_are_refused():
    with pytest.raises(InputError, match="once centred"):
        cka(torch.ones(3, 3), torch.eye(3))
    with pytest.raises(InputError, match="zero"):
        cka(torch.zeros(3, 3), torch.eye(3), sample_centred=False)
    with pytest.raises(InputError, match="do not compare"):
        cka(torch.eye(2), torch.eye(3))
    with pytest.raises(InputError, match="do not compare"):
        relative_distance(torch.eye(2), torch.eye(3))
    with pytest.raises(InputError, match="zero"):
        relative_distance(torch.eye(2), torch.zeros(2, 2))
    with pytest.raises(InputError, match="do not fit"):
        kernel_target_alignment(torch.eye(2), torch.ones(3))
