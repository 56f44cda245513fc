"""Kernels inside models: the quick forms of the cases, as `ntklab bench` runs them."""

import pytest

from ntklab.bench import Settings, bench_tables, run_bench
from ntklab.bench.models import MODEL_CASES, PASSES, ModelProblem

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


def test_memory_is_that_of_a_process_of_its_own():
    record = run_bench(["model-resnet18"], Settings(quick=True, repeats=1, threads=1))
    for row in record.results:
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
