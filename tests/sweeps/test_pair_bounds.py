"""Generalization columns of a pair against brute force, and the code of a trained head."""

import itertools
import math

import pytest
import torch

from ntklab.adapters import METHODS, build_adapter
from ntklab.bounds import compression_bound
from ntklab.jacobians import jacobian, ntk
from ntklab.spectra import spectrum
from ntklab.sweeps.pair import run_pair
from ntklab.sweeps.pair_bounds import BOUNDS, DELTA, counting_bound, kernel_bounds
from ntklab.sweeps.pair_code import MOST_BITS, coded
from ntklab.sweeps.pair_config import PairConfig
from ntklab.training import Data


def head_of(method, dtype=torch.float64, **sizes):
    generator = torch.Generator().manual_seed(0)
    return build_adapter(method, 24, 2, generator=generator, dtype=dtype, **sizes)


# What the gauge takes: Σ r_k² of the trains, r² of LoRA, one a bond of TeRA's scalings.
FIXED = {
    "lora": lambda head: head.width**2,
    "tera": lambda head: len(head.scalings) - 1,
    "linear-probe": lambda head: 0,
}


@pytest.mark.parametrize("method", METHODS)
def test_the_code_fixes_the_gauge_and_nothing_else(method):
    head, x = head_of(method), torch.randn(7, 24, dtype=torch.float64)
    before, start = head(x).detach(), [p.detach().clone() for p in head.parameters()]
    trains = FIXED.get(
        method, lambda h: sum(r * r for s in h.shapes.values() for r in s.ranks[1:-1])
    )
    with coded(head, 40) as code:
        assert code.coordinates == head.parameter_count - trains(head)
        assert any(not p.equal(q) for p, q in zip(head.parameters(), start, strict=True))
        torch.testing.assert_close(head(x).detach(), before, rtol=1e-7, atol=1e-7)
    assert all(p.equal(q) for p, q in zip(head.parameters(), start, strict=True))


@pytest.mark.parametrize("bits", [1, 3])
def test_a_coded_core_has_few_values_and_identity_rows(bits):
    head = head_of("tensorguide", width=16, tt_ranks=(1, 2, 2, 1, 1))
    with coded(head, bits):
        for core in list(head.cores)[:-1]:
            matrix = core.detach().reshape(-1, core.shape[-1])
            units = torch.eye(core.shape[-1], dtype=matrix.dtype)
            places = [int((matrix == unit).all(1).nonzero()[0]) for unit in units]
            rest = [k for k in range(len(matrix)) if k not in places]
            assert len(matrix[rest].unique()) <= 2**bits


def test_a_train_that_cannot_hold_its_rank_is_coded_all_the_same():
    head = head_of("lora", rank=2)
    head.A.data[1] = head.A.data[0]  # two equal rows: no identity to be had
    x = torch.randn(3, 24, dtype=torch.float64)
    before = head(x).detach()
    with coded(head, 40) as code:
        assert code.coordinates == head.parameter_count
        torch.testing.assert_close(head(x).detach(), before, rtol=1e-7, atol=1e-7)


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


def test_the_counting_bound_is_the_least_over_bits_of_rounded_classifiers():
    g = torch.Generator().manual_seed(1)
    x, labels = torch.randn(60, 24, generator=g).double(), torch.randint(2, (60,), generator=g)
    data = Data(x[:40], labels[:40], {"test": (x[40:], labels[40:])})
    head = head_of("tera")
    found = counting_bound(head, head, data)
    values = []
    for bits in range(1, MOST_BITS + 1):
        with coded(head, bits) as code, torch.no_grad():
            wrong = float((head(data.inputs).argmax(1) != data.targets).double().mean())
        values.append(
            compression_bound(
                train_error=wrong,
                effective_parameters=code.coordinates,
                bits=bits,
                overhead_bits=code.overhead_bits,
                n_samples=40,
                delta=DELTA,
            ).value
        )
    assert found["compression_bound"] == pytest.approx(min(values), rel=1e-12)
    assert values[found["compression_bits"] - 1] == min(values)
    assert found["compression_bound_vacuous"] == (min(values) >= 1)


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
