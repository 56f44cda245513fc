import math
from dataclasses import replace

import pytest
import torch

from paper_checks import eq22
from paper_checks._runs import Case, trained
from paper_checks.eq10 import (
    CHECK,
    GUIDE,
    SMALL,
    cases_of,
    draw,
    fixed_rows,
    holds,
    lora_kernel,
    one_sample_flow,
    promises,
    run_rows,
    squared_flow,
    summary,
)
from paper_checks.harness import Measured, Verdict


@pytest.fixture(scope="module")
def worlds():
    zero = torch.zeros(1, 2, dtype=torch.float64)
    eye = torch.eye(2, dtype=torch.float64)
    singular = lora_kernel(replace(SMALL, preset="paper"))
    label = torch.tensor([1])
    return {
        "true": fixed_rows("squared", *lora_kernel(SMALL), squared_flow),
        "empty": fixed_rows("squared, singular", *singular, squared_flow),
        "false": fixed_rows(
            "cross-entropy", eye / 2, zero, label, one_sample_flow, until=100.0
        ),
        "drifting": run_rows(
            "squared, drifting", trained(Case(setting=GUIDE, method="tensorguide", steps=60))
        ),
    }  # fmt: skip


def judged(worlds, *names, by=CHECK.judge):
    rows = [row for name in names for row in worlds[name]]
    return by(Measured(summary(rows), rows))


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
    assert eq22.judge(Measured(summary(slow), slow)).verdict is Verdict.FALSE


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
    rows = run_rows("lazy", found)
    assert found.regime["ntk_regime"]
    assert holds(rows)
    assert promises(rows) > 0.5
    first = rows[0]["measured"]
    assert all(abs(row["measured"] - row["predicted"]) < 0.01 * first for row in rows)


def test_figure_has_a_panel_a_case(worlds):
    rows = [row for one in worlds.values() for row in one]
    assert len(draw(Measured(summary(rows), rows)).axes) == len(cases_of(rows))
