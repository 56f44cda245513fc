"""Generalization columns of a pair against brute force."""

import itertools
import math

import pytest
import torch

from ntklab.adapters import build_adapter
from ntklab.experiments.training.heads.bounds import BOUNDS, kernel_bounds
from ntklab.experiments.training.heads.cell import run_pair
from ntklab.experiments.training.heads.config import PairConfig
from ntklab.jacobians import jacobian, ntk
from ntklab.spectra import spectrum


def head_of(method, dtype=torch.float64, **sizes):
    generator = torch.Generator().manual_seed(0)
    return build_adapter(method, 24, 2, generator=generator, dtype=dtype, **sizes)


@pytest.mark.parametrize("centred", [True, False])
def test_the_sampled_complexity_is_the_enumerated_one(centred):
    head, x = head_of("lora"), torch.randn(6, 24, dtype=torch.float64)
    K = ntk(head, x)
    if centred:  # two outputs less their mean are one function, the difference over √2
        turn = torch.kron(torch.eye(6), torch.tensor([[1.0, -1.0]])).double() / math.sqrt(2)
        K = turn @ K @ turn.T
    s = spectrum(jacobian(head, x), centred=centred, vectors=True)
    residual = torch.randn(6, 2, dtype=torch.float64)
    residual = residual - residual.mean(1, keepdim=True) if centred else residual
    found = kernel_bounds(s, residual, seed=0)
    signs = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=len(K)))).double()
    exact = found["fit_radius"] / 6 * (signs @ K * signs).sum(1).clamp_min(0).sqrt().mean()
    assert abs(found["rademacher"] - float(exact)) < 5 * found["rademacher_error"]
    assert found["rademacher"] < found["fit_bound"]
    trace = found["fit_radius"] / 6 * float(K.trace()) ** 0.5
    assert found["fit_bound"] == pytest.approx(trace, rel=1e-9)
    assert found["fit_bound_vacuous"] == (found["fit_risk_bound"] >= 1)
    assert found["rademacher_vacuous"] == (found["rademacher_risk_bound"] >= 1)


@pytest.mark.parametrize("loss", ["squared", "cross-entropy"])
def test_every_bound_of_a_pair_says_whether_it_is_vacuous(loss):
    config = PairConfig.of(
        method="tensorguide", width=16, task="synthetic", samples=16, settings="own", loss=loss,
        optimizer="gd", batch=None, steps=5, watched=0, lr=1e-3,
    )  # fmt: skip
    row = run_pair(config).row
    for name in BOUNDS:
        assert isinstance(row[name], float)
        assert isinstance(row[f"{name}_vacuous"], bool)
