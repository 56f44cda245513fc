import math

import numpy as np
import pytest
import tensorly
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from tensorly.decomposition import tensor_train

from ntklab.bounds import (
    GELU_LIPSCHITZ,
    LIPSCHITZ,
    barron_bound,
    barron_moment,
    cross_entropy_lipschitz,
    risk_gap_bound,
    sum_bound,
    truncate_head,
    truncation_bound,
    tt_svd_bounds,
)
from ntklab.errors import InputError
from ntklab.tensor_train import plan, reconstruct, tt_svd

F = torch.nn.functional


def test_lipschitz_constants_of_the_losses_hold_and_are_attained():
    g = torch.Generator().manual_seed(0)
    f, h = 5 * torch.randn(2, 100_000, 4, generator=g, dtype=torch.float64)
    y = torch.randint(0, 4, (100_000,), generator=g)
    gap = (F.cross_entropy(f, y, reduction="none") - F.cross_entropy(h, y, reduction="none")).abs()
    slope = float((gap / (f - h).norm(dim=1)).max())
    assert slope <= cross_entropy_lipschitz()
    far = torch.tensor([[-40.0, 40.0]], dtype=torch.float64, requires_grad=True)
    F.cross_entropy(far, torch.tensor([0])).backward()
    assert float(far.grad.norm()) == pytest.approx(cross_entropy_lipschitz())
    margin = torch.tensor([-40.0], dtype=torch.float64, requires_grad=True)
    F.softplus(-margin).sum().backward()
    assert float(margin.grad.abs()) == pytest.approx(cross_entropy_lipschitz(margin=True))


def test_lipschitz_constants_of_the_activations():
    from ntklab.adapters.activation import ACTIVATIONS

    u = torch.linspace(-6, 6, 200_001, dtype=torch.float64)
    for name, constant in LIPSCHITZ.items():
        steepest = float(ACTIVATIONS[name].derivative(u).abs().max())
        assert steepest == pytest.approx(constant, rel=1e-8)
        assert float(ACTIVATIONS[name].function(torch.zeros(1))) == 0.0
    derivative = ACTIVATIONS["gelu"].derivative
    best = minimize_scalar(
        lambda v: -float(derivative(torch.tensor(v, dtype=torch.float64))),
        bounds=(0, 3), method="bounded", options={"xatol": 1e-10},
    )  # fmt: skip
    assert pytest.approx(-best.fun, rel=1e-12) == GELU_LIPSCHITZ


def test_risk_gap_on_random_pairs():
    g = torch.Generator().manual_seed(1)
    for _ in range(50):
        h, f = torch.randn(2, 30, 3, generator=g, dtype=torch.float64)
        y = torch.randint(0, 3, (30,), generator=g)
        gap = float(F.cross_entropy(f, y) - F.cross_entropy(h, y))
        assert risk_gap_bound(float((h - f).norm(dim=1).mean()), measured=gap).holds


@pytest.mark.parametrize(("activation", "rate"), [("tanh", 2 * 3.0 * 0.7), ("relu", 2 * 9.0 * 0.7)])
def test_barron_constants_by_hand(activation, rate):
    bound = barron_bound(width=25, constant=0.7, radius=3.0, activation=activation, biases=True)
    assert bound.value == pytest.approx(rate / 5)


@pytest.mark.parametrize("activation", ["identity", "gelu"])
def test_no_barron_rate_without_its_activation(activation):
    bound = barron_bound(width=25, constant=0.7, radius=3.0, activation=activation)
    assert bound.value is None
    assert activation in bound.reason
    assert "biases" in barron_bound(width=1, constant=1, radius=1, biases=False).reason
    with pytest.raises(InputError, match="swish"):
        barron_bound(width=1, constant=1, radius=1, activation="swish")


@pytest.fixture(scope="module")
def cosines():
    """Σ a_k cos(ω_k·x + b_k) on points of the unit ball."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=5), rng.uniform(0, 2 * np.pi, 5)
    omega = rng.normal(size=(5, 2)) * 2
    x = rng.normal(size=(800, 2))
    x *= (rng.uniform(size=800) ** 0.5 / np.linalg.norm(x, axis=1))[:, None]
    return a, b, omega, x


def test_relu_representation_behind_the_constant(cosines):
    """The integral itself reproduces h minus its affine part, with total mass 2 r C."""
    a, b, omega, x = cosines
    size = np.linalg.norm(omega, axis=1)
    u = (np.arange(4000) + 0.5) / 4000  # midpoints of [0, r], r = 1
    total = np.zeros(len(x))
    for k in range(5):
        t = x @ omega[k] / size[k]
        for sign in (1, -1):
            unit = np.maximum(sign * t[:, None] - u, 0)
            weight = -a[k] * size[k] ** 2 * np.cos(sign * size[k] * u + b[k])
            total += unit @ weight / len(u)
    rest = np.cos(x @ omega.T + b) @ a - np.cos(b) @ a + (x @ omega.T) @ (a * np.sin(b))
    np.testing.assert_allclose(total, rest, atol=1e-5)
    moment = barron_moment(torch.from_numpy(a), torch.from_numpy(omega), activation="relu")
    assert moment == pytest.approx(float(np.abs(a) @ size**2))


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_sampled_networks_keep_the_barron_rate(cosines, activation):
    """Draw units as the proof does, refit the output layer: the best of 5 is within the bound."""
    a, b, omega, x = cosines
    rng = np.random.default_rng(1)
    target = np.cos(x @ omega.T + b) @ a
    size = np.linalg.norm(omega, axis=1)
    power = 2 if activation == "relu" else 1
    moment = barron_moment(torch.from_numpy(a), torch.from_numpy(omega), activation=activation)
    p = np.abs(a) * size**power / moment
    for width in (8, 64):
        errors = []
        for _ in range(5):
            k = rng.choice(5, size=width, p=p / p.sum())
            t = (x @ omega.T)[:, k] / size[k] * rng.choice([-1, 1], size=width)
            u = rng.uniform(-1, 1, size=width) if activation == "tanh" else rng.uniform(size=width)
            units = np.maximum(t - u, 0) if activation == "relu" else np.tanh(200 * (t - u))
            free = [np.ones((len(x), 1))] + ([x] if activation == "relu" else [])
            design = np.hstack([units, *free])
            fitted = design @ np.linalg.lstsq(design, target, rcond=None)[0]
            errors.append(np.sqrt(np.mean((fitted - target) ** 2)))
        bound = barron_bound(
            width=width, constant=moment, radius=1.0, activation=activation, biases=True,
            measured=min(errors),
        )  # fmt: skip
        assert bound.holds
        assert bound.assumptions_hold is None


@given(
    modes=st.lists(st.integers(2, 5), min_size=2, max_size=4),
    rank=st.integers(1, 4),
    seed=st.integers(0, 999),
)
def test_tails_enclose_tt_svd(modes, rank, seed):
    g = torch.Generator().manual_seed(seed)
    w = torch.randn(*modes, generator=g, dtype=torch.float64)
    lower, upper, best = tt_svd_bounds(w, rank)
    tails = []
    for k in range(1, len(modes)):
        s = np.linalg.svd(w.numpy().reshape(math.prod(modes[:k]), -1), compute_uv=False)
        tails.append(float((s[rank:] ** 2).sum()))
    assert lower.holds
    assert upper.holds
    assert lower.value == pytest.approx(math.sqrt(max(tails)), abs=1e-12)
    assert upper.value == pytest.approx(math.sqrt(sum(tails)), abs=1e-12)
    assert best.value == pytest.approx(upper.measured / math.sqrt(len(modes) - 1))
    # ε_best is not computed, but any train of these ranks is above it.
    other = tt_svd(w.permute(*reversed(range(w.ndim))), ranks=rank)
    assert other.error >= best.value - 1e-9


def test_tt_svd_error_is_that_of_a_well_kept_library():
    g = torch.Generator().manual_seed(0)
    w = torch.randn(5, 4, 6, 3, generator=g, dtype=torch.float64)
    ranks = [1, 3, 4, 2, 1]
    _, upper, _ = tt_svd_bounds(w, ranks)
    theirs = tensorly.tt_to_tensor(tensor_train(w.numpy(), rank=ranks))
    assert upper.measured == pytest.approx(float(np.linalg.norm(w.numpy() - theirs)), abs=1e-10)


def test_ranks_too_small_to_say_anything_are_vacuous():
    g = torch.Generator().manual_seed(0)
    w = torch.randn(8, 8, 8, 8, generator=g, dtype=torch.float64)
    _, upper, _ = tt_svd_bounds(w, 1)
    assert upper.vacuous  # √Σ τ exceeds ‖w‖, which the zero train attains


@pytest.mark.parametrize("activation", sorted(LIPSCHITZ))
def test_truncating_a_head_costs_at_most_the_provable_form(activation):
    g = torch.Generator().manual_seed(0)
    for trial in range(20):
        W1 = torch.randn(6, 8, generator=g, dtype=torch.float64)
        W2 = torch.randn(8, 2, generator=g, dtype=torch.float64)
        phi = torch.randn(40, 6, generator=g, dtype=torch.float64)
        w = torch.cat([W1.reshape(-1), W2.reshape(-1)]).reshape(8, 2, 4)
        hat = reconstruct(tt_svd(w, ranks=[1, 1 + trial % 2, 1 + trial % 4, 1]).cores).reshape(-1)
        V1, V2 = hat[:48].reshape(6, 8), hat[48:].reshape(8, 2)
        provable, paper = truncation_bound(W1, W2, V1, V2, phi, activation=activation, scale=0.3)
        from ntklab.adapters.activation import activation_named

        sigma = activation_named(activation).function
        gaps = [
            0.3 * (sigma(x @ W1) @ W2 - sigma(x @ V1) @ V2).square().sum().item() ** 0.5
            for x in phi
        ]
        assert provable.measured == pytest.approx(math.sqrt(np.mean(np.square(gaps))))
        assert provable.holds
        assert provable.value <= paper.value * (1 + 1e-12)
        error = float((w.reshape(-1) - hat).norm())
        assert paper.value == pytest.approx(paper.ingredients["c2"] * error)


def test_provable_form_is_attained_by_aligned_weights():
    one = torch.ones(1, 1, dtype=torch.float64)
    provable, _ = truncation_bound(2 * one, 3 * one, one, one, one, activation="identity")
    assert provable.value == pytest.approx(5.0)  # 2·2 + 1·1
    assert provable.measured == pytest.approx(5.0)


def test_sum_has_no_value_without_both_terms():
    eye = torch.eye(3, dtype=torch.float64)
    cut, _ = truncation_bound(eye, eye, eye, 0 * eye, eye)
    good = barron_bound(width=4, constant=1.0, radius=1.0)
    both = sum_bound(good, cut, measured=0.5)
    assert both.value == pytest.approx(1.0 + cut.value)
    assert both.holds
    risk = risk_gap_bound(both)
    assert (risk.equation, risk.value) == ("9", pytest.approx(math.sqrt(2) * both.value))
    lost = sum_bound(barron_bound(width=4, constant=1, radius=1, activation="identity"), cut)
    assert lost.value is None
    assert risk_gap_bound(lost).value is None
    assert "σ is sigmoidal" in risk_gap_bound(lost).reason


def test_shapes_are_checked():
    eye = torch.eye(3)
    with pytest.raises(InputError, match="must agree"):
        truncation_bound(eye, eye, eye, eye[:, :2], eye)
    with pytest.raises(InputError, match="width"):
        barron_bound(width=0, constant=1, radius=1)


@settings(max_examples=10, deadline=None)
@given(
    st.integers(2, 6), st.integers(1, 3), st.integers(1, 8), st.integers(1, 2), st.integers(0, 99)
)
def test_a_truncated_head_is_tt_svd_of_its_stacked_factors(d, c, width, rank, seed):
    g = torch.Generator().manual_seed(seed)
    first, second = (
        torch.randn(*s, generator=g, dtype=torch.float64) for s in ((d, width), (width, c))
    )
    phi = torch.randn(7, d, generator=g, dtype=torch.float64)
    shape = plan(d, c, width, ranks=rank).shape
    cut = truncate_head(first, second, phi, shape)
    w = torch.cat([first.flatten(), second.flatten()])
    train = tt_svd(w.reshape(shape.out_dims), ranks=shape.bond_ranks)
    kept = torch.cat([cut.first.flatten(), cut.second.flatten()])
    assert float((w - kept).norm()) == pytest.approx(train.error, rel=1e-8, abs=1e-10)
    assert cut.lower.holds
    assert cut.upper.holds
    gap = (phi @ first).relu() @ second - (phi @ cut.first).relu() @ cut.second
    for bound in cut.function:
        assert bound.measured == pytest.approx(float(gap.norm()) / 7**0.5, abs=1e-12)
        assert bound.holds


def test_a_train_of_another_size_is_refused():
    with pytest.raises(InputError, match="cannot hold the 12"):
        truncate_head(torch.ones(3, 3), torch.ones(3, 1), torch.ones(2, 3), plan(4, 2, 8).shape)
