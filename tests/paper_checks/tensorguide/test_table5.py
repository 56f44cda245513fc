import pytest

from ntklab.claims import Effort, Verdict
from ntklab.experiments.training.variants import RANKS
from paper_checks.tensorguide.table5 import CHECK, collect, formula, variant_of

SIZES = {
    ranks: {"count": formula(ranks), "rank_w1": 64, "over_mean": 0.1, "starts": 1}
    for ranks in RANKS
}


@pytest.fixture
def judged(planted):
    def judge(slopes, *, steps=None, **options):
        """Accuracy rises by the slope, times a step for each count of parameters in order."""
        order = sorted(RANKS, key=formula)
        steps = range(len(order)) if steps is None else steps
        effects = {
            (settings, variant_of(ranks)): slope * step
            for settings, slope in slopes.items()
            for step, ranks in zip(steps, order, strict=True)
        }
        return CHECK.judge(collect(planted(effects, **options), SIZES, 3136))

    return judge


def test_a_planted_rise_stands(judged):
    assert judged({"matched": 0.02, "released": 0.02}).verdict is Verdict.OK


def test_a_rise_too_small_for_pairs_is_seen_as_a_trend(judged):
    assert judged({"matched": 0.004}).verdict is Verdict.OK


def test_a_rise_that_the_smallest_ranks_alone_make_is_told_so(judged):
    found = judged({"matched": 0.1}, steps=[0, 1, 1, 1, 1, 1])
    assert found.verdict is Verdict.OK
    assert "without the smallest ranks no rise is seen (matched)" in found.brief
    assert "no rise is seen" not in judged({"matched": 0.02}).brief


def test_a_planted_fall_falls(judged):
    assert judged({"matched": -0.02}).verdict is Verdict.FALSE


def test_settings_that_disagree_are_the_condition(judged):
    assert judged({"matched": 0.02, "released": -0.02}).verdict is Verdict.REGIME


def test_no_effect_stays_undecided(judged):
    found = judged({"matched": 0.0})
    assert found.verdict is Verdict.DATA
    assert "undecided" in found.because


def test_a_count_off_the_formula_is_found_out():
    wrong = SIZES | {(4, 4, 2): SIZES[4, 4, 2] | {"count": 1}}
    assert CHECK.judge(collect(None, wrong, 3136)).verdict is Verdict.FALSE


def test_counts_follow_the_formula_and_the_third_rank_widens():
    measured = CHECK.measure(Effort())
    assert measured.values["by_formula"] == len(RANKS)
    assert measured.values["rank_w1_third"] == 2 * measured.values["rank_w1"]
    assert CHECK.judge(measured).verdict is Verdict.DATA
