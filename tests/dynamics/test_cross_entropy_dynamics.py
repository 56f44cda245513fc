"""The equation in function space against fine steps, P9, and linear models."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from ntklab.dynamics import CrossEntropyDynamics
from ntklab.errors import InputError


def problem(n, c, p, seed):
    generator = torch.Generator().manual_seed(seed)
    J = torch.randn(n * c, p, dtype=torch.float64, generator=generator) / p**0.5
    f0 = torch.randn(n, c, dtype=torch.float64, generator=generator)
    return J, f0, torch.randint(0, c, (n,), generator=generator)


def force(f, y):
    return f.softmax(-1) - torch.nn.functional.one_hot(y, f.shape[-1]).double()


def test_one_sample_follows_z_plus_exp_z():
    """P9: K ≡ 1 on the margin, ż = 1/(1 + e^z), so z + e^z = 1 + t and the loss falls as 1/t."""
    times = [0.0, 0.1, 1.0, 10.0, 100.0, 1e4, 1e6]
    run = CrossEntropyDynamics.of(
        0.5 * torch.eye(2).double(), torch.zeros(1, 2).double(), torch.tensor([1])
    ).flow(times)
    for t, f, loss in zip(times, run.outputs, run.loss, strict=True):
        z = brentq(lambda z, t=t: z + np.exp(z) - 1 - t, -1, 50, xtol=1e-14)
        assert (f[1] - f[0]).item() == pytest.approx(z, abs=1e-7)
        assert loss.item() == pytest.approx(np.log1p(np.exp(-z)), rel=1e-6)
    assert run.loss[4].item() == pytest.approx(1.03e-2, rel=0.02)
    assert run.loss[4].item() > 1e40 * np.exp(-100)  # where eq 10 promises 3e-44


@pytest.mark.parametrize(("n", "c", "p"), [(5, 2, 30), (4, 3, 5), (6, 4, 2)])
def test_flow_is_fine_euler_steps(n, c, p):
    """First order: halving the step must halve the distance, and Richardson must close it."""
    J, f0, y = problem(n, c, p, 0)
    K, horizon = J @ J.T, 3.0
    run = CrossEntropyDynamics.of(K, f0, y, scale=1 / n).flow([horizon])

    def euler(steps):
        f, h = f0.clone(), horizon / steps
        for _ in range(steps):
            f = f - h / n * (K @ force(f, y).flatten()).view_as(f)
        return f - f.mean(1, keepdim=True)

    exact = run.outputs.reshape(n, c)
    exact = exact - exact.mean(1, keepdim=True)
    coarse, fine = euler(1000), euler(2000)
    errors = [(f - exact).norm().item() for f in (coarse, fine)]
    assert errors[1] < 1e-3
    assert errors[0] / errors[1] == pytest.approx(2.0, abs=0.02)
    assert (2 * fine - coarse - exact).norm().item() < 1e-6


@settings(max_examples=20)
@given(n=st.integers(1, 4), c=st.integers(2, 4), p=st.integers(1, 8), seed=st.integers(0, 10**6))
def test_descent_is_the_loop_over_a_linear_model(n, c, p, seed):
    J, f0, y = problem(n, c, p, seed)
    steps, lr = [0, 1, 40], 0.3
    dynamics = CrossEntropyDynamics.of(J @ J.T, f0, y, scale=1 / n)
    run = dynamics.descent(steps, lr)
    theta = torch.zeros(p, dtype=torch.float64)
    for step in range(41):
        f = f0 + (J @ theta).view_as(f0)
        if step in steps:
            k = steps.index(step)
            loss = torch.nn.functional.cross_entropy(f, y)
            assert run.loss[k].item() == pytest.approx(loss.item(), rel=1e-10)
            logits = run.outputs[k].view_as(f0)
            torch.testing.assert_close(logits.softmax(1), f.softmax(1), rtol=1e-10, atol=1e-12)
            assert run.displacement[k].item() == pytest.approx(
                theta.norm().item(), rel=1e-6, abs=1e-9
            )
            change = run.change_at(J @ J.T)[k]
            torch.testing.assert_close(change, J @ theta, rtol=1e-6, atol=1e-8)
        theta -= lr / n * (J.T @ force(f, y).flatten())


def test_small_steps_of_descent_are_the_flow():
    J, f0, y = problem(4, 3, 20, 7)
    dynamics = CrossEntropyDynamics.of(J @ J.T, f0, y)
    flow = dynamics.flow([2.0])
    descent = dynamics.descent([20000], 1e-4)
    assert descent.loss.item() == pytest.approx(flow.loss.item(), rel=1e-3)


def test_a_constant_a_sample_changes_nothing_that_softmax_sees():
    J, f0, y = problem(4, 3, 20, 2)
    shift = torch.randn(4, 1, dtype=torch.float64)
    one = CrossEntropyDynamics.of(J @ J.T, f0, y).flow([0.5, 5.0])
    other = CrossEntropyDynamics.of(J @ J.T, f0 + shift, y).flow([0.5, 5.0])
    torch.testing.assert_close(one.loss, other.loss, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("method", ["BDF", "Radau"])
def test_stiff_methods_agree_over_ten_decades_of_eigenvalues(method):
    generator = torch.Generator().manual_seed(0)
    Q = torch.linalg.qr(torch.randn(10, 10, dtype=torch.float64, generator=generator))[0]
    K = (Q * torch.logspace(-6, 4, 10).double()) @ Q.T
    dynamics = CrossEntropyDynamics.of(K, torch.zeros(5, 2).double(), torch.tensor([0, 1, 0, 1, 1]))
    times = [1e-3, 1.0, 1e3]
    torch.testing.assert_close(
        dynamics.flow(times, method=method).loss,
        dynamics.flow(times).loss,
        rtol=1e-5,
        atol=1e-9,
    )


def test_times_may_come_in_any_order_and_twice():
    J, f0, y = problem(3, 2, 6, 1)
    run = CrossEntropyDynamics.of(J @ J.T, f0, y).flow([2.0, 0.0, 2.0])
    assert run.loss[0] == run.loss[2] < run.loss[1]
    assert run.loss[1].item() == pytest.approx(
        torch.nn.functional.cross_entropy(f0, y, reduction="sum").item(), rel=1e-12
    )


def test_what_does_not_fit_is_said():
    J, f0, y = problem(3, 2, 6, 1)
    with pytest.raises(InputError, match=r"give \(N, C\) and \(N,\)"):
        CrossEntropyDynamics.of(J @ J.T, f0, y[:2])
    with pytest.raises(InputError, match="t ≥ 0"):
        CrossEntropyDynamics.of(J @ J.T, f0, y).flow([-1.0])
    with pytest.raises(InputError, match="kernel of 6 rows"):
        CrossEntropyDynamics.of(torch.eye(4).double(), f0, y)
