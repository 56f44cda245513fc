import math

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from ntklab.bounds import cross_entropy_bound, gamma_inverse, gamma_transform
from ntklab.errors import InputError
from ntklab.spectra import Spectrum, centre_kernel, spectrum


@given(st.floats(-1e12, 1e12))
def test_inverse_against_thirty_digits(value):
    """Γ is steep at both ends, so L is determined to nearly full precision by any value."""
    with mpmath.workdps(40):
        edge = mpmath.log(abs(value) + 2)
        u = mpmath.findroot(
            lambda u: mpmath.exp(u) + 2 * u - mpmath.exp(-u) - value,
            (-edge, edge),
            solver="anderson",
        )
        expected = float(mpmath.exp(u))
    assert gamma_inverse(value) == pytest.approx(expected, rel=1e-12)


@given(st.floats(1e-8, 1e8))
def test_transform_and_inverse_undo_each_other(loss):
    assert gamma_inverse(gamma_transform(loss)) == pytest.approx(loss, rel=1e-8)


def test_one_sample_exactly():
    """ż = 1/(1 + e^z) from z = 0: z + e^z = 1 + t, so the loss is like 1/t (theory P9)."""
    half = Spectrum.from_values(torch.tensor([0.5]), size=1, centred=True)
    for time in (0.0, 0.5, 5.0, 100.0, 1e4):
        with mpmath.workdps(30):
            z = mpmath.findroot(lambda z, t=time: z + mpmath.exp(z) - 1 - t, math.log(1 + time))
            exact = float(mpmath.log(1 + mpmath.exp(-z)))
        bound = cross_entropy_bound(
            half, initial_loss=math.log(2), time=time, n_samples=1, n_outputs=2, measured=exact
        )
        assert bound.holds
        assert bound.value <= (1.1 if time >= 100 else 1.3) * exact  # both tend to 1/t
        assert bound.ingredients["rate"] == pytest.approx(1.0)
    assert exact > 1e-5 > math.exp(-100)  # an exponential rate would have failed long before


@pytest.mark.parametrize(("samples", "outputs"), [(3, 2), (4, 3), (2, 5)])
def test_above_softmax_flow_and_not_absurdly(samples, outputs):
    rng = np.random.default_rng(samples)
    size = samples * outputs
    A = rng.normal(size=(size, size + 4))
    K = A @ A.T / size
    y = rng.integers(outputs, size=samples)
    target = np.eye(outputs)[y].ravel()

    def softmax(f):
        z = f.reshape(samples, outputs)
        e = np.exp(z - z.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    def loss(f):
        return -np.log(softmax(f)[np.arange(samples), y]).sum()

    times = np.array([0.0, 1.0, 10.0, 100.0])
    start = rng.normal(size=size)
    path = solve_ivp(
        lambda _, f: -K @ (softmax(f).ravel() - target),
        (0, times[-1]), start, t_eval=times, rtol=1e-9, atol=1e-11, method="LSODA",
    )  # fmt: skip
    centred = spectrum(torch.from_numpy(K), centred=True, n_outputs=outputs)
    least = np.linalg.eigvalsh(centre_kernel(torch.from_numpy(K), outputs, compress=True))[0]
    assert centred.lambda_min == pytest.approx(least, rel=1e-8)
    ratios = []
    for time, f in zip(times, path.y.T, strict=True):
        bound = cross_entropy_bound(
            centred, initial_loss=loss(start), time=time, n_samples=samples, n_outputs=outputs,
            measured=loss(f),
        )  # fmt: skip
        assert bound.holds
        ratios.append(bound.value / bound.measured)
    assert ratios[0] == pytest.approx(1.0)
    assert ratios[-1] < 500


def test_no_value_for_a_singular_kernel_and_refusals():
    singular = Spectrum.from_values(torch.tensor([1.0]), size=2, centred=True)
    bound = cross_entropy_bound(singular, initial_loss=1.0, time=1.0, n_samples=2, n_outputs=2)
    assert bound.value is None
    assert "λ_min > 0" in bound.reason
    with pytest.raises(InputError, match="centred"):
        cross_entropy_bound(singular, initial_loss=1.0, time=1.0, n_samples=2, n_outputs=3)
    with pytest.raises(InputError, match="loss"):
        gamma_transform(0.0)
    with pytest.raises(InputError, match="finite"):
        gamma_inverse(math.inf)
