"""Kernels inside models: the quick forms of the cases, as `ntklab bench` runs them."""

from dataclasses import replace

import pytest

from ntklab.bench import Settings, bench_tables, run_bench
from ntklab.bench.inside.models import MODEL_CASES, PASSES, ModelProblem, model_rows
from ntklab.bench.inside.peers import absent, model_peers

QUICK = Settings(quick=True, repeats=1, threads=1, peak=False)


@pytest.mark.parametrize("case", MODEL_CASES, ids=[case.name for case in MODEL_CASES])
def test_quick_cases(case):
    pytest.importorskip("peft", reason="needs the extra hf")
    record = run_bench([case.name], QUICK)
    assert [row["contender"] for row in record.results] == [PASSES, *case.engines]
    for row in record.results:
        assert row["reason"] is None
        assert row["seconds"] > 0
        assert row["ratio_passes"] > 0
        if row["contender"] != PASSES:
            assert row["relative_error"] < 1e-4
    table = bench_tables(record)["Kernels inside models"]
    assert table[1]["contender"] == "layerwise"


def test_every_output_gives_the_kernel_of_a_whole_vocabulary():
    """On a tiny Llama; `ntklab bench --case model-vocabulary` says the same of SmolLM2."""
    pytest.importorskip("peft", reason="needs the extra hf")
    exact, sketch, every = run_bench(["model-vocabulary"], QUICK).results
    assert exact["relative_error"] < 1e-12
    assert (exact["passes"], every["passes"], sketch["passes"]) == (16, 64, 24)
    assert sketch["coverage"] >= 0.95


def test_peers_hold_the_memory_or_say_what_they_wanted():
    """The tutorial's rows on ResNet-18; libraries that are absent have rows with the reason."""
    small = replace(MODEL_CASES[-1].quick, memory="64MiB")
    case = replace(MODEL_CASES[-1], problem=small, engines=("layerwise",))
    settings = {"quick": False, "repeats": 1, "device": "cpu", "budget": 1.0, "peak": False}
    tight = {row["contender"]: row for row in model_rows(case, peers=True, **settings)}
    assert set(tight) == {PASSES, *case.engines, *model_peers()}
    assert "takes more than 64MiB" in tight["tutorial"]["reason"]
    assert tight["tutorial"]["seconds"] is None
    for name in ("TRAK", "nngeometry"):
        if why := absent(name):
            assert tight[name]["reason"] == why


def test_a_peer_that_fits_takes_turns_and_agrees():
    pytest.importorskip("peft", reason="needs the extra hf")
    settings = {"quick": True, "repeats": 1, "device": "cpu", "budget": 1.0, "peak": False}
    rows = {row["contender"]: row for row in model_rows(MODEL_CASES[0], peers=True, **settings)}
    for name in model_peers():
        if rows[name]["reason"] is None:
            assert rows[name]["relative_error"] < 1e-4
    assert rows["tutorial"]["seconds"] > 0


def test_memory_is_that_of_a_process_of_its_own():
    case = replace(MODEL_CASES[-1], engines=())
    settings = {"quick": True, "repeats": 1, "device": "cpu", "budget": 1.0, "peak": True}
    (row,) = model_rows(case, **settings)
    assert row["process_bytes"] > 1 << 26
    assert row["process_seconds"] > 0


def test_a_model_that_is_not_here_is_a_reason(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("ntklab.tasks.wikitext.fetch.find_smollm2", lambda cache=None: None)
    record = run_bench(["model-layers"], Settings(repeats=1, threads=1, peak=False))
    assert all("SmolLM2 is not here" in row["reason"] for row in record.results)


def test_layers_are_all_parameters_but_the_embedding():
    pytest.importorskip("transformers", reason="needs the extra hf")
    model = ModelProblem("llama", "layers", 1, 4).build()[0]
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    assert frozen == {"model.embed_tokens.weight"}
    assert any("norm" in name for name in trained)
