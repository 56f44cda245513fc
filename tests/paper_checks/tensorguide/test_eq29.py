import pytest

from ntklab.claims import Effort, Verdict
from paper_checks.tensorguide.eq13 import all_ones, exact_values
from paper_checks.tensorguide.eq29 import CHECK, SETTINGS, STEPS, A, C, collect, trial

NO_COUNTEREXAMPLE = {
    **{"counterexample": False, "tg_least": 1.0, "lora_least": 0.5},
    **{"tg_of_mean": 1.0, "lora_of_mean": 0.5},
}


@pytest.fixture(scope="module")
def measured():
    return CHECK.measure(Effort())


def test_as_measured(measured):
    found = CHECK.judge(measured)
    assert found.verdict is Verdict.REGIME
    by_step = {row["step"]: row for row in measured.rows}
    assert by_step["(28)"]["c"] == by_step["(28)"]["a"] == 0
    assert by_step["(23)"]["c"] == by_step["(25)"]["c"] == by_step["(26)"]["c"] == 5
    assert measured.values["counterexample"]


def test_where_ranks_decide_it_is_true_without_the_proof():
    """r < C: LoRA's kernel is singular; the tensor train's derivative is, too."""
    found = CHECK.judge(collect({A: [trial(SETTINGS[A], 0)]}, NO_COUNTEREXAMPLE))
    assert found.verdict is Verdict.MEND


def test_in_the_paper_s_own_regime_it_is_false():
    exact = exact_values(all_ones("tensorguide"), all_ones("lora"))
    assert CHECK.judge(collect({C: [trial(SETTINGS[C], 0)]}, exact)).verdict is Verdict.FALSE


def test_were_all_steps_true_it_would_be_proven():
    right = dict.fromkeys(STEPS, True)
    assert CHECK.judge(collect({C: [right, right]}, NO_COUNTEREXAMPLE)).verdict is Verdict.OK
