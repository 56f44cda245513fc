import pytest

import ntklab.figures
from ntklab.records import Record
from ntklab.reproduce.figures import all_figures
from ntklab.reproduce.setting import Setting
from ntklab.reproduce.steps import STEPS

FEW = ("cores", "conditioning", "prediction", "prediction-lazy")


@pytest.fixture
def few(monkeypatch):
    """The figures whose records the step makes itself."""
    plates = tuple(one for one in ntklab.figures.catalogue() if one.name in FEW)
    monkeypatch.setattr(ntklab.figures, "catalogue", lambda: plates)


def test_the_step_makes_the_records_that_figures_lack_and_draws_them_once(tiny, few, tmp_path):
    assert STEPS[-1] is all_figures  # it draws what the others have computed
    section = all_figures(Setting(tmp_path, quick=True, device="cpu"))
    for name in FEW:
        assert f"![{ntklab.figures.plate(name).title}](figures/{name}.png)" in section
        assert (tmp_path / "figures" / f"{name}.csv").exists()
    lazy = Record.read(tmp_path / "records" / "dynamics-lora-lazy")
    assert lazy.config["alpha"] == 100.0
    assert lazy.config["samples"] == 8
    widths = Record.read(tmp_path / "records" / "sweep-widths")
    assert {row["width"] for row in widths.results} == {64, 256, 1024}
    assert "cores.png" in (tmp_path / "figures" / "README.md").read_text()

    # again: every cell is there, so nothing is computed a second time
    cells = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("cells/*")}
    all_figures(Setting(tmp_path, quick=True, device="cpu"))
    assert cells == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("cells/*")}
