import pytest

from ntklab.claims import Effort, Verdict
from paper_checks.tensorguide.table2 import CHECK, PUBLISHED, collect

CAPACITY = {f"head_{width}": count - 3136 for width, count in PUBLISHED.items()} | {
    **{
        "exchanges": 4,
        "exchange_error": 0.3,
        "exchange_seeds": 1,
        "rank_1024": 64,
        "rank_2048": 128,
    },
    **{"rank_4096": 256, "directions_1024": 1, "directions_2048": 2, "directions_4096": 3},
}


@pytest.fixture
def judged(planted):
    def judge(*effects, **changed):
        """Effects of 2048 and 4096, in a world where width is no illusion unless changed."""
        record = None
        if effects:
            named = zip(PUBLISHED, (0.0, *effects), strict=True)
            record = planted({("matched", f"tensorguide M={M}"): e for M, e in named})
        return CHECK.judge(collect(record, CAPACITY | changed, 3136))

    return judge


def test_the_doubled_width_is_the_same_class(planted):
    measured = CHECK.measure(Effort())
    found = CHECK.judge(measured)
    assert found.verdict is Verdict.FALSE
    assert found.mended
    assert measured.values["rank_1024"] == measured.values["rank_2048"] == 64
    assert measured.values["counts_with_conv1"] == 3
    assert "no training record here" in found.because


def test_were_the_classes_different_accuracy_would_decide(judged):
    assert judged(0.1, 0.2).verdict is Verdict.OK
    assert judged(-0.1, 0.2).verdict is Verdict.FALSE
    assert judged(0.0, 0.0).verdict is Verdict.DATA
    assert judged().verdict is Verdict.DATA


def test_settings_that_disagree_are_the_condition(planted):
    effects = {}
    for settings, sign in (("matched", 1), ("released", -1)):
        for i, M in enumerate(PUBLISHED):
            effects[settings, f"tensorguide M={M}"] = 0.1 * i * sign
    measured = collect(planted(effects), CAPACITY, 3136)
    assert CHECK.judge(measured).verdict is Verdict.REGIME


def test_a_wrong_count_is_found_out(judged):
    assert judged(0.1, 0.2, head_2048=1).verdict is Verdict.FALSE
