"""Work counted without numbers equals work counted with them; the page is what the code says."""

from pathlib import Path

import pytest
import torch

from ntklab.bench import (
    PEAKS,
    ROOFLINE,
    cases_named,
    counted,
    kernel_routes,
    roofline_markdown,
    roofline_rows,
)
from ntklab.bench.cases import KernelCase
from ntklab.bench.problem import Problem
from ntklab.bench.scaled.measured import NOT_MEASURED
from ntklab.bench.scaled.roofline import _kernel, _kernel_of, expected
from ntklab.errors import InputError
from ntklab.records import Record

PAGE = Path(__file__).parents[2] / "docs" / "engines.md"
HEADS = ["lora-64", "linear-probe", "tera"]


@pytest.mark.parametrize("method", ["lora", "tt-delta", "linear-probe"])
def test_counts_without_values_are_those_of_a_run(method, monkeypatch):
    monkeypatch.setattr("ntklab.jacobians.decoupled._BLOCKS", 0)  # the way of a device, here too
    sizes = {} if method == "linear-probe" else {"rank": 2}
    problem = Problem(method, samples=6, in_features=8, sizes=sizes)
    real = counted(lambda: _kernel(problem.model(), problem.features()))
    paper = _kernel_of("", problem).counts
    built = counted(lambda: (problem.model(), problem.features()))
    assert paper.multiply_adds == real.multiply_adds
    assert paper.bytes == real.bytes - built.bytes
    assert paper.operations == real.operations - built.operations


@pytest.mark.parametrize("name", ["relu-1024", "lora"])
def test_counted_arithmetic_is_near_the_cheapest_route_for_a_device(name):
    """By `kernel_routes`, without the shifts that only a CPU takes. They leave out small products,
    and count a triangle of a Gram matrix that torch counts in full where it is small."""
    (case,) = cases_named([name])
    assert isinstance(case, KernelCase)
    routes = kernel_routes(case.problem.model(), case.problem.samples)
    totals = [
        sum(stage.multiply_adds for stage in stages)
        for route, stages in routes.items()
        if "shifts" not in route
    ]
    assert 0.5 < expected(case)[0].counts.multiply_adds / min(totals) < 2.1


def test_seconds_are_those_of_the_slowest_of_three():
    (row,) = roofline_rows(["lora-64"])
    (work,) = expected(cases_named(["lora-64"])[0])
    times = work.seconds(PEAKS["h100"])
    assert float(row["expected, ms"]) == pytest.approx(1e3 * max(times.values()), rel=0.01)
    assert times[row["bound by"]] == max(times.values())
    assert times["memory"] == work.counts.bytes / 3.35e12


def test_training_counts_every_step():
    (case,) = cases_named(["training"])
    (work,) = expected(case)
    assert work.counts.operations % case.steps == 0
    assert work.counts.operations > 20 * case.steps


@pytest.mark.parametrize(("device", "quick"), [("cuda:0", False), ("cpu", False), ("cuda:0", True)])
def test_a_first_measurement_stands_beside_what_is_expected(tmp_path, device, quick):
    """Of the real size on a GPU, by the fastest engine of ours; nothing else counts."""
    made = {"versions": dict.fromkeys(("python", "torch", "numpy", "scipy", "ntklab"), "1")}
    made |= {"device": device, "dtype": "float32", "threads": 1, "commit": None, "dirty": None}
    made |= {"started": "now", "seconds": 1.0}
    row = {"kind": "kernel", "case": "lora-64", "reason": None}
    times = {"jacrev": 0.5, "structured": 0.0123, "tutorial-jacobian": 0.001, "loop": None}
    rows = [row | {"contender": name, "seconds": value} for name, value in times.items()]
    config = {"quick": quick, "machine": "An H100"}
    Record("bench", config, made, rows).write(tmp_path / "bench-lora-64-gpu")
    measured, other = (
        row["measured"] for row in roofline_rows(["lora-64", "lora"], "h100", tmp_path)
    )
    assert measured == ("12.3 (An H100)" if (device, quick) == ("cuda:0", False) else NOT_MEASURED)
    assert other == NOT_MEASURED


def test_an_unknown_device_is_refused():
    with pytest.raises(InputError, match="h100"):
        roofline_rows(["lora-64"], "h1000")


def test_the_page_holds_the_rows_of_the_code():
    shown = PAGE.read_text(encoding="utf-8").partition(ROOFLINE[0])[2].partition(ROOFLINE[1])[0]
    if "2.13" not in torch.__version__:
        pytest.skip(f"the page was counted with torch 2.13, this is {torch.__version__}")
    for line in roofline_markdown(HEADS).splitlines():
        if line.startswith("| ") and "---" not in line:
            assert line in shown
    assert NOT_MEASURED in shown


def test_the_command_prints_and_writes(tmp_path):
    from typer.testing import CliRunner

    from ntklab.cli.main import app

    arguments = ["bench", "--roofline", "h100", "--case", "lora-64"]
    printed = CliRunner().invoke(app, arguments)
    assert printed.exit_code == 0, printed.output
    assert "lora-64" in printed.stdout
    page = tmp_path / "page.md"
    page.write_text(f"one\n{ROOFLINE[0]}\n{ROOFLINE[1]}\ntwo\n")
    assert CliRunner().invoke(app, [*arguments, "--markdown", str(page)]).exit_code == 0
    assert "| lora-64 |" in page.read_text()
    assert page.read_text().startswith("one\n")
