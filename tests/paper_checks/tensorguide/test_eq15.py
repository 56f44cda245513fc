import pytest
import torch

from ntklab.claims import Effort, Measured, Verdict
from paper_checks.tensorguide import eq20, eq21
from paper_checks.tensorguide.eq15 import (
    CHECK,
    CLIPPED,
    Pool,
    clusters,
    draw,
    resampled,
    summary,
    worlds,
)


@pytest.fixture(scope="module")
def easy():
    return resampled([clusters(0.2, seed=seed) for seed in range(2)], 400, 10)


@pytest.fixture(scope="module")
def hopeless():
    return resampled([clusters(0.2, chance=True)], 60, 20)


def judged(rows, by=CHECK.judge):
    return by(Measured(summary(rows), rows))


def test_a_bounded_loss_on_easy_data_needs_no_mending(easy):
    rows = [{**row, "beyond_sample": 0.0} for row in easy if row["loss"] == CLIPPED]
    assert judged(rows).verdict is Verdict.OK


def test_a_range_read_off_the_samples_needs_mending(easy):
    finding = judged(easy)
    assert finding.verdict is Verdict.MEND
    assert "κ" in finding.mended
    assert max(row["beyond_ceiling"] for row in easy) == 0.0


def test_chance_labels_make_it_say_nothing(hopeless):
    assert judged(hopeless).verdict is Verdict.VACUOUS
    assert judged(hopeless, eq20.CHECK.judge).verdict is Verdict.VACUOUS


def test_samples_that_repeat_each_other_break_it():
    """One sample, seen 400 times: half fitted, and nothing learned of the others."""

    def repeated(pool, n_samples, seed):
        one = torch.randint(0, len(pool.y), (1,), generator=torch.Generator().manual_seed(seed))
        return one.repeat(n_samples)

    y = clusters(0.2, chance=True, size=60).y
    orthogonal = Pool("orthogonal", "planted", 0.5 * torch.eye(60, dtype=torch.float64), y)
    rows = resampled([orthogonal], 400, 10, repeated)
    assert rows[0]["train_risk"] == pytest.approx(0.5)
    assert rows[0]["risk"] == 1.0
    assert judged(rows).verdict is Verdict.FALSE


def test_coverage_is_counted(easy):
    rows = [{**row, "coverage": 0.9} for row in easy]
    assert judged(rows).verdict is Verdict.FALSE


def test_every_seed_draws_its_own_world(easy):
    assert all((row["seeds"], row["resamples"]) == (2, 20) for row in easy)
    effort = Effort()
    for pools, _ in worlds(effort):
        first, second = next(pools), next(pools)
        assert not torch.equal(first.J, second.J)


def test_figure_has_a_line_a_world(easy):
    figure = draw(Measured(summary(easy), easy))
    assert len(figure.axes[0].get_yticklabels()) == len(easy)


def through_least(rows, **values):
    found = eq21.summary(rows) | eq21.raised(range(1)) | values
    return eq21.CHECK.judge(Measured(found, rows))


def test_the_risk_through_a_singular_kernel_does_not_exist(easy):
    assert all(row["by_lambda_min"] is None for row in easy)
    finding = through_least(easy)
    assert finding.verdict is Verdict.VACUOUS
    assert "2.05-fold" in finding.because


def test_the_risk_through_a_large_least_eigenvalue_says_something():
    """Labels of size 0.05 need so small a ball that even reading B finds it."""
    y = 0.05 * clusters(0.2, size=400).y
    tiny = Pool("tiny labels", "planted", torch.eye(400, dtype=torch.float64), y)
    assert through_least(resampled([tiny], 300, 3)).verdict is Verdict.OK


def test_a_risk_above_the_bound_refutes(easy):
    rows = [{**row, "risk": row["by_kappa"] + 1} for row in easy]
    assert through_least(rows).verdict is Verdict.FALSE
