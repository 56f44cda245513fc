from dataclasses import replace

import pytest
import torch

from ntklab.claims import Measured, Verdict
from paper_checks.tensorguide._least_eigenvalues import (
    ExactKernel,
    Setting,
    compared,
    exact_rank,
    least,
)
from paper_checks.tensorguide.eq13 import (
    CHECK,
    NARROW,
    WIDE,
    WORLDS,
    A,
    C,
    all_ones,
    draw,
    exact_values,
    lora_rank,
    row_of,
)

SEEDS = range(4)
SINGULAR_LORA = Setting(
    label="r < C", regime=A, outputs=4, rank=2, width=8, tt_ranks=WIDE, activation="identity"
)
SINGULAR_GUIDE = replace(
    SINGULAR_LORA, regime=C, outputs=2, rank=4, samples=16, tt_ranks=NARROW, label="rank 17 of 32"
)


@pytest.fixture(scope="module")
def rows():
    return {one.label: row_of(one, SEEDS) for one in (SINGULAR_LORA, SINGULAR_GUIDE)}


@pytest.fixture(scope="module")
def exact():
    return exact_values(all_ones("tensorguide"), all_ones("lora"))


def judged(values, *rows):
    return CHECK.judge(Measured(values, rows))


def test_holds_in_a_world_of_ranks_below_the_number_of_outputs(rows, exact):
    fresh = all_ones("lora")
    with torch.no_grad():
        fresh.B.zero_()  # LoRA's usual start: K = 11ᵀ is singular, TensorGuide's is not
    values = exact_values(all_ones("tensorguide"), fresh)
    assert values["tg_least"] > values["lora_least"] == 0.0
    assert judged(values, rows["r < C"]).verdict is Verdict.OK


def test_a_counterexample_alone_refutes(rows, exact):
    finding = judged(exact, rows["r < C"])
    assert finding.verdict is Verdict.FALSE
    assert "0.597" in finding.because


def test_fails_in_a_world_of_singular_guides(rows, exact):
    assert rows["rank 17 of 32"]["wins"] == 0
    assert judged(exact, rows["rank 17 of 32"]).verdict is Verdict.FALSE


def test_both_worlds_make_it_a_matter_of_ranks(rows, exact):
    finding = judged(exact, *rows.values())
    assert finding.verdict is Verdict.REGIME
    assert "4 of 4 draws" in finding.because
    assert finding.mended


def test_ranks_that_disagree_explain_nothing(rows, exact):
    wrong = [{**row, "formula_rank": row["other_rank"] - 1} for row in rows.values()]
    assert judged(exact, *wrong).verdict is Verdict.FALSE


def test_the_counterexample_is_that_of_the_closed_forms(exact):
    assert exact["tg_polynomial"] == "x^3 − 16x^2 + 36x − 16"  # (x − 2)(x² − 14x + 8)
    assert exact["lora_polynomial"] == "x^3 − 6x^2 + 9x − 4"  # (x − 1)²(x − 4)
    assert exact["tg_least"] == pytest.approx(7 - 41**0.5, abs=1e-9)
    assert exact["counterexample"]
    assert exact["order_moves"]
    assert exact["lora_best"] > 0.99 > exact["tg_ceiling"]


def test_no_counterexample_between_equal_kernels():
    K = ExactKernel.of(torch.eye(2))
    assert not any(K.below(K).values())


@pytest.mark.parametrize("world", WORLDS, ids=lambda one: f"{one.regime[0]} {one.label}")
def test_ranks_by_integers_are_those_of_svd(world):
    row = compared(world, range(2))
    assert (row["rank"], row["other_rank"]) == (row["exact_rank"], row["other_exact_rank"])
    assert row["other_rank"] == lora_rank(world, row["outputs"])


def test_integers_keep_a_zero_factor_zero():
    start = Setting(label="", regime="b", preset="paper", samples=6)
    assert exact_rank(start, "lora") == 2 * 4


def test_a_gauge_moves_the_least_eigenvalue_but_no_rank():
    setting = Setting(label="", regime=C, activation="identity", samples=6)
    x, outputs = setting.inputs(0)
    adapter = setting.adapter("tensorguide", x.shape[1], outputs, 0)
    found = {gauge: least(adapter, x, gauge) for gauge in ("given", "equal-norm", "best")}
    assert len({one.rank for one in found.values()}) == 1
    assert found["best"].over_mean >= 0.98 * max(one.over_mean for one in found.values())
    assert found["given"].over_mean != pytest.approx(found["equal-norm"].over_mean, rel=1e-3)


def test_any_two_methods_can_be_compared():
    row = compared(
        Setting(label="", regime=C, samples=6), range(3), method="linear-probe", other="lora"
    )
    assert row["rank"] == 12
    assert row["wins"] + row["losses"] + row["ties"] == 3


def test_figure_shows_a_line_a_setting(rows, exact):
    figure = draw(Measured(exact, list(rows.values())))
    assert len(figure.axes[0].get_yticklabels()) == len(rows)
