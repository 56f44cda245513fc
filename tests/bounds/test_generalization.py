import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ntklab.bounds import (
    Assumption,
    conclude,
    cross_entropy_ceiling,
    deviation_term,
    kappa_bound,
    monte_carlo_rademacher,
    radius_grid,
    risk_bound,
    trace_bound,
)
from ntklab.errors import InputError

K = 4 * torch.eye(25, dtype=torch.float64)  # R_S ≤ (1/25) √100 = 0.4


def test_every_constant_of_equation_15_by_hand():
    bound = risk_bound(
        train_risk=0.125, complexity=trace_bound(K), n_samples=25, lipschitz=0.5,
        loss_range=2.0, delta=0.02, measured=0.3,
    )  # fmt: skip
    # 0.125 + 2·0.5·0.4 + 3·2·√(ln 100/50)
    assert bound.value == pytest.approx(0.125 + 0.4 + 6 * math.sqrt(math.log(100) / 50), rel=1e-14)
    assert (bound.equation, bound.form, bound.holds) == ("15/20", "paper", True)


def test_vector_outputs_cost_the_square_root_of_two():
    common = {"train_risk": 0.0, "n_samples": 25, "lipschitz": 1.0, "loss_range": 1.0}
    scalar = risk_bound(complexity=trace_bound(K), **common)
    vector = risk_bound(complexity=trace_bound(K), vector_outputs=True, **common)
    assert vector.value - scalar.value == pytest.approx(0.8 * (math.sqrt(2) - 1))
    assert vector.form == "mended"
    assert risk_bound(complexity=kappa_bound(K), **common).equation == "21"


def test_the_probability_that_sampling_spends_is_counted():
    sampled = monte_carlo_rademacher(K, draws=10).as_bound(0.01)
    bound = risk_bound(
        train_risk=0, complexity=sampled, n_samples=25, lipschitz=1, loss_range=1, delta=0.05
    )
    assert bound.ingredients["delta"] == pytest.approx(0.06)


def test_no_risk_bound_from_a_complexity_without_value():
    lost = conclude(
        lambda: 1.0, name="x", equation="19", form="paper", bounds="R_S",
        assumptions=[Assumption("λ_min > 0", False, "rank 1 of 2")],
    )  # fmt: skip
    bound = risk_bound(train_risk=0, complexity=lost, n_samples=9, lipschitz=1, loss_range=1)
    assert bound.value is None
    assert "rank 1 of 2" in bound.reason


@given(norm=st.floats(0, 1e30), unit=st.floats(1e-6, 1e6))
def test_grid_holds_the_norm_in_the_first_ball_that_does(norm, unit):
    cell = radius_grid(norm, 0.05, unit=unit)
    assert cell.radius >= norm
    assert cell.step == 0 or cell.radius / 2 < norm
    assert cell.radius == unit * 2.0**cell.step


def test_grid_spends_no_more_than_delta():
    shares = [radius_grid(2.0**j, 0.05).delta for j in range(1000)]
    assert 0.0499 < sum(shares) < 0.05


@given(
    logits=st.lists(st.floats(-50, 50), min_size=2, max_size=6),
    label=st.integers(0, 5),
    split=st.floats(0, 1),
)
def test_ceiling_is_above_every_loss_in_the_ball(logits, label, split):
    f = torch.tensor(logits, dtype=torch.float64)
    loss = float(torch.nn.functional.cross_entropy(f[None], torch.tensor([label % len(f)])))
    size = float(f.norm())
    ceiling = cross_entropy_ceiling(
        start=split * size, radius=2.0, kappa=(1 - split) * size / 2, n_outputs=len(f)
    )
    assert loss <= ceiling * (1 + 1e-12)
    margin = float(f[0])
    logistic = float(torch.nn.functional.softplus(-f[0]))
    assert logistic <= cross_entropy_ceiling(
        start=abs(margin), radius=0.0, kappa=1.0, n_outputs=1, margin=True
    )


def test_ceiling_constants_are_attained():
    """At f = (−a, a) with the wrong label the loss is about √2 ‖f‖; at f = 0 it is ln C."""
    a = 200.0
    loss = float(
        torch.nn.functional.cross_entropy(torch.tensor([[-a, a]]).double(), torch.tensor([0]))
    )
    ceiling = cross_entropy_ceiling(start=0.0, radius=1.0, kappa=a * math.sqrt(2), n_outputs=2)
    assert 0.998 < loss / ceiling <= 1
    assert cross_entropy_ceiling(start=0, radius=0, kappa=0, n_outputs=7) == math.log(7)


def test_refusals():
    with pytest.raises(InputError, match="delta"):
        radius_grid(1.0, 0.0)
    with pytest.raises(InputError, match="norm"):
        radius_grid(-1.0, 0.1)
    with pytest.raises(InputError, match="n_outputs"):
        cross_entropy_ceiling(start=0, radius=1, kappa=1, n_outputs=1)
    with pytest.raises(InputError, match="n_samples"):
        risk_bound(train_risk=0, complexity=trace_bound(K), n_samples=0, lipschitz=1, loss_range=1)
    assert deviation_term(1.0, 50, 2 / math.e) == pytest.approx(0.3)


def test_powers_of_two_lie_on_the_edge_of_their_own_ball():
    for unit in (1.0, 0.1, 3e-7):
        for step in range(200):
            assert radius_grid(unit * 2.0**step, 0.05, unit=unit).step == step
