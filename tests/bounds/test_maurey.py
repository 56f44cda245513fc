import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ntklab.bounds import barron_bound, barron_moment
from ntklab.bounds.maurey import maurey_network
from ntklab.errors import InputError
from ntklab.tasks.barron import BarronTarget, barron_target


def quadrature(target, x, radius, points=20_000):
    """The representing integral by the midpoint rule, cosine by cosine."""
    values = torch.zeros(len(x), dtype=torch.float64)
    for a, omega, b in zip(target.amplitudes, target.frequencies, target.phases, strict=True):
        z, c = x @ omega, radius * float(omega.norm())
        u = (torch.arange(points, dtype=torch.float64) + 0.5) * c / points
        for side, phase in ((z, b), (-z, -b)):
            inner = (side.unsqueeze(1) - u).relu() * torch.cos(u + phase)
            values -= a * inner.sum(dim=1) * c / points
        values += a * (b.cos() - z * b.sin())
    return values


@given(seed=st.integers(0, 1000), d=st.integers(1, 4))
@settings(max_examples=8, deadline=None)
def test_the_integral_behind_the_draw_is_the_target(seed, d):
    target = barron_target(torch.ones(d, dtype=torch.float64), terms=3, seed=seed)
    x = torch.randn(20, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    radius = float(x.norm(dim=1).max())
    assert torch.allclose(quadrature(target, x, radius), target(x), atol=1e-5)


@pytest.mark.parametrize("phase", [0.0, 1.1])
def test_the_mean_of_many_units_is_the_target(phase):
    target = BarronTarget(
        torch.tensor([1.0, -0.5], dtype=torch.float64),
        torch.tensor([[1.0, 0.5], [0.0, 2.0]], dtype=torch.float64),
        torch.tensor([phase, -phase], dtype=torch.float64),
    )
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(50, 2, generator=generator, dtype=torch.float64)
    radius = float(x.norm(dim=1).max())
    network = maurey_network(target, 200_000, radius, generator=generator)
    found = (network(x) - target(x)).square().mean().sqrt()
    bound = barron_bound(
        width=200_000,
        constant=barron_moment(target.amplitudes, target.frequencies, activation="relu"),
        radius=radius,
    )
    assert found <= bound.value
    assert found < 0.05


def test_mean_square_error_falls_as_one_over_width_and_obeys_the_bound():
    target = barron_target(torch.ones(3, dtype=torch.float64), terms=4, seed=1)
    x = torch.randn(200, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    radius = float(x.norm(dim=1).max())
    constant = barron_moment(target.amplitudes, target.frequencies, activation="relu")

    def mean_square(width):
        squares = [
            float((network(x) - target(x)).square().mean())
            for seed in range(200)
            for network in [
                maurey_network(target, width, radius, generator=torch.Generator().manual_seed(seed))
            ]
        ]
        return sum(squares) / len(squares)

    narrow, wide = mean_square(4), mean_square(64)
    assert narrow / wide == pytest.approx(16, rel=0.35)
    for width, error in ((4, narrow), (64, wide)):
        assert math.sqrt(error) <= barron_bound(width=width, constant=constant, radius=radius).value


@pytest.mark.parametrize(("width", "radius"), [(0, 1.0), (3, 0.0), (3, -1.0)])
def test_impossible_sizes_are_refused(width, radius):
    target = barron_target(torch.ones(2, dtype=torch.float64), terms=2)
    with pytest.raises(InputError, match="width"):
        maurey_network(target, width, radius)


def test_a_constant_has_no_units():
    flat = BarronTarget(torch.ones(1), torch.zeros(1, 2), torch.zeros(1))
    with pytest.raises(InputError, match="constant"):
        maurey_network(flat, 3, 1.0)
