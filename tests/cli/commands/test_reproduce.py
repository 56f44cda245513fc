import pytest

import ntklab.reproduce.steps
from ntklab.records import Record
from ntklab.reproduce.figures import all_figures


@pytest.fixture
def without_figures(monkeypatch):
    """The steps less the figures, which have a test of their own."""
    steps = [step for step in ntklab.reproduce.steps.STEPS if step is not all_figures]
    monkeypatch.setattr(ntklab.reproduce.steps, "STEPS", steps)


def test_reproduce_writes_records_tables_figures_and_a_summary(
    run, tiny, without_figures, tmp_path
):
    out = tmp_path / "reproduction"
    result = run("reproduce", "--quick", "--out", out, "--device", "cpu")
    assert result.exit_code == 0, result.stderr
    summary = (out / "summary.md").read_text()
    for preset in ("ntk", "released", "paper"):
        record = Record.read(out / "records" / f"spectrum-{preset}")
        assert len(record.results) == 6 * 2 * 2
        assert (out / f"spectrum-{preset}.csv").exists()
        for kind in ("pdf", "png", "csv"):
            figure = out / "figures" / f"spectrum-{preset}.{kind}"
            assert figure.exists()
        assert f"figures/spectrum-{preset}.png" in summary
        # every number is the record's: LoRA's kernel is singular at B = 0, and there alone
        for row in record.results:
            if row["method"] == "lora":
                assert (row["lambda_min"] == 0) == (preset == "paper")
    assert str(out / "summary.md") in result.stdout
    assert "singular at 0 seeds for TensorGuide and at 2 for LoRA" in summary


def test_reproduce_again_computes_nothing_again(run, tiny, without_figures, tmp_path):
    assert run("reproduce", "--quick", "--out", tmp_path, "--device", "cpu").exit_code == 0
    cells = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("cells/*")}
    summary = (tmp_path / "summary.md").read_text()
    (tmp_path / "summary.md").unlink()
    assert run("reproduce", "--quick", "--out", tmp_path, "--device", "cpu").exit_code == 0
    assert cells == {p: p.stat().st_mtime_ns for p in tmp_path.rglob("cells/*")}
    assert (tmp_path / "summary.md").read_text() == summary
