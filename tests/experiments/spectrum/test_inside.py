"""Cells inside a tiny random Llama, beside the same kernel put together by hand."""

import math

import pytest
import torch

from ntklab import InputError, jacobian
from ntklab.adapters.inject import inject
from ntklab.experiments.run import run
from ntklab.experiments.spectrum import SPECTRUM, SpectrumConfig
from ntklab.experiments.spectrum.experiment import spectrum_cell
from ntklab.experiments.spectrum.inside import source
from ntklab.experiments.spectrum.inside.planned import model_preview
from ntklab.experiments.spectrum.inside.spec import ModelSpec
from ntklab.jacobians.readout import TokenLogits
from ntklab.records.schema import SPECTRUM_ROW, check
from ntklab.tasks.prompt.model import load_prompt_model
from ntklab.tasks.prompt.texts import read_texts


def by_hand(tiny, films, method="lora", samples=5, words=("bad", "good")):
    """The Jacobian of the same cell: model, adapter, texts and readout, each by its own call."""
    loaded = load_prompt_model(tiny(), dtype=torch.float64)
    inject(loaded.model, method, target_modules=["q_proj", "v_proj"], layers="-2:", seed=0)
    texts = read_texts(films).texts
    order = torch.randperm(len(texts), generator=torch.Generator().manual_seed(0))[:samples]
    chosen = [texts[place] for place in sorted(order.tolist())]
    batch = loaded.tokenizer(chosen, padding=True, return_tensors="pt")
    x = {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"]}
    readout = TokenLogits.of_words(loaded.tokenizer, words)
    return jacobian(loaded.model, x, readout=readout, engine="loop")


@pytest.fixture(scope="module")
def cells():
    """Cells that several tests look at are computed once."""
    kept = {}

    def cell(config):
        if config not in kept:
            kept[config] = spectrum_cell(config)
        return kept[config]

    return cell


def test_the_spectrum_is_that_of_a_loop(tiny, films, inside, cells):
    J = by_hand(tiny, films)
    wanted = torch.linalg.eigvalsh(J.gram()).flip(0)
    cell = cells(inside(per_layer=True))
    found = torch.from_numpy(cell.arrays["eigenvalues"])
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-12)
    assert cell.row["params"] == J.shape[1] == 224
    assert cell.row["outputs"] == 10


def test_the_row_says_what_was_read_and_how(inside, cells):
    cell = cells(inside(per_layer=True))
    check(cell.flat, SPECTRUM_ROW)
    row = cell.row
    assert (row["task"], row["readout"], row["target"]) == (
        "text", "tokens:bad,good", "q_proj,v_proj",
    )  # fmt: skip
    assert row["choice"].startswith(f"{row['engine']}: ")
    assert row["derivative_exact"]
    assert 0 < row["derivative_gap"] < 1e-3
    assert row["derivative_checked"] == 4  # A and B of q and of v, in one block
    assert 0 <= row["kernel_target_alignment"] <= 1
    assert "LlamaRMSNorm" in row["single_inside"]
    assert "LlamaRMSNorm" in row["errors_count"]
    assert row["sigma_error"] > 1e-11 * row["lambda_max"] ** 0.5
    assert "float32" in row["reason"]


def test_layers_add_up_to_the_whole(inside, cells):
    cell = cells(inside(per_layer=True))
    places = [(block, module) for block in (2, 3) for module in ("q_proj", "v_proj")]
    names = [f"model.layers.{block}.self_attn.{module}" for block, module in places]
    assert [part["core"] for part in cell.parts] == names
    assert [part["block"] for part in cell.parts] == [2, 2, 3, 3]
    assert math.isclose(sum(part["trace_share"] for part in cell.parts), 1, rel_tol=1e-12)
    assert sum(part["params"] for part in cell.parts) == cell.row["params"]
    assert all("LlamaRMSNorm" in part["errors_count"] for part in cell.parts)
    for part in cell.parts:
        check({**part, **cell.measured}, SPECTRUM_ROW)


def test_a_method_whose_gradient_is_another_function_s_is_named(inside, cells):
    pytest.importorskip("peft")
    cell = cells(inside(method="peft:dora", per_layer=True))
    assert not cell.row["derivative_exact"]
    assert cell.row["derivative_gap"] > 0.01
    assert "kernel is that of training" in cell.row["reason"]
    assert cell.row["start"] == "peft"
    assert len(cell.parts) == 4
    assert math.isclose(sum(part["trace_share"] for part in cell.parts), 1, rel_tol=1e-12)


def test_peft_s_lora_is_no_such_method(inside, cells):
    pytest.importorskip("peft")
    row = cells(inside(method="peft:lora", rank=2)).row
    assert row["derivative_exact"]
    assert row["params"] == 112
    assert row["start"] == "peft"


@pytest.mark.parametrize("method", ["tt-lora", "tensorguide", "tt-delta", "tera"])
def test_every_adapter_of_ours_has_a_cell(inside, method):
    row = spectrum_cell(inside(method=method, samples=3)).row
    assert row["lambda_max"] > 0
    assert row["derivative_exact"]


def test_a_zero_start_leaves_the_outputs_and_the_weights_alone(inside):
    config = inside(preset="zero")
    plain, read = source.plain_model(config).model, source.read(config)
    x = {name: read.inputs[name] for name in ("input_ids", "attention_mask")}
    with torch.no_grad():
        before = plain(**x).logits
        torch.testing.assert_close(source.adapted_model(config)(**x).logits, before)
        other = source.adapted_model(inside(preset="ntk"))(**x).logits
        assert not torch.allclose(other, before)
        assert torch.equal(plain(**x).logits, before)


def test_the_loss_counts_no_padding(tiny, inside, tmp_path):
    """A text alone, and padded beside a longer one."""
    rows = {}
    for name, lines in (
        ("alone", ["a fine film"]),
        ("both", ["a fine film", "a dull film , dull"]),
    ):
        path = tmp_path / f"{name}.txt"
        path.write_text("\n".join(lines) + "\n")
        config = inside(text=str(path), label_column=None, readout="loss", samples=len(lines))
        read, model = source.read(config), source.adapted_model(config)
        rows[name] = jacobian(model, read.inputs, readout=read.readout, engine="loop").dense()
    torch.testing.assert_close(rows["both"][0], rows["alone"][0])


def test_classes_are_places_of_their_words(inside):
    read = source.read(inside(readout="margin:good,bad"))
    other = source.read(inside(readout="margin:bad,good"))
    assert torch.equal(read.labels, 1 - other.labels)


def test_a_masked_model_is_read_at_its_mask(tiny, inside):
    config = inside(model=str(tiny("bert")), target="query,value", template="{text} It was")
    read = source.read(config)
    assert read.readout.at == 2
    assert bool((read.inputs["input_ids"] == 2).sum(1).eq(1).all())
    with pytest.raises(InputError, match="fills masks"):
        source.read(inside(model=str(tiny("bert")), target="query", readout="vocabulary"))


def test_the_whole_vocabulary_is_the_mean_over_all_tokens(tiny, inside):
    row = spectrum_cell(inside(readout="vocabulary:exact", label_column=None)).row
    words = load_prompt_model(tiny()).model.config.vocab_size
    model, read = source.adapted_model(inside()), source.read(inside())
    whole = jacobian(model, read.inputs, readout=TokenLogits(tuple(range(words))), engine="loop")
    wanted = torch.linalg.eigvalsh(whole.gram(output="trace"))
    # The norms of a Llama compute in float32, whatever its dtype: two ways round differently.
    assert math.isclose(row["lambda_max"], float(wanted[-1]), rel_tol=1e-6)
    assert row["single_inside"]
    assert (row["output"], row["vocabulary_route"], row["vocabulary_passes"]) == (
        "trace",
        "exact",
        8,
    )


def test_a_sketch_says_its_error(inside):
    row = spectrum_cell(inside(readout="vocabulary:16", label_column=None)).row
    assert 0 < row["vocabulary_error"] < 1
    assert row["lambda_min_error"] is None
    assert "sketch" in row["reason"]


def test_a_preview_loads_no_weight(inside, monkeypatch):
    source.loaded.cache_clear()
    model_preview.cache_clear()
    seen = []
    original = source.load_prompt_model
    monkeypatch.setattr(
        source,
        "load_prompt_model",
        lambda *args, **words: seen.append(words["weights"]) or original(*args, **words),
    )
    planned = model_preview(inside())
    assert seen == [False]
    assert (planned.parameters, planned.outputs, planned.passes) == (224, 10, 2)
    assert planned.layers == 4
    assert planned.memory_bytes > 0
    assert planned.seconds > 0
    monkeypatch.undo()
    source.loaded.cache_clear()


def test_the_preview_counts_what_a_pass_takes(inside):
    """Multiply-adds of the forward pass, by hand: twice as many tokens, about twice as many."""
    from ntklab.experiments.spectrum.inside.planned import _dry_pass

    config = inside()
    model, read = source.adapted_model(config, weights=False), source.read(config, weights=False)
    dry = _dry_pass(model, read)
    linear = sum(
        m.weight.numel() for n, m in model.named_modules() if isinstance(m, torch.nn.Linear)
    )
    head = model.get_output_embeddings().weight.numel()
    least = read.length * (linear - head) + head  # one position alone meets the last projection
    assert least <= dry.forward <= 2 * least
    assert dry.backward > 0


def test_a_folder_goes_on_where_it_stopped(inside, tmp_path):
    configs = [inside(seed=0, samples=3)]
    first = run(SPECTRUM, configs, out=tmp_path / "run", threads=1)
    more = [*configs, inside(seed=1, samples=3)]
    second = run(SPECTRUM, more, out=tmp_path / "run", threads=1)
    assert second.results[0] == first.results[0]
    assert [row["seed"] for row in second.results] == [0, 1]
    with pytest.raises(InputError, match="holds a run with readout"):
        run(SPECTRUM, [inside(readout="loss", samples=3)], out=tmp_path / "run", threads=1)


def test_a_cell_inside_a_model_has_no_data_of_heads(inside):
    flat = inside().to_dict()
    assert flat["model"].startswith("/")
    assert not flat.keys() & {"task", "data", "images", "backbone", "data_condition"}
    assert SpectrumConfig.of(**flat) == inside()


def test_heads_know_nothing_of_models():
    flat = SpectrumConfig.of(method="lora").to_dict()
    assert not flat.keys() & ModelSpec.flat_fields().keys()
