"""Figures 4 to 6 on planted records: the three differ in what they compare alone."""

from dataclasses import replace

import numpy as np
import pytest

from ntklab.claims import Effort, Verdict
from ntklab.records import Record, collect, now
from paper_checks.tensorguide import fig4, fig5, fig6
from paper_checks.tensorguide._curves import points, with_areas

CHECKS = [fig4, fig5, fig6]


@pytest.fixture
def measured(planted, tmp_path):
    def measure(check, effects, **options):
        """Through the file, so that the name of the record counts as well."""
        made = collect(device="cpu", dtype="float64", started=now(), seconds=1.0)
        record = replace(planted(effects, **options), provenance=made)
        record.write(tmp_path / check.COMPARED.record)
        return check.CHECK.measure(Effort(records=tmp_path))

    return measure


@pytest.fixture
def judged(measured):
    def judge(check, effect, *, released=None):
        """All variants better by `effect` in the direction that the claim gives them."""
        effects = {}
        for settings, size in (("matched", effect), ("released", released)):
            if size is not None:
                effects[settings, check.COMPARED.reference] = 0.0
                for name, word in check.COMPARED.wanted.items():
                    effects[settings, name] = size if word == "more" else -size
        return check.CHECK.judge(measured(check, effects))

    return judge


def test_each_figure_reads_the_record_of_its_table():
    records = [check.COMPARED.record for check in CHECKS]
    assert records == ["pairs-table1", "pairs-table2", "pairs-table5"]


@pytest.mark.parametrize("check", CHECKS)
def test_planted_effects_stand_and_fall(judged, check):
    assert judged(check, 0.08).verdict is Verdict.OK
    assert judged(check, -0.08).verdict is Verdict.FALSE
    assert judged(check, 0.0).verdict is Verdict.DATA
    assert judged(check, 0.08, released=-0.08).verdict is Verdict.REGIME


@pytest.mark.parametrize("check", CHECKS)
def test_without_a_record_or_curves_it_says_so(measured, check):
    found = check.CHECK.judge(check.CHECK.measure(Effort()))
    assert found.verdict is Verdict.DATA
    assert "no training record here" in found.because
    bare = measured(check, {("matched", check.COMPARED.reference): 0.0}, curves=False)
    assert check.CHECK.judge(bare).verdict is Verdict.DATA


@pytest.mark.parametrize("check", CHECKS)
def test_drawn_from_what_was_measured(measured, check):
    names = (check.COMPARED.reference, *check.COMPARED.wanted)
    found = measured(check, {("matched", name): 0.0 for name in names}, seeds=3)
    check.CHECK.draw(found).savefig("/dev/null", format="svg")


def test_the_figure_of_methods_draws_the_linear_probe_beside_them(measured):
    names = (fig4.COMPARED.reference, *fig4.COMPARED.wanted, "linear-probe", "tera")
    found = measured(fig4, {("matched", name): 0.0 for name in names}, seeds=3)
    assert set(found.column("variant")) == set(names) - {"tera"}


def test_an_average_is_the_area_over_the_epochs():
    arrays = {"a.epoch": np.array([0.0, 1.0, 3.0]), "a.train_loss": np.array([2.0, 1.0, 1.0])}
    record = Record("pair", {}, {}, [{"cell": "a", "settings": "s", "variant": "v"}], arrays)
    assert with_areas(record).results[0]["mean_loss"] == pytest.approx((1.5 + 2.0) / 3)
    assert "mean_accuracy" not in with_areas(record).results[0]


def test_intervals_hold_the_mean_and_narrow_with_seeds(planted):
    widths = []
    for seeds in (3, 40):
        rows = points(planted({("matched", "x"): 0.0}, seeds=seeds), ["x"])
        assert all(row["low"] <= row["mean"] <= row["high"] for row in rows)
        widths.append(max(row["high"] - row["low"] for row in rows))
    assert widths[1] < 0.6 * widths[0]
