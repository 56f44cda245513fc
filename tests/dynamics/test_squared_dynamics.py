"""Closed forms against linear models trained step by step, and against scipy."""

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ntklab.dynamics import Modes, SquaredDynamics
from ntklab.errors import InputError
from ntklab.spectra import spectrum

SHAPES = {"rows": st.integers(1, 9), "columns": st.integers(1, 9), "seed": st.integers(0, 10**6)}


def problem(rows, columns, seed):
    """J of any shape, so that K is singular or not; r_0; a step size within the limit."""
    generator = torch.Generator().manual_seed(seed)
    J = torch.randn(rows, columns, dtype=torch.float64, generator=generator)
    r = torch.randn(rows, dtype=torch.float64, generator=generator)
    return J, r, float(torch.rand((), generator=generator)) * 2 / float((J @ J.T).norm())


@settings(max_examples=30)
@given(**SHAPES)
def test_descent_is_the_loop_over_a_linear_model(rows, columns, seed):
    J, r0, lr = problem(rows, columns, seed)
    scale, steps = 1 / rows, [0, 1, 2, 17, 200]
    run = SquaredDynamics.of(J @ J.T, r0, scale=scale).descent(steps, lr)
    theta = torch.zeros(columns, dtype=torch.float64)
    for step in range(201):
        r = r0 + J @ theta
        if step in steps:
            k = steps.index(step)
            torch.testing.assert_close(run.outputs[k], r, rtol=1e-10, atol=1e-10)
            assert run.loss[k].item() == pytest.approx(
                0.5 * scale * (r @ r).item(), rel=1e-10, abs=1e-13
            )
            assert run.displacement[k].item() == pytest.approx(
                theta.norm().item(), rel=1e-6, abs=1e-9
            )
        theta -= lr * scale * (J.T @ r)


@settings(max_examples=30)
@given(**SHAPES)
def test_flow_is_the_matrix_exponential(rows, columns, seed):
    J, r0, _ = problem(rows, columns, seed)
    K, times = (J @ J.T).numpy(), [0.0, 1e-3, 0.5, 20.0]
    run = SquaredDynamics.of(torch.from_numpy(K), r0, scale=0.3).flow(times)
    for t, outputs in zip(times, run.outputs, strict=True):
        expected = scipy.linalg.expm(-0.3 * t * K) @ r0.numpy()
        np.testing.assert_allclose(outputs.numpy(), expected, rtol=1e-9, atol=1e-10)


def test_a_rate_above_the_limit_grows_as_the_loop_does():
    K, r0 = torch.diag(torch.tensor([4.0, 1.0])).double(), torch.ones(2).double()
    run = SquaredDynamics.of(K, r0).descent([0, 1, 5], lr=0.75)  # (1 − 3)^k and (1 − 0.75)^k
    expected = torch.tensor([[1, 1], [-2, 0.25], [-32, 0.25**5]], dtype=torch.float64)
    torch.testing.assert_close(run.outputs, expected)


def test_what_is_in_the_kernel_of_k_never_moves_and_is_the_floor():
    J, r0, _ = problem(8, 3, 0)
    dynamics = SquaredDynamics.of(J @ J.T, r0, scale=0.5)
    null = scipy.linalg.null_space(J.T.numpy())
    part = null @ (null.T @ r0.numpy())
    np.testing.assert_allclose(dynamics.kernel_residual.numpy(), part, atol=1e-12)
    assert dynamics.floor == pytest.approx(0.25 * part @ part)
    late = dynamics.flow([1e12])
    assert late.loss.item() == pytest.approx(dynamics.floor)
    minimum_norm = np.linalg.lstsq(J.numpy(), -r0.numpy(), rcond=None)[0]
    assert late.displacement.item() == pytest.approx(np.linalg.norm(minimum_norm))


def test_loss_splits_over_the_modes():
    J, r0, _ = problem(6, 4, 3)
    dynamics = SquaredDynamics.of(J @ J.T, r0, scale=0.5)
    run = dynamics.flow([0.1, 1.0])
    torch.testing.assert_close(run.mode_losses.sum(1) + dynamics.floor, run.loss)
    values, vectors = torch.linalg.eigh(J @ J.T)
    for t, losses in zip((0.1, 1.0), run.mode_losses, strict=True):
        expected = 0.25 * (torch.exp(-0.5 * values * t) * (vectors.T @ r0)) ** 2
        torch.testing.assert_close(losses, expected.flip(0)[: len(losses)], rtol=1e-8, atol=1e-12)


def test_predictions_at_other_points_are_those_of_the_linear_model():
    J, r0, lr = problem(5, 9, 1)
    other = torch.randn(4, 9, dtype=torch.float64)
    run = SquaredDynamics.of(J @ J.T, r0).descent([0, 30], lr)
    theta = torch.zeros(9, dtype=torch.float64)
    for _ in range(30):
        theta -= lr * (J.T @ (r0 + J @ theta))
    change = run.change_at(other @ J.T)
    torch.testing.assert_close(change[1], other @ theta, rtol=1e-9, atol=1e-11)
    assert change[0].abs().max() == 0
    with pytest.raises(InputError, match="cross kernel"):
        run.change_at(other)


def test_a_jacobian_a_kernel_and_a_spectrum_agree():
    from ntklab.spectra import DenseJacobian

    J, r0, lr = problem(6, 9, 2)
    sources = (J @ J.T, DenseJacobian(J, n_outputs=2), spectrum(J @ J.T, vectors=True))
    losses = [SquaredDynamics.of(source, r0).descent([3, 40], lr).loss for source in sources]
    for loss in losses[1:]:
        torch.testing.assert_close(loss, losses[0], rtol=1e-9, atol=1e-12)


def test_outputs_are_outputs_where_targets_are_given():
    J, r0, _ = problem(4, 4, 5)
    y = torch.arange(4.0).double()
    run = SquaredDynamics.of(J @ J.T, r0, targets=y).flow([0.0])
    torch.testing.assert_close(run.outputs[0], r0 + y)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda K: SquaredDynamics.of(K, torch.ones(3)), "3 entries does not fit"),
        (lambda K: SquaredDynamics.of(K, torch.ones(2), scale=0.0), "must be positive"),
        (lambda K: SquaredDynamics.of(K, torch.ones(2), targets=torch.ones(3)), "do not fit"),
        (lambda K: Modes.of(spectrum(K)), "vectors=True"),
        (lambda K: Modes.of(spectrum(K, vectors=True), centred=True), "centred spectrum"),
    ],
)
def test_what_does_not_fit_is_said(call, words):
    with pytest.raises(InputError, match=words):
        call(torch.eye(2).double())
