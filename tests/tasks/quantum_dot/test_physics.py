import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ntklab.tasks.quantum_dot.physics import (
    charging_energies,
    induced_charge,
    mean_occupation,
    sensor_signal,
)
from ntklab.tasks.quantum_dot.simulator import draw_device, gate_window


@st.composite
def dots(draw):
    """Charging energies, induced charges and k_B T in the range that the simulator draws from."""
    k = draw(st.integers(1, 2))
    total = np.array([draw(st.floats(40, 100)) for _ in range(k)])
    mutual = draw(st.floats(0, 0.4)) * math.sqrt(total.prod()) if k == 2 else 0.0
    induced = np.array([[draw(st.floats(-0.4, 8)) for _ in range(k)] for _ in range(4)])
    return charging_energies(total, mutual), induced, draw(st.floats(0.005, 0.08))


def energy(state, induced, charging):
    away = [n - g for n, g in zip(state, induced, strict=True)]
    k = range(len(away))
    return 0.5 * sum(away[i] * charging[i, j] * away[j] for i in k for j in k)


def brute_force(induced, charging, thermal):
    """Boltzmann mean over every occupation from 0 to 15 electrons in each dot."""
    states = list(itertools.product(range(16), repeat=len(induced)))
    energies = [energy(state, induced, charging) for state in states]
    weights = [math.exp(-(u - min(energies)) / thermal) for u in energies]
    return [
        math.fsum(w * s[i] for w, s in zip(weights, states, strict=True)) / math.fsum(weights)
        for i in range(len(induced))
    ]


@given(dots())
@settings(max_examples=25, deadline=None)
def test_occupation_equals_the_boltzmann_mean_over_a_bigger_window(case):
    charging, induced, thermal = case
    expected = [brute_force(point, charging, thermal) for point in induced]
    np.testing.assert_allclose(mean_occupation(induced, charging, thermal), expected, atol=1e-9)


@given(dots())
@settings(max_examples=25, deadline=None)
def test_occupation_at_vanishing_temperature_is_the_state_of_least_energy(case):
    charging, induced, _ = case
    found = mean_occupation(induced, charging, thermal=1e-9)
    for point, occupation in zip(induced, found, strict=True):
        states = sorted(
            itertools.product(range(16), repeat=len(point)),
            key=lambda s: energy(s, point, charging),
        )
        gap = energy(states[1], point, charging) - energy(states[0], point, charging)
        if gap > 1e-6:  # on a transition line two states share the ground
            np.testing.assert_array_equal(occupation, states[0])


def test_charging_energies_are_those_of_the_review():
    """E_C1 = e²/C1 / (1 - Cm²/C1C2) and E_Cm = e²/Cm / (C1C2/Cm² - 1), from e in coulomb."""
    e2 = (1.602176634e-19) ** 2
    c1, c2, cm = 50e-18, 90e-18, 15e-18
    to_mev = 1e3 / 1.602176634e-19
    first = e2 / c1 / (1 - cm**2 / (c1 * c2)) * to_mev
    mutual = e2 / cm / (c1 * c2 / cm**2 - 1) * to_mev
    energies = charging_energies(np.array([50.0, 90.0]), mutual=15.0)
    np.testing.assert_allclose([energies[0, 0], energies[0, 1]], [first, mutual], rtol=1e-12)
    np.testing.assert_array_equal(energies, energies.T)


def test_electrons_are_never_negative():
    occupation = mean_occupation(np.array([[-0.45, 0.2]]), charging_energies(np.ones(2) * 80), 0.08)
    assert (occupation >= 0).all()


def test_a_triple_point_shares_the_electron():
    """Where (1,0) and (0,1) are degenerate and lowest, each dot holds half an electron."""
    charging = charging_energies(np.array([80.0, 80.0]), mutual=20.0)
    np.testing.assert_allclose(
        mean_occupation(np.array([[0.5, 0.5]]), charging, 1e-4), [[0.5, 0.5]], atol=1e-12
    )


@pytest.mark.parametrize("seed", range(5))
def test_a_single_dot_has_one_family_of_lines(seed):
    """Gates moved along the null direction of the lever arms change nothing, anywhere."""
    rng = np.random.default_rng(seed)
    device = draw_device(rng, 1)
    (a, b) = device.lever[0]
    gates = rng.uniform(0, 60, size=(200, 2))
    moved = gates + rng.uniform(0, 5, size=(200, 1)) * np.array([b, -a]) / math.hypot(a, b)
    before, after = (
        mean_occupation(induced_charge(device, v), device.charging, device.thermal)
        for v in (gates, moved)
    )
    assert np.ptp(before) > 1
    np.testing.assert_allclose(before, after, atol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_a_double_dot_has_two_families_of_lines(seed):
    """Each dot's lines run steeper towards its own gate: their normals stay on two sides."""
    device = draw_device(np.random.default_rng(seed), 2)
    occupation = mean_occupation(
        induced_charge(device, gate_window(60.0)), device.charging, device.thermal
    )
    changes = []  # electrons that each dot gains over the window along V1, then along V2
    for dot in range(2):
        n = occupation[..., dot]
        changes.append([(n[:, -1] - n[:, 0]).mean(), (n[-1] - n[0]).mean()])
    (own1, cross1), (cross2, own2) = changes
    assert own1 > 1.5 * cross1 > 0
    assert own2 > 1.5 * cross2 > 0


def test_the_sensor_is_a_coulomb_peak():
    np.testing.assert_allclose(
        sensor_signal(np.array([0.0, 1.0, -1.0])), [1, 0.41997, 0.41997], 1e-4
    )
