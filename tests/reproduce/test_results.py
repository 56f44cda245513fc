"""The lines that `ntklab reproduce` ends with, against records whose answers are known."""

from pathlib import Path

import pytest

from ntklab.experiments.manifest import MANIFEST
from ntklab.records import Record
from ntklab.reproduce.progress import Steps
from ntklab.reproduce.results import RESULTS, accuracy, bounds, main_results, regime
from ntklab.reproduce.setting import LEFT_OUT, Setting
from ntklab.reproduce.steps import write_summary

RECORDS = Path(__file__).parents[2] / "figures" / "records"


def test_the_committed_records_give_five_lines():
    lines = main_results(RECORDS)
    assert [line.partition(":")[0] for line in lines] == [
        *("Kernel", "Training", "Kernel regime", "Bounds", "Width")
    ]
    rows = Record.read(RECORDS / "spectrum-ntk").results
    noisy = [row for row in rows if row["data_condition"] == "noisy"]
    share = {(row["method"], row["seed"]): row["lambda_min_over_mean"] for row in noisy}
    larger = sum(share["tensorguide", seed] > share["lora", seed] for seed in range(10))
    assert f"at {larger} of 10 seeds" in lines[0]


def test_records_that_are_absent_give_no_line(tmp_path):
    assert main_results(tmp_path) == []


@pytest.mark.parametrize(("gain", "word"), [(0.1, "more accurate"), (-0.1, "less accurate")])
def test_a_difference_is_tensorguide_less_lora(gain, word):
    rows = [
        {"settings": "matched", "variant": v, "method": v, "seed": s, "test_accuracy": a + s / 99}
        for s in range(8)
        for v, a in (("tensorguide", 0.5 + gain), ("lora", 0.5))
    ]
    line = accuracy(Record("pair", {}, {}, rows))
    assert f"{100 * gain:+.1f} points" in line
    assert line.endswith(f"over 8 seeds: {word}.")


def test_runs_within_the_regime_are_counted():
    rows = [{"ntk_regime": inside} for inside in (True, False, None, False)]
    assert "1 of 3 trained heads" in regime(Record("pair", {}, {}, rows))


def test_bounds_that_say_nothing_and_bounds_that_break_are_counted():
    def bound(method, value, measured, vacuous):
        return {
            **{"kind": "bound", "method": method, "name": "x", "equation": "1", "form": "paper"},
            **{"direction": "upper", "value": value, "measured": measured, "vacuous": vacuous},
        }

    rows = [bound("a", 2.0, 1.0, False), bound("b", 1.0, 2.0, False), bound("c", None, 1.0, True)]
    line = bounds(Record("bounds", {}, {}, rows))
    assert "2 of 3 upper bounds say something" in line
    assert "1 of 2 that have a measurement" in line


def test_one_progress_goes_over_all_records_and_ends_at_the_end(tmp_path, monkeypatch):
    seen = []
    setting = Setting(tmp_path, quick=True, watch=lambda *now: seen.append(now))
    names = setting.names()
    assert not set(names) & set(LEFT_OUT["quick"])
    monkeypatch.setattr("ntklab.experiments.run.run", finish)
    monkeypatch.setattr(Record, "read", lambda path: None)
    for name in names:
        setting.make(name)
    shares = [done / total for done, total, *_ in seen]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)
    assert {total for _, total, *_ in seen} == {seen[0][1]}
    assert [record for *_, record, _ in seen][::2] == names


def finish(experiment, cells, *, progress, **how):
    """A run that only tells how far it is."""
    progress(0, len(cells), cells[0])
    progress(len(cells), len(cells), None)


def test_a_record_without_cells_moves_the_bar_to_its_end():
    seen = []
    Steps({"a": ("sweep", 2)}, lambda *now: seen.append(now[:2])).of("a")(0, 0, None)
    assert seen == [(1.0, 1.0)]


def test_the_summary_says_which_records_are_in_which_precision(tmp_path):
    made = Record.read(RECORDS / "per-core").provenance
    for name, dtype in (("a", "float64"), ("b", "float32"), ("c", "float64")):
        provenance = {**made, "dtype": dtype}
        Record("spectrum", {}, provenance, []).write(tmp_path / "records" / name)
    text = write_summary(Setting(tmp_path, quick=True), ["## A section\n"]).read_text()
    assert "Made on cpu, float64 (2 records) and cpu, float32 (b), with " in text
    assert "## A section" in text
    for name in LEFT_OUT["quick"]:
        assert f"    {MANIFEST[name].line()}\n" in text


def test_every_main_result_is_of_a_record_that_the_quick_form_makes():
    assert RESULTS.keys() <= set(Setting(Path("x"), quick=True).names())
