import math
from dataclasses import replace

import pytest
import torch

from ntklab.claims import Verdict
from paper_checks.tensorguide import eq22
from paper_checks.tensorguide._envelopes import GIVEN, case_row, holds, promises
from paper_checks.tensorguide._envelopes_figure import draw_envelopes
from paper_checks.tensorguide._runs import Case, trained
from paper_checks.tensorguide.eq10 import (
    CHECK,
    GUIDE,
    SMALL,
    descending,
    fixed_rows,
    lora_kernel,
    measured_of,
    one_sample_flow,
    run_rows,
    squared_flow,
)


@pytest.fixture(scope="module")
def worlds():
    """One curve a world."""
    zero = torch.zeros(1, 2, dtype=torch.float64)
    eye = torch.eye(2, dtype=torch.float64)
    singular = lora_kernel(replace(SMALL, preset="paper"))
    label = torch.tensor([1])
    return {
        "true": fixed_rows("squared", *lora_kernel(SMALL), squared_flow),
        "empty": fixed_rows("squared", *singular, squared_flow),
        "false": fixed_rows(
            "cross-entropy", eye / 2, zero, label, one_sample_flow, until=100.0
        ),
        "drifting": run_rows(trained(Case(setting=GUIDE, method="tensorguide"), 20)),
    }  # fmt: skip


def judged(worlds, *names, by=CHECK.judge):
    return by(measured_of([case_row(name, [worlds[name]]) for name in names]))


@pytest.mark.parametrize(
    ("names", "verdict", "derivation"),
    [
        (["true"], Verdict.OK, Verdict.OK),
        (["empty"], Verdict.VACUOUS, Verdict.VACUOUS),
        (["true", "empty"], Verdict.MEND, Verdict.MEND),
        (["false"], Verdict.FALSE, Verdict.VACUOUS),
        (["true", "false"], Verdict.REGIME, Verdict.MEND),
        (["true", "drifting"], Verdict.REGIME, Verdict.MEND),
    ],
)
def test_verdict_follows_the_world(worlds, names, verdict, derivation):
    assert judged(worlds, *names).verdict is verdict
    assert judged(worlds, *names, by=eq22.judge).verdict is derivation


def test_a_slower_world_refutes_the_derivation(worlds):
    slow = [{**row, "measured": worlds["true"][0]["measured"]} for row in worlds["true"]]
    assert judged({"slow": slow}, "slow", by=eq22.judge).verdict is Verdict.FALSE


def test_one_seed_refutes_what_the_others_keep(worlds):
    slow = [{**row, "measured": worlds["true"][0]["measured"]} for row in worlds["true"]]
    mixed = measured_of([case_row("mixed", [worlds["true"], worlds["true"], slow])])
    assert mixed.seeds == 3
    assert mixed.rows[0]["held"] == 2
    finding = CHECK.judge(mixed)
    assert finding.verdict is Verdict.FALSE
    assert "at 1 of 3 seeds" in finding.because
    derived = eq22.judge(mixed)
    assert derived.verdict is Verdict.FALSE
    assert "at 1 of 3 seeds" in derived.because


def test_a_drifting_seed_is_outside_the_derivation(worlds):
    row = case_row("mixed", [worlds["true"], worlds["drifting"]])
    assert (row["assumed"], row["assumed_held"], row["others_broken"]) == (1, 1, 1)
    assert eq22.judge(measured_of([row])).verdict is Verdict.MEND


def test_too_large_a_rate_is_not_held_against_the_claim():
    case = Case(setting=GUIDE, method="tensorguide", steps=60)
    assert trained(case, 0).run.divergence is not None
    found = descending(case, 0)
    assert found.run.divergence is None
    assert found.case.slower > 1
    assert holds(run_rows(found))


def test_what_promises_nothing_is_not_exceeded(worlds):
    rising = [
        {**row, "measured": row["measured"] * (1 + k)} for k, row in enumerate(worlds["empty"])
    ]
    row = case_row("rising", [worlds["empty"], rising])
    assert (row["said"], row["rose"]) == (0, 1)
    finding = CHECK.judge(measured_of([row]))
    assert finding.verdict is Verdict.VACUOUS
    assert "at 1 of 2 seeds the loss was above its first value" in finding.because


def test_what_is_given_counts_for_no_seed(worlds):
    given = case_row(GIVEN, [worlds["false"]])
    drawn = case_row("true", [worlds["true"]] * 4)
    assert measured_of([given, drawn]).seeds == 4
    assert measured_of([given]).seeds is None


def test_curve_is_the_median_over_seeds(worlds):
    high = [{**row, "measured": 2 * row["measured"]} for row in worlds["true"]]
    off = [{**row, "measured": 9 * row["measured"] if k else row["measured"]}
           for k, row in enumerate(worlds["true"])]  # fmt: skip
    row = case_row("three", [worlds["true"], high, off])
    last = worlds["true"][-1]["measured"] / worlds["true"][0]["measured"]
    assert row["last"] == pytest.approx(last)
    assert row["last_high"] == pytest.approx(5 * last)
    assert row["measured_5"] == pytest.approx(last)


def test_prediction_is_the_independent_solution(worlds):
    for name in ("true", "empty", "false"):
        for row in worlds[name]:
            assert row["predicted"] == pytest.approx(row["measured"], rel=1e-6)
            assert row["measured"] <= row["mended"] * (1 + 1e-9)


def test_one_sample_of_cross_entropy_falls_as_one_over_t(worlds):
    last = worlds["false"][-1]
    assert last["measured"] == pytest.approx(1.03e-2, rel=0.01)  # theory P9
    assert last["envelope"] == pytest.approx(math.log(2) * math.exp(-50))


def test_a_lazy_run_follows_the_prediction():
    found = trained(Case(setting=SMALL, alpha=100.0, steps=200))
    rows = run_rows(found)
    assert found.regime["ntk_regime"]
    assert holds(rows)
    assert promises(rows) > 0.5
    first = rows[0]["measured"]
    assert all(abs(row["measured"] - row["predicted"]) < 0.01 * first for row in rows)


def test_figure_has_a_panel_a_case(worlds):
    rows = [case_row(name, [curve, curve]) for name, curve in worlds.items()]
    assert len(draw_envelopes(measured_of(rows)).axes) == len(worlds)
