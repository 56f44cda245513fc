import numpy as np
import pytest

from ntklab.tasks.quantum_dot import noise

SHAPE = (50, 50)


def mean_spectrum(draws):
    return np.mean([np.abs(np.fft.rfft(d.ravel())) ** 2 for d in draws], axis=0)[1:-1]


def slope(power):
    f = np.log(np.arange(1, len(power) + 1))
    return np.polyfit(f, np.log(power), 1)[0]


def test_white_noise_is_flat_and_pink_noise_falls_as_one_over_f():
    rng = np.random.default_rng(0)
    assert abs(slope(mean_spectrum([noise.white(rng, SHAPE) for _ in range(100)]))) < 0.03
    pink = [noise.pink(rng, SHAPE) for _ in range(100)]
    assert abs(slope(mean_spectrum(pink)) + 1) < 0.1
    np.testing.assert_allclose([p.std() for p in pink], 1)
    np.testing.assert_allclose([p.mean() for p in pink], 0, atol=1e-12)


@pytest.mark.parametrize("switching", [0.01, 0.2])
def test_telegraph_noise_has_two_levels_and_switches_as_often_as_asked(switching):
    rng = np.random.default_rng(1)
    draws = np.array([noise.telegraph(rng, SHAPE, switching).ravel() for _ in range(40)])
    assert set(np.unique(draws)) == {-1.0, 1.0}
    rate = (draws[:, 1:] != draws[:, :-1]).mean()
    error = np.sqrt(switching * (1 - switching) / (40 * 2499))
    assert abs(rate - switching) < 5 * error


def test_latching_lags_by_the_geometric_mean_and_never_leads():
    rng = np.random.default_rng(2)
    step = np.zeros((4000, 50, 1))
    step[:, 10:] = 1.0
    q = 0.5
    latched = noise.latch(rng, step, q)
    assert (latched <= step).all()  # an electron that comes late never comes early
    assert (np.diff(latched, axis=1) >= 0).all()  # and stays once it has come
    lag = (step - latched).sum(axis=(1, 2))
    # Mean (1-q)/q = 1 and variance (1-q)/q² = 2, over 4000 rows.
    assert abs(lag.mean() - 1.0) < 5 * np.sqrt(2 / 4000)


def test_latching_equals_the_loop_over_pixels():
    occupation = np.random.default_rng(3).random((3, 20, 2))
    latched = noise.latch(np.random.default_rng(4), occupation, 0.4)
    reached = np.random.default_rng(4).random(occupation.shape) < 0.4
    for row in range(3):
        for dot in range(2):
            held = occupation[row, 0, dot]
            for column in range(20):
                if reached[row, column, dot]:
                    held = occupation[row, column, dot]
                assert latched[row, column, dot] == held
