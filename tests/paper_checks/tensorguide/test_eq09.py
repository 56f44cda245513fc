import pytest

from ntklab.claims import Verdict
from ntklab.experiments.approximation.cell import ApproximationConfig
from paper_checks.tensorguide.eq09 import BARRON, CHECK, dots, draw, summary, terms, terms_on_dots

TINY = ApproximationConfig.of(
    target="barron", network="dense", width=4, features=3, samples=64, steps=10, batch=32
)


@pytest.fixture(scope="module")
def rows():
    return terms(TINY, (4, 16), 0)


@pytest.fixture(scope="module")
def real():
    return terms_on_dots(dots(samples=64, steps=60), (16, 64), 0)


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


def test_the_second_term_alone_says_nothing_on_the_real_task(rows, real):
    finding = CHECK.judge(summary([*rows, *real]))
    assert finding.verdict is Verdict.VACUOUS
    assert "no C₁ makes the bound say anything" in finding.because


def test_a_small_second_term_leaves_it_to_the_unknown_constant(rows, real):
    small = [{**row, "second_term": 0.5, "risk_gap": 0.1} for row in real]
    finding = CHECK.judge(summary([*rows, *small]))
    assert finding.verdict is not Verdict.VACUOUS
    assert "C₁ would decide" in finding.because


def test_a_cut_that_costs_more_than_the_second_term_refutes(rows, real):
    worse = [{**row, "risk_gap": 2 * row["second_term"]} for row in real]
    assert CHECK.judge(summary([*rows, *worse])).verdict is Verdict.FALSE


def test_second_term_bounds_what_the_cut_costs(real):
    for row in real:
        assert row["cut_risk"] - row["dense_risk"] == pytest.approx(row["risk_gap"])
        assert abs(row["risk_gap"]) < row["second_term"]


def test_figure_has_a_panel_a_task(rows, real):
    assert [len(draw(summary(some)).axes) for some in (rows, [*rows, *real])] == [1, 2]


def test_seeds_are_counted_in_every_row(rows, real):
    more = [{**row, "seed": 1} for row in rows]
    assert summary([*rows, *more]).seeds == 2
    assert summary([*rows, *more, *real]).seeds == 1
    assert summary([*rows, *more]).column("seeds", task=BARRON) == [2, 2]
