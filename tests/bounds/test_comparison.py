import pytest
import torch

from ntklab.bounds import clipped_risk, exact_rademacher, minimum_norm_fit, side_by_side
from ntklab.errors import InputError
from ntklab.spectra import DenseJacobian, spectrum


def test_every_row_holds_beside_what_it_bounds(margin_pool):
    i = margin_pool.draw(60, 0)
    J, y = margin_pool.rows[i, 0], margin_pool.targets[i, 0]
    start = margin_pool.start[i, 0]
    risk = clipped_risk(margin_pool.start[:, 0], margin_pool.targets[:, 0])
    found = side_by_side(DenseJacobian(J), y, start=start, time=0.1, risk=risk)
    names = [bound.name for bound in found]
    assert len(set(names)) == len(names)
    assert {"fit-early-stopped", "fit-risk-early-stopped", "pac-bayes-kl"} <= set(names)
    assert all(bound.holds is not False for bound in found)
    refused = [bound.name for bound in found if bound.value is None]
    assert refused == ["rademacher-lambda-min", "arora-2019"]  # 12 parameters, 60 samples
    assert [b.measured for b in found if b.name == "fit-risk-early-stopped"] == [risk]


def test_small_problems_are_enumerated_and_agree_with_a_kernel(random_kernel):
    K = random_kernel(8, 8)
    y = torch.randn(4, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = {bound.name: bound for bound in side_by_side(K, y)}
    radius = minimum_norm_fit(spectrum(K, vectors=True), y).radius
    exact = exact_rademacher(K, n_samples=4, radius=radius).value
    assert found["rademacher-exact"].value == pytest.approx(exact)
    assert found["fit"].value == pytest.approx(found["rademacher-trace"].value)
    assert found["fit"].measured == pytest.approx(exact)
    assert "arora-2019" not in found  # two outputs
    assert "pac-bayes-kl" not in found
    assert found["rademacher-lambda-min"].value >= found["rademacher-trace"].value


def test_shapes_are_checked():
    with pytest.raises(InputError, match="start"):
        side_by_side(torch.eye(4), torch.ones(4), start=torch.zeros(4, 1))
