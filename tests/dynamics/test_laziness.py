import pytest
import torch

from ntklab.adapters import METHODS, build_adapter
from ntklab.bounds import kernel_growth_bound
from ntklab.dynamics import (
    effective_rate,
    forced_drift,
    kernel_drift,
    lazy_index,
    parameter_norm,
    total_degree,
)
from ntklab.errors import InputError
from ntklab.jacobians import jacobian, ntk


def head(method, **options):
    sizes = {"width": 16} if method == "tensorguide" else {}
    generator = torch.Generator().manual_seed(1)
    return build_adapter(
        method, 12, 2, dtype=torch.float64, generator=generator, **sizes, **options
    )


X = torch.randn(7, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("method", sorted(METHODS))
def test_euler_bound_is_the_rayleigh_quotient_of_the_parameters(method):
    """J θ = D (f − base), so (D‖f − base‖/‖θ‖)² = ‖Jθ‖²/‖θ‖² ≤ λ_max(K) (P5)."""
    base = torch.nn.Linear(12, 2).double()
    model = head(method, base=base)
    theta = torch.cat([p.detach().flatten() for p in model.parameters() if p.requires_grad])
    adapted = (model(X) - base(X)).detach()
    degree = total_degree(model)
    J = jacobian(model, X)
    torch.testing.assert_close((J @ theta).view(7, 2), degree * adapted, rtol=1e-9, atol=1e-10)
    bound = kernel_growth_bound(
        adapted, degree_sum=degree, parameter_norm=parameter_norm(model)
    ).value
    assert bound == pytest.approx(((J @ theta).norm() / theta.norm()).item() ** 2, rel=1e-9)
    assert bound <= torch.linalg.eigvalsh(J.gram())[-1].item() * (1 + 1e-12)


def test_degrees_of_the_paper():
    assert total_degree(build_adapter("tensorguide", 512, 2)) == 8
    assert total_degree(build_adapter("lora", 512, 2)) == 2
    assert total_degree(build_adapter("tt-lora", 512, 2)) == 5
    assert total_degree(build_adapter("tensorguide", 8, 2, width=16, activation="tanh")) is None


def test_lazy_index_is_the_relative_length_of_the_least_norm_solution():
    model = head("lora")
    J = jacobian(model, X).dense()
    r = torch.randn(14, dtype=torch.float64)
    found = lazy_index(J @ J.T, r, parameter_norm(model))
    least = torch.linalg.lstsq(J, -r, driver="gelsd").solution
    assert found.radius == pytest.approx(least.norm().item(), rel=1e-6)
    assert found.index == pytest.approx(found.radius / parameter_norm(model))
    rest = r + J @ least
    assert found.kernel_residual == pytest.approx((rest.norm() / r.norm()).item(), abs=1e-7)


def test_lazy_index_falls_as_the_outputs_are_scaled():
    K, r = ntk(head("lora"), X), torch.randn(14, dtype=torch.float64)
    one, hundred = lazy_index(K, r, 1.0), lazy_index(1e4 * K, r, 1.0)
    assert hundred.index == pytest.approx(one.index / 100, rel=1e-9)
    both = lazy_index(1e4 * K, 100 * r, 1.0)
    assert both.index == pytest.approx(one.index, rel=1e-9)


def test_effective_rate_is_the_decay_of_the_residual():
    """−d/dt ½‖r‖² = rᵀKr, by a small step of the flow."""
    K, r, h = ntk(head("tt-lora"), X), torch.randn(14, dtype=torch.float64), 1e-7
    rate = effective_rate(K, r)
    later = r - h * K @ r
    slope = (r @ r - later @ later).item() / (2 * h) / (r @ r).item()
    assert rate == pytest.approx(slope, rel=1e-4)
    values = torch.linalg.eigvalsh(K)
    assert values[0].item() - 1e-12 <= rate <= values[-1].item()
    assert effective_rate(K, torch.zeros(14)) is None


def test_forced_drift_is_below_the_drift_that_happens():
    model = head("tensorguide")
    K0 = ntk(model, X)
    with torch.no_grad():
        for core in model.cores:
            core.mul_(1.5)
    K = ntk(model, X)
    norm, degree = parameter_norm(model), total_degree(model)
    bound = kernel_growth_bound(model(X), parameter_norm=norm, degree_sum=degree).value
    least = forced_drift(bound, torch.linalg.eigvalsh(K0)[-1].item(), K0.norm().item())
    assert 0 < least <= kernel_drift(K, K0)


def test_nothing_to_learn_is_said():
    with pytest.raises(InputError, match="already fits"):
        lazy_index(torch.eye(2), torch.zeros(2), 1.0)
    with pytest.raises(InputError, match="must be positive"):
        lazy_index(torch.eye(2), torch.ones(2), 0.0)
