"""Every output of a language model, one by one: beside loops, and in the table of a record."""

import pytest
import torch

from ntklab import ntk
from ntklab.bench import Settings, bench_tables, run_bench
from ntklab.bench.inside.models import ModelProblem
from ntklab.bench.inside.vocabulary import VOCABULARY_CASES, every_output, vocabulary_rows
from ntklab.jacobians.readout import TokenLogits

QUICK = VOCABULARY_CASES[0].quick


@pytest.fixture
def llama():
    pytest.importorskip("peft", reason="needs the extra hf")
    model, x, _ = QUICK.build()
    model.set_attn_implementation("eager")
    return model.double(), x


def test_every_output_is_the_mean_over_the_kernels_of_all_tokens(llama):
    model, x = llama
    tokens = TokenLogits(tuple(range(model.config.vocab_size)))
    few = {"input_ids": x["input_ids"][:3]}
    wanted = ntk(model, few, output="trace", readout=tokens, engine="loop")
    found = every_output(model, few["input_ids"])
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-9 * float(wanted.max()))


def test_outputs_at_a_time_change_nothing(llama, monkeypatch):
    model, x = llama
    whole = every_output(model, x["input_ids"][:2])
    monkeypatch.setattr("ntklab.bench.inside.vocabulary._AT_ONCE", 7)
    torch.testing.assert_close(every_output(model, x["input_ids"][:2]), whole)


def test_adapters_stand_in_the_last_two_layers(llama):
    trained = [name for name, p in llama[0].named_parameters() if p.requires_grad]
    blocks = {int(name.split("layers.")[1].split(".")[0]) for name in trained}
    assert blocks == {0, 1}  # of two
    assert len(trained) == 2 * 2 * 2  # A and B, of q and v


def test_the_table_of_a_vocabulary():
    pytest.importorskip("peft", reason="needs the extra hf")
    settings = Settings(quick=True, repeats=1, threads=1, peak=False)
    (rows,) = bench_tables(run_bench(["model-vocabulary"], settings)).values()
    assert [row["contender"] for row in rows] == ["exact", "sketch", "every output"]
    assert [row["passes"] for row in rows] == ["16", "24", "64"]
    assert float(rows[0]["off every output"]) < 1e-12
    assert rows[1]["within 3 errors"].endswith("%")


def test_a_vocabulary_that_is_not_here_is_a_reason(monkeypatch):
    monkeypatch.setattr("ntklab.tasks.wikitext.fetch.find_smollm2", lambda cache=None: None)
    case = VOCABULARY_CASES[0]
    rows = vocabulary_rows(case, quick=False, repeats=1, device="cpu", budget=1.0)
    assert len(rows) == 3
    assert all("SmolLM2 is not here" in row["reason"] for row in rows)
    assert isinstance(case.problem, ModelProblem)
