from ntklab.records import Record
from ntklab.reproduce.bounds import all_bounds, approximation
from ntklab.reproduce.setting import Setting
from ntklab.reproduce.steps import STEPS


def test_the_steps_are_among_the_steps():
    assert {all_bounds, approximation} <= set(STEPS)


def test_bounds_are_drawn_and_said_from_the_record(tiny, tmp_path):
    section = all_bounds(Setting(tmp_path, quick=True, device="cpu"))
    record = Record.read(tmp_path / "records" / "bounds")
    assert {row["method"] for row in record.results} >= {"lora", "tensorguide", "linear-probe"}
    assert "| lora | rademacher-trace |" in section
    assert (tmp_path / "figures" / "bounds.png").exists()


def test_curves_are_drawn_and_said_from_the_record(tiny, tmp_path):
    section = approximation(Setting(tmp_path, quick=True, device="cpu"))
    record = Record.read(tmp_path / "records" / "approximation")
    assert record.config["widths"] == [64]
    assert "| barron | 64 | 1,2,2,1,1 |" in section
    assert (tmp_path / "figures" / "approximation.png").exists()
