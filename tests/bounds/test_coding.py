"""The code of a trained head: it fixes the gauge, rounds the rest, and is bounded at its best."""

import pytest
import torch

from ntklab.adapters import METHODS, build_adapter
from ntklab.bounds import MOST_BITS, coded, compression_bound, counting_bound


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


def test_the_counting_bound_is_the_least_over_bits_of_rounded_classifiers():
    g = torch.Generator().manual_seed(1)
    x, labels = torch.randn(60, 24, generator=g).double(), torch.randint(2, (60,), generator=g)
    train, test = (x[:40], labels[:40]), (x[40:], labels[40:])
    head = head_of("tera")

    @torch.no_grad()
    def error(features, wanted):
        return float((head(features).argmax(1) != wanted).double().mean())

    bound, chosen = counting_bound(head, lambda: (error(*train), error(*test)), n_samples=40)
    values = []
    for bits in range(1, MOST_BITS + 1):
        with coded(head, bits) as code:
            errors = error(*train), error(*test)
        if bits == chosen.bits:
            assert bound.measured == errors[1]
        values.append(
            compression_bound(
                train_error=errors[0],
                effective_parameters=code.coordinates,
                bits=bits,
                overhead_bits=code.overhead_bits,
                n_samples=40,
            ).value
        )
    assert bound.value == pytest.approx(min(values), rel=1e-12)
    assert values[chosen.bits - 1] == min(values)
    assert bound.vacuous == (min(values) >= 1)
