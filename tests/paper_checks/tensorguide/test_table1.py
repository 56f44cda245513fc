import re

import pytest

from ntklab.claims import Effort, Verdict
from paper_checks.tensorguide.table1 import CHECK, PUBLISHED, collect

HEADS = {name: count - 3136 for name, count in PUBLISHED.items()}


@pytest.fixture
def judged(planted):
    def judge(matched, released=None, **options):
        """Effects of LoRA and TT-LoRA against TensorGuide, setting by setting."""
        effects = {}
        for settings, pair in (("matched", matched), ("released", released)):
            if pair is not None:
                named = zip(("tensorguide", "lora", "tt-lora"), (0.0, *pair), strict=True)
                effects |= {(settings, name): effect for name, effect in named}
        return CHECK.judge(collect(planted(effects, **options), HEADS, 3136))

    return judge


def test_a_method_that_is_best_everywhere_stands(judged):
    found = judged((-0.1, -0.1), (-0.1, -0.1))
    assert found.verdict is Verdict.OK
    assert "stands under matched settings" in found.because
    assert re.search(r"lora -(9\.\d|10\.\d) points", found.because)


def test_one_better_method_makes_it_fall(judged):
    assert judged((-0.1, 0.1)).verdict is Verdict.FALSE


def test_settings_that_disagree_are_the_condition(judged):
    assert judged((-0.1, -0.1), (0.1, -0.1)).verdict is Verdict.REGIME


def test_equal_methods_stay_undecided(judged):
    found = judged((0.0, 0.0))
    assert found.verdict is Verdict.DATA
    assert "undecided" in found.because
    assert "not yet measured on GPU" in found.because


def test_few_seeds_stay_undecided_whatever_they_show(judged):
    assert judged((-0.1, -0.1), seeds=4).verdict is Verdict.DATA


def test_a_wrong_count_needs_no_training():
    found = CHECK.judge(collect(None, HEADS | {"lora": 2057}, 3136))
    assert found.verdict is Verdict.FALSE


def test_without_a_record_it_says_so():
    found = CHECK.judge(CHECK.measure(Effort()))
    assert found.verdict is Verdict.DATA
    assert "no training record here" in found.because
