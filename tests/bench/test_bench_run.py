"""The whole bench on tiny cases: what it records, and what it says where it cannot."""

import json

import pytest
import torch

import ntklab.bench.cases as all_cases
from ntklab.bench import (
    REFERENCE,
    CheckCase,
    Curve,
    KernelCase,
    Problem,
    Settings,
    SpectrumCase,
    all_contenders,
    bench_markdown,
    cases_named,
    kernels,
    run_bench,
)
from ntklab.bench.agreement import Truth
from ntklab.bench.checks import check_rows
from ntklab.bench.contenders import Contender
from ntklab.bench.kernels import kernel_rows
from ntklab.bench.peak import measure_apart
from ntklab.errors import InputError
from ntklab.jacobians import ntk
from ntklab.records import Record

TINY = Problem("tensorguide", 6, 6, 2, {"width": 4})
ALONE = Settings(repeats=1, threads=1, peak=False)


def tiny_case(problem=TINY):
    return KernelCase("tiny", problem, problem)


@pytest.fixture
def tiny_cases(monkeypatch):
    cases = [
        tiny_case(),
        SpectrumCase("tiny-spectrum", TINY, TINY),
        Curve("tiny-curve", "N", (TINY, TINY.with_samples(12)), (TINY, TINY.with_samples(12))),
    ]
    monkeypatch.setattr(all_cases, "CASES", {case.name: case for case in cases})


def test_the_comparison_with_loop_is_timed_within_a_kernel():
    case = CheckCase("tiny-check", samples=3, quick_samples=2, memory="2GiB")
    (row,) = check_rows(case, quick=True, repeats=1, device="cpu", budget=60.0)
    assert (row["kind"], row["samples"], row["outputs"]) == ("check", 2, 4)
    assert 0 < row["check_seconds"] < row["seconds"]
    record = Record(
        "bench",
        {"machine": "a machine"},
        {"threads": 1, "started": "now", "versions": {"torch": "2"}, "commit": None},
        [row],
    )
    assert "### Engines compared with loop" in bench_markdown(record)


def test_a_record_of_all_kinds_is_valid_and_reads_back(tiny_cases, tmp_path):
    before = torch.get_num_threads()
    record = run_bench(settings=ALONE)
    assert torch.get_num_threads() == before
    kinds = [row["kind"] for row in record.results]
    assert {"kernel", "spectrum", "point", "fit"} == set(kinds)
    assert Record.read(record.write(tmp_path)).results == [
        json.loads(json.dumps(row)) for row in record.results
    ]
    (whole,) = (row for row in record.results if row["kind"] == "spectrum")
    assert whole["rank"] <= whole["rank_bound"]
    assert whole["peak_bytes"] >= 0


def test_a_stopped_run_keeps_the_cases_it_finished(tiny_cases, tmp_path):
    def stop(text):
        if text.startswith("2/"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_bench(settings=ALONE, say=stop, save=lambda record: record.write(tmp_path))
    kept = Record.read(tmp_path)
    assert {row["case"] for row in kept.results} == {"tiny"}


def test_every_contender_agrees_with_the_loop_in_float64():
    rows = kernel_rows(tiny_case(), ALONE)
    assert {row["contender"] for row in rows} == set(all_contenders())
    for row in rows:
        assert row["reason"] is None
        assert row["relative_error"] < 1e-5
        assert row["seconds"] > 0
    (reference,) = (row for row in rows if row["contender"] == REFERENCE)
    assert reference["speedup"] == 1.0
    assert all(row["ratio_asked"] > 0 for row in rows)


def test_a_plain_network_has_no_structured_engine_and_no_floor():
    rows = kernel_rows(tiny_case(Problem("mlp", 4, 5, 2, {"width": 3})), ALONE)
    assert not [row for row in rows if row["contender"].startswith("structured")]
    assert all("ratio_asked" not in row for row in rows)


def test_what_would_take_too_long_is_not_started_and_says_so():
    many = TINY.with_samples(40)
    rows = kernel_rows(tiny_case(many), Settings(repeats=1, threads=1, peak=False, limit=0.0))
    for row in rows:
        assert row["seconds"] is None
        assert row["reason"].endswith("(limit 0 s)")
        assert row["expected_seconds"] > 0


def test_a_first_call_that_compiles_is_not_held_against_a_contender(monkeypatch):
    seconds = iter([5.0, 0.001])
    monkeypatch.setattr(kernels, "clock", lambda run, *_: (next(seconds), run()))
    late = Contender("late", lambda model, x: lambda: x)
    asked = late, TINY.model(), TINY.features(), Settings(limit=1.0)
    assert kernels._expected(*asked) == {"reason": None}


def test_a_wrong_kernel_is_seen():
    truth = Truth(TINY, torch.float32)
    kernel = ntk(TINY.model(torch.float64), TINY.features(torch.float64))
    assert truth.error(kernel) < 1e-5
    # the truth looks at samples spread over all, and so at the last row
    kernel[-1, -1] *= 1.5
    assert truth.error(kernel) > 1e-3


def test_a_problem_survives_the_way_to_another_process():
    told = json.loads(json.dumps(TINY.to_dict()))
    there = Problem(**told)
    torch.testing.assert_close(there.features(), TINY.features())
    for mine, its in zip(TINY.model().parameters(), there.model().parameters(), strict=True):
        torch.testing.assert_close(mine, its)


def test_peak_memory_belongs_to_the_child_alone():
    """A kernel of 64 MB shows in the child, whatever this process has held."""
    held = torch.ones(1 << 26)  # 256 MB here must not show there
    del held
    problem = Problem("linear-probe", 2000, 8, 2)
    found = measure_apart(problem, "structured", threads=1)
    assert found["kernel_bytes"] == 4000 * 4000 * 4
    assert 0.9 * found["kernel_bytes"] < found["peak_bytes"] < 3 * found["kernel_bytes"]


@pytest.mark.parametrize("method", ["tera", "tensorguide"])
def test_what_loads_late_is_not_the_problem_s(method):
    """Forward mode alone loads some 77 MiB of torch at its first call."""
    found = measure_apart(Problem(method, 100, 64, 2), "structured", threads=1)
    assert 0 < found["peak_bytes"] < 8e6


def test_a_child_that_fails_says_why():
    found = measure_apart(Problem("linear-probe", 2, 3, 2), "no such contender", threads=1)
    assert "no such contender" in found["reason"]


def test_bad_words_are_sentences():
    with pytest.raises(InputError, match="did you mean 'relu-1024'"):
        cases_named(["relu1024"])
    with pytest.raises(InputError, match="repeats = 0"):
        run_bench(["lora-64"], Settings(repeats=0))
