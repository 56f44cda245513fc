"""Runs of a language model's last layer, on a softmax that differs from the frozen one."""

import math
from dataclasses import replace

import pytest
import torch

from ntklab.adapters import build_adapter
from ntklab.experiments.run import run
from ntklab.experiments.training.evidence import baseline_sentence, judged_by, pairs_sentence
from ntklab.experiments.training.experiment import LANGUAGE
from ntklab.experiments.training.language import cell as language_cell
from ntklab.experiments.training.language.cell import run_language, truncated_projection
from ntklab.experiments.training.language.config import SEARCH_SEED, LanguageConfig
from ntklab.experiments.training.language.search import search_variant
from ntklab.experiments.training.markdown import table_markdown
from ntklab.experiments.training.table import smaller_and_larger, training_table
from ntklab.experiments.training.variants import table3_configs
from ntklab.records import Record
from ntklab.tasks import HiddenStates, NextToken

SMALL = {"steps": 12, "batch": 16, "look": 4, "dtype": "float64"}


def next_token(seed=0, n=64, d=6, v=30):
    g = torch.Generator().manual_seed(seed)
    frozen = torch.randn(v, d, generator=g, dtype=torch.float64)
    first, second = (torch.randn(*s, generator=g, dtype=torch.float64) for s in ((d, 1), (1, v)))
    truth = frozen + 1.5 * (first @ second).T

    def split(count, name):
        phi = torch.randn(count, d, generator=g, dtype=torch.float64)
        labels = torch.softmax(phi @ truth.T, 1).multinomial(1, generator=g)[:, 0]
        return HiddenStates(phi, labels, f"{name} {seed} {count}")

    parts = [split(count, name) for count, name in ((n, "a"), (n // 2, "b"), (n // 2, "c"))]
    windows = {"train": 1, "valid": 1, "test": 1}
    told = {"model": "made up", "context": n, "stride": n, "windows": windows}
    return NextToken(*parts, frozen, None, told)


@pytest.fixture
def data(monkeypatch):
    made = next_token()
    monkeypatch.setattr(language_cell, "load_next_token", lambda **_: made)
    language_cell._TEXTS.clear()
    yield made
    language_cell._TEXTS.clear()


def config(method="lora", **given):
    return LanguageConfig.of(method=method, **(SMALL | given))


def test_a_run_learns_and_says_what_it_was(data):
    row = run_language(config(rank=2, lr=0.05, steps=40)).row
    assert row["test_perplexity"] < row["baseline_perplexity"]
    assert row["baseline_perplexity"] == pytest.approx(data.baseline("test"))
    assert (row["params"], row["variant"]) == (2 * (6 + 30), "lora r=2")
    assert row["test_perplexity"] == pytest.approx(math.exp(row["test_loss"]))


def test_equal_seeds_give_equal_bits_and_other_seeds_do_not(data):
    one, two, other = (run_language(config(rank=2, seed=s)) for s in (0, 0, 1))
    assert one.row == two.row
    assert one.row["test_loss"] != other.row["test_loss"]


def test_kept_logits_change_nothing_but_rounding(data):
    plain, kept = (run_language(config(rank=2, keep_logits=k, lr=0.05)) for k in (False, True))
    assert kept.row["test_loss"] == pytest.approx(plain.row["test_loss"], rel=1e-12)
    assert kept.row["test_loss"] != pytest.approx(math.log(data.baseline("test")), rel=1e-3)


def test_the_chunk_changes_nothing_but_rounding(data):
    few, many = (run_language(config("tera", chunk=k)).row["test_loss"] for k in (3, 64))
    assert few == pytest.approx(many, rel=1e-12)


def test_replacing_bounds_the_rank_and_leaves_the_base_out(data):
    run = config("lora", head="replace", rank=1)
    adapter = language_cell.language_adapter(run, data)
    assert adapter.base is None
    assert torch.linalg.matrix_rank(adapter(data.test.features)) == 1
    assert run_language(run).row["variant"] == "replace: lora r=1"


def test_the_truncated_projection_is_the_nearest_of_its_rank(data):
    cut = truncated_projection(data.weight, 2)
    u, s, vh = torch.linalg.svd(data.weight, full_matrices=False)
    torch.testing.assert_close(cut, u[:, :2] * s[:2] @ vh[:2])
    row = run_language(config("truncated", rank=6)).row
    assert row["test_perplexity"] == pytest.approx(data.baseline("test"))


def test_a_killed_run_goes_on_with_the_same_bits(data, tmp_path):
    """The checkpoint of a run in hand is found again under the run's own name."""
    run = config(rank=2, steps=20)
    whole = run_language(run)

    class Killed(Exception):
        pass

    def kill(step, total):
        if step == 7:
            raise Killed

    import ntklab.training.vocabulary as module

    original = module._Trainer.run
    module._Trainer.run = lambda self, seconds: original(self, 0.0)  # a checkpoint every update
    try:
        with pytest.raises(Killed):
            run_language(run, running=tmp_path, progress=kill)
        seen = []
        again = run_language(run, running=tmp_path, progress=lambda step, _: seen.append(step))
    finally:
        module._Trainer.run = original
    assert seen[0] == 8  # the updates before the kill are not made again
    assert again.row == whole.row


def test_finished_cells_are_not_run_again_and_leave_no_checkpoint(data, tmp_path, monkeypatch):
    configs = [config(rank=2, seed=s) for s in (0, 1)]
    first = run(LANGUAGE, configs, out=tmp_path)
    assert not list((tmp_path / "running").glob("*"))
    monkeypatch.setattr(language_cell, "train_vocabulary_head", None)
    assert run(LANGUAGE, configs, out=tmp_path).results == first.results


@pytest.mark.parametrize("kept", [False, True])
def test_a_search_takes_the_rate_of_the_least_validation_loss(data, tmp_path, kept):
    configs = [config(rank=2, seed=s, rates=(1e-3, 3e-2)) for s in (0, 1)]
    record = run(LANGUAGE, configs, out=tmp_path if kept else None)
    searches = [row for row in record.results if row["purpose"] == "search"]
    measured = [row for row in record.results if row["purpose"] == "measure"]
    assert {row["seed"] for row in searches} == {SEARCH_SEED}
    best = min(searches, key=lambda row: row["valid_loss"])["lr"]
    assert {row["lr"] for row in measured} == {best}
    assert len(searches) >= 2
    assert {name.partition(".")[0] for name in record.arrays} == {row["cell"] for row in measured}


def test_each_choice_of_ranks_is_searched_apart():
    configs = table3_configs(LanguageConfig.of(method="frozen"), [0, 1])
    found = {search_variant(one, configs) for one in configs if one.trained}
    assert len(found) == 8
    assert {one.adapter.width for one in found if one.adapter.tt_ranks} == {3}


def test_table3_has_every_row_of_the_issue():
    variants = {one.variant for one in table3_configs(LanguageConfig.of(method="frozen"), [0])}
    assert {f"lora r={r}" for r in (1, 2, 3, 4)} <= variants
    assert {f"tensorguide M={m} ranks=1,2,2,1,1" for m in (1, 2, 3, 4)} <= variants
    assert {"frozen", "tt-lora", "tt-delta r=4", "tera"} <= variants
    assert {"replace: tensorguide M=4", "replace: lora r=4"} <= variants


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("sizes", [(576, 49152), (768, 50257)], ids=["smollm2", "gpt2"])
def test_heads_of_whole_vocabularies_plan_their_shapes(width, sizes):
    """D = 51025 M for GPT-2 (51025 = 5² · 13 · 157), 49728 M for SmolLM2: nobody gives out-dims."""
    head = build_adapter("tensorguide", *sizes, width=width, dtype=torch.float32)
    assert math.prod(head.shapes["cores"].out_dims) == width * sum(sizes)
    assert head.parameter_count < 400
    first, second = head.factors()
    assert (first.shape, second.shape) == ((sizes[0], width), (width, sizes[1]))


# --- pairs, in worlds where the smaller head wins and where it does not ---------------


def world(perplexities, seeds=3, spread=0.01):
    """Rows of variants: (method, parameters) → mean test perplexity, seeds scattered about it."""
    rows = []
    for (method, params), value in perplexities.items():
        for seed in range(seeds):
            wobble = spread * (seed - (seeds - 1) / 2) * (1 if method == "lora" else -1)
            rows.append(
                {
                    **{"task": "wikitext", "purpose": "measure", "head": "add", "seed": seed},
                    **{"method": method, "variant": f"{method} {params}", "params": params},
                    **{"test_perplexity": value + wobble, "valid_perplexity": value},
                    **{"test_loss": math.log(value), "lr": 0.1, "steps": 3, "batch": 4},
                    **{"baseline_perplexity": 24.0, "reason": None},
                }
            )
    return Record("train", {}, {}, rows)


def signs(record):
    return [pair["sign"] for pair in smaller_and_larger(record)]


def test_lower_means_are_decided_by_their_intervals():
    record = world({("tensorguide", 300): 21.0, ("lora", 1000): 22.0, ("lora", 2000): 21.5})
    assert signs(record) == [-1, -1]
    assert "Of 2 pairs" in pairs_sentence(record)
    assert "lower in 2, higher in 0" in pairs_sentence(record)


def test_a_pair_may_be_decided_for_lora():
    record = world({("tensorguide", 300): 21.7, ("lora", 1000): 22.0, ("lora", 2000): 21.5})
    assert signs(record) == [-1, 1]
    assert "lower in 1, higher in 1" in pairs_sentence(record)


def test_seeds_that_scatter_leave_it_undecided():
    assert signs(world({("tensorguide", 300): 21.0, ("lora", 1000): 21.1}, spread=1.0)) == [0]


def test_one_seed_decides_nothing():
    assert signs(world({("tensorguide", 300): 1.0, ("lora", 1000): 22.0}, seeds=1)) == [0]


def test_a_larger_tensorguide_is_no_smaller_budget():
    record = world({("tensorguide", 3000): 21.0, ("lora", 1000): 22.0})
    assert smaller_and_larger(record) == []
    assert "no TensorGuide beside" in pairs_sentence(record)


def test_the_frozen_model_is_compared_by_intervals():
    record = world({("tensorguide", 300): 21.0, ("lora", 1000): 25.0, ("tera", 30): 24.0})
    assert "1 of 3 variants end below" in baseline_sentence(record)
    assert "1 above it" in baseline_sentence(record)


def test_the_page_says_what_the_record_says(data):
    base = config("frozen")
    chosen = [one for one in table3_configs(base, [0, 1]) if "ranks=" not in one.variant]
    chosen += [config("tensorguide", width=2, seed=s) for s in (0, 1)]
    record = run(LANGUAGE, [replace(one, lr=0.05) for one in chosen])
    page = table_markdown(record)
    table = {row["variant"]: row for row in training_table(record)}
    lora = table["lora r=4"]
    assert f"| lora r=4 | {lora['params']} | 0.05 | 2 |" in page
    assert f"{lora['test_perplexity']:.2f} [" in page
    assert judged_by(3) in page
    assert baseline_sentence(record) in page
    assert "Rows of a GPU: not yet measured" in page
    assert "replace:" not in page  # its own heading says so
