import pytest

from ntklab.claims import Effort, Verdict
from paper_checks.tensorguide.eq24 import (
    CHECK,
    OWN,
    collect,
    exact_lora_rank,
    kernel_despite,
    rows_of,
)


@pytest.mark.parametrize(("d", "C", "r"), [(7, 2, 4), (7, 5, 2), (4, 4, 4), (6, 3, 3)])
def test_exact_rank_follows_the_formula(d, C, r):
    assert exact_lora_rank(d, C, r) == d * C - max(d - r, 0) * max(C - r, 0)
    assert exact_lora_rank(d, C, r, zero=True) == C * min(r, d)


def small(name, C, r, preset="released"):
    return rows_of(name, 14, C, r, preset)


def test_with_r_above_the_outputs_it_is_false():
    measured = collect(small(OWN, 2, 4) + small("low rank", 5, 2), [kernel_despite(14, 5, 2, 2)])
    found = CHECK.judge(measured)
    assert found.verdict is Verdict.FALSE
    assert measured.values["exact_disagrees"] == 0
    assert measured.values["kernel_despite"] > 0


def test_with_r_below_the_outputs_rank_is_lost_but_not_by_lora_alone():
    measured = collect(small(OWN, 6, 2), [0.0])
    assert CHECK.judge(measured).verdict is Verdict.VACUOUS


def test_it_would_be_lora_s_alone_were_the_other_free():
    rows = [r | {"rank": r["rows"]} if r["method"] != "LoRA" else r for r in small(OWN, 6, 2)]
    assert CHECK.judge(collect(rows, [0.0])).verdict is Verdict.OK


def test_a_mixture_is_a_matter_of_rank():
    rows = small(OWN, 6, 2) + small("high rank", 2, 4)
    assert CHECK.judge(collect(rows, [0.0])).verdict is Verdict.REGIME


def test_measures_the_paper_s_setting():
    measured = CHECK.measure(Effort())
    assert measured.values["own_rows"] == 1024
    assert CHECK.judge(measured).verdict in set(Verdict)
