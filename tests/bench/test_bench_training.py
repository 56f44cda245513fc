"""Steps of the fast loop against the slow ones, and the sweep's block by size."""

import pytest
import torch

import ntklab.bench.cases as all_cases
from ntklab.adapters import build_adapter
from ntklab.adapters.layer_rows import CACHE_BYTES
from ntklab.bench import BlockCase, Problem, Settings, TrainingCase, bench_markdown, run_bench
from ntklab.bench.training import NEITHER, NO_CUT, OURS, one_einsum
from ntklab.tensor_train import BLOCK_BYTES

HEAD = Problem("tensorguide", 10, 512, 2, {"width": 64})
ALONE = Settings(repeats=1, threads=1, peak=False)


@pytest.fixture
def tiny(monkeypatch):
    cases = [
        TrainingCase("training", HEAD, HEAD, batch=4, steps=40, few_steps=3),
        BlockCase(
            "block-size",
            HEAD,
            HEAD,
            mebibytes=(1, BLOCK_BYTES >> 20),
            kibibytes=(1, CACHE_BYTES >> 10),
        ),
    ]
    monkeypatch.setattr(all_cases, "CASES", {case.name: case for case in cases})


@pytest.mark.parametrize("sizes", [{}, {"width": 24, "tt_ranks": (1, 2, 3, 1)}])
def test_the_slow_einsum_is_the_train(sizes):
    head = build_adapter("tensorguide", 10, 2, **({"width": 16} | sizes), dtype=torch.float64)
    torch.testing.assert_close(one_einsum(head), head.generate(), rtol=1e-12, atol=1e-14)
    path = torch.backends.opt_einsum.enabled
    one_einsum(head)
    assert torch.backends.opt_einsum.enabled == path


def test_all_loops_train_the_same_head_and_the_record_says_what_was_extrapolated(tiny):
    record = run_bench(["training"], ALONE)
    rows = {row["contender"]: row for row in record.results}
    assert set(rows) == {OURS, NO_CUT, NEITHER}
    assert rows[OURS]["loss_error"] is None
    assert rows[NO_CUT]["loss_error"] < 1e-12  # the same float64 steps in another order
    assert rows[NEITHER]["loss_error"] < 1e-6  # float32 features of other chunks
    assert not rows[OURS]["extrapolated"]
    for name, steps in ((OURS, 40), (NO_CUT, 3), (NEITHER, 3)):
        row = rows[name]
        assert row["steps_timed"] == steps
        assert row["steps_per_second"] == pytest.approx(steps / row["seconds"])
        assert row["seconds_whole"] == pytest.approx(40 * row["seconds"] / steps)
        assert row["speedup"] == pytest.approx(
            rows[NEITHER]["seconds_whole"] / row["seconds_whole"]
        )
    ours = rows[OURS]
    assert ours["speedup_with_caching"] < ours["speedup"]
    text = bench_markdown(record)
    assert text.count("(40, extrapolated)") == 2


def test_a_wrong_step_would_be_seen(tiny, monkeypatch):
    from ntklab.bench import training as module

    real = module.one_einsum
    monkeypatch.setattr(module, "one_einsum", lambda head: 1.05 * real(head))
    rows = run_bench(["training"], ALONE).results
    assert all(row["loss_error"] > 1e-5 for row in rows if row["contender"] != OURS)


@pytest.mark.parametrize("pay", [False, True])
def test_blocks_are_timed_and_the_one_in_use_is_marked(tiny, monkeypatch, pay):
    """Both ways of a head that goes by shifts; a head that does not has one."""
    monkeypatch.setattr("ntklab.bench.blocks.shifts_pay", lambda *_: pay)
    record = run_bench(["block-size"], ALONE)
    ways = {}
    for row in record.results:
        ways.setdefault(row["contender"], []).append(row)
    sizes = [(1 << 20, BLOCK_BYTES), (1 << 10, CACHE_BYTES)][: 1 + pay]
    assert [tuple(row["block_bytes"] for row in rows) for rows in ways.values()] == sizes
    for rows in ways.values():
        assert [row["chosen"] for row in rows] == [False, True]
        assert min(row["ratio_fastest"] for row in rows) == 1.0
    assert "| block-size | by outer products | 16.0 MiB |" in bench_markdown(record)
