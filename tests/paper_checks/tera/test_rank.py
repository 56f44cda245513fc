import pytest
import torch

from ntklab.claims import Measured, Verdict
from paper_checks.tera.rank import CHECK, _unreached, built, row_of, summary


def flat_core(size, modes, ranks, seed):
    """A frozen core of rank one: the update has rank one as well."""
    adapter = built(size, modes, ranks, seed)
    with torch.no_grad():
        adapter.core.fill_(1.0)
        for scaling in adapter.scalings:
            scaling.abs_().add_(0.1)
    return adapter


def row(build=built, ranks=(4, 4)):
    return row_of(4, (4,), ranks, 0, build)


def test_a_random_core_gives_a_higher_rank_than_lora():
    measured = summary([row(), row_of(16, (4, 4), (2, 2, 2, 2), 0)])
    finding = CHECK.judge(measured)
    assert finding.verdict is Verdict.OK
    assert measured.rows[0]["lora_rank"] == 1  # 8 = 2 · 4 parameters pay for rank one
    assert measured.rows[0]["rank"] == 4


def test_a_core_of_rank_one_gives_no_more_than_lora():
    measured = summary([row(flat_core)])
    assert measured.rows[0]["rank"] == 1
    assert CHECK.judge(measured).verdict is Verdict.FALSE


def test_both_cores_together_are_a_regime():
    finding = CHECK.judge(summary([row(), row(flat_core)]))
    assert finding.verdict is Verdict.REGIME
    assert finding.mended


@pytest.mark.parametrize(("modes", "ranks"), [((2, 2), (2, 2, 2, 2)), ((4,), (3, 2))])
def test_directions_are_those_of_the_dense_tangent(modes, ranks):
    found = row_of(4, modes, ranks, 1)
    tangent = built(4, modes, ranks, 1).update_tangent().reshape(16, -1)
    assert found["directions"] == int(torch.linalg.matrix_rank(tangent))
    assert found["directions"] <= sum(ranks) - len(ranks) + 1
    assert found["rank"] <= found["rank_possible"]


def test_verdict_reads_the_numbers():
    measured = summary([row()])
    none = Measured({**measured.values, "higher": 0}, measured.rows)
    assert CHECK.judge(none).verdict is Verdict.FALSE


def test_unreached_share_is_that_of_least_squares():
    adapter = built(4, (2, 2), (2, 2, 1, 2), 3)
    generator = torch.Generator().manual_seed(8)
    step = torch.outer(
        *(torch.randn(4, generator=generator, dtype=torch.float64) for _ in range(2))
    ).reshape(-1)
    tangent = adapter.update_tangent().reshape(16, -1).detach()
    best = tangent @ torch.linalg.lstsq(tangent, step, driver="gelsd").solution
    wanted = float((step - best).square().sum() / step.square().sum())
    with torch.no_grad():
        assert _unreached(adapter, 7) == pytest.approx(wanted)
