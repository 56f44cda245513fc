import pytest

from ntklab.bench import bench_markdown
from ntklab.bench.kernels import Settings
from ntklab.bench.problem import Problem
from ntklab.bench.run import run_bench
from ntklab.bench.scaled.case import ScaleCase, scale_rows

pytest.importorskip("dask.distributed", reason="needs the extra cluster")
pytest.importorskip("zarr", reason="needs the extra cluster")
pytestmark = pytest.mark.usefixtures("ends")


def test_a_small_kernel_survives_two_deaths_and_is_not_computed_twice():
    """The case `scale-20000` in its quick form, of which the long one differs in sizes alone."""
    record = run_bench(["scale-20000"], Settings(quick=True, repeats=1, threads=1, peak=False))
    row, *places = record.results
    assert row["reason"] is None
    assert (row["killed"], row["computed"], row["computed_again"]) == (2, row["blocks"], 0)
    assert row["relative_error"] < 1e-6
    assert row["stored_bytes"] == pytest.approx(row["stored_by_formula"], rel=0.05)
    assert row["peak_bytes"] < row["memory"]
    assert [one["kind"] for one in places] == ["capacity"] * 3
    page = bench_markdown(record)
    assert "A kernel shared among workers" in page
    assert "100 workers as here" in page


def test_too_small_a_disk_is_a_reason(monkeypatch):
    problem = Problem("lora", 100_000_000, 4, 2, {"rank": 1})
    case = ScaleCase("huge", problem, problem)
    how = {"quick": False, "repeats": 1, "device": "cpu", "budget": 1.0}
    assert "of disk" in scale_rows(case, **how)[0]["reason"]
