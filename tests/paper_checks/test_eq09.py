import pytest

from ntklab.sweeps.approximation import ApproximationConfig
from paper_checks.eq09 import CHECK, summary, terms
from paper_checks.harness import Verdict

TINY = ApproximationConfig(
    target="barron", network="dense", width=4, features=3, samples=64, steps=10, batch=32
)


@pytest.fixture(scope="module")
def rows():
    return terms(TINY, (4, 16), 0)


def changed(rows, **columns):
    """The same world with some columns planted, one value a width."""
    return summary(
        [
            {**row, **{name: values[k] for name, values in columns.items()}}
            for k, row in enumerate(rows)
        ]
    )


def test_measured_bound_holds_and_says_nothing(rows):
    finding = CHECK.judge(summary(rows))
    assert finding.verdict is Verdict.VACUOUS
    assert "predicting nothing" in finding.because


def test_the_sum_is_both_terms(rows):
    for row in rows:
        assert row["sum"] == pytest.approx(row["first_term"] + row["second_term"])


def test_predicting_nothing_is_a_mean_divergence(rows):
    for row in rows:
        # A coin's divergence is at most h²/8 (Pinsker's converse for the logistic loss).
        assert 0 < row["without"] <= row["target_rms"] ** 2 / 8


def test_a_bound_that_falls_and_says_something_stands(rows):
    world = changed(rows, sum=(0.4, 0.2), without=(1.0, 1.0), adapter_error=(0.1, 0.1),
                    cut_error=(0.1, 0.1))  # fmt: skip
    assert CHECK.judge(world).verdict is Verdict.OK


def test_a_bound_that_grows_with_the_width_is_mended(rows):
    world = changed(rows, sum=(0.2, 0.4), without=(1.0, 1.0), adapter_error=(0.1, 0.1),
                    cut_error=(0.1, 0.1))  # fmt: skip
    finding = CHECK.judge(world)
    assert finding.verdict is Verdict.MEND
    assert finding.mended


@pytest.mark.parametrize("name", ["adapter_error", "cut_error"])
def test_an_error_above_the_sum_is_found_out(rows, name):
    assert CHECK.judge(changed(rows, **{name: (1e6, 1e6)})).verdict is Verdict.FALSE
