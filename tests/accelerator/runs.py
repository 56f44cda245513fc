"""Cases: training, injection, tasks, whole commands and the figures of what they wrote."""

import copy
import gc
from dataclasses import replace

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import ntklab
from ntklab.adapters import METHODS
from ntklab.tasks import HiddenStates, load_data
from ntklab.training import Data, TrainConfig, train, train_vocabulary_head
from tests.accelerator.kernels import double, head, near


def training(device: torch.device, folder) -> None:
    """Every optimizer, loss and schedule; a run that is resumed; the CPU's numbers."""
    x, labels = double(12, 8), torch.arange(12) % 2
    for optimizer in ("gd", "sgd", "adam"):
        for loss in ("squared", "cross-entropy"):
            config = TrainConfig(
                optimizer=optimizer,
                lr=0.01,
                steps=6,
                loss=loss,
                batch=5 if optimizer != "gd" else None,
            )
            mine, other = head("tensorguide"), head("tensorguide").to(device)
            wanted = train(mine, Data(x, labels, {"test": (x, labels)}), config)
            data = Data(x, labels, {"test": (x, labels)})
            given = train(other, data, config, folder=folder / f"{optimizer} {loss}")
            assert given.rows[-1]["train_loss"] == pytest.approx(wanted.rows[-1]["train_loss"])
            for there, here in zip(other.parameters(), mine.parameters(), strict=True):
                near(there.detach(), here.detach(), device)
    again = train(
        head("tensorguide").to(device), data, config, folder=folder / "adam cross-entropy"
    )
    assert again.steps == given.steps


def latents(device: torch.device, folder) -> None:
    """A latent that is drawn anew for each batch, by the CPU's generator."""
    x, labels = double(12, 8), torch.arange(12) % 2
    config = TrainConfig(optimizer="sgd", lr=0.01, steps=4, batch=5, latent="redrawn")
    rows = [
        train(head("tensorguide").to(place), Data(x, labels), config).rows[-1]["train_loss"]
        for place in ("cpu", device)
    ]
    assert rows[0] == pytest.approx(rows[1])


def dropout(device: torch.device, folder) -> None:
    """Random numbers of the device depend on the seed alone, and are left as they were."""
    x, labels = double(12, 8), torch.arange(12) % 2
    model = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5), nn.Linear(8, 2)).double()
    config = TrainConfig(optimizer="adam", lr=0.01, steps=4, batch=5)
    before = torch.get_device_module(device).get_rng_state()
    ends = []
    for seed in (1, 1, 2):
        torch.manual_seed(7)
        run = train(copy.deepcopy(model).to(device), Data(x, labels), replace(config, seed=seed))
        ends.append(run.rows[-1]["train_loss"])
    assert ends[0] == ends[1] != ends[2]
    torch.get_device_module(device).set_rng_state(before)


def vocabulary(device: torch.device, folder) -> None:
    """A head over a vocabulary, trained in blocks of logits."""
    from tests.training.test_vocabulary import adapter_for, next_token

    data = next_token()
    config = TrainConfig(optimizer="adam", lr=0.02, steps=6, batch=16)
    moved = replace(data, weight=data.weight.to(device))
    for method in ("lora", "tt-delta"):
        wanted = train_vocabulary_head(adapter_for(data, method), data, config)
        adapter = adapter_for(data, method).to(device)
        given = train_vocabulary_head(adapter, moved, config, folder=folder / method)
        assert given.test_loss == pytest.approx(wanted.test_loss)
        for parameter in adapter.parameters():
            assert parameter.device == device
    assert isinstance(data.train, HiddenStates)


def injection(device: torch.device, folder) -> None:
    """Adapters inside a model on the device: their kernel, merge, save, load, leave."""
    for method in METHODS:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 6), nn.Linear(6, 2)).double()
        x, moved = double(3, 6), copy.deepcopy(model).to(device)
        sizes = {"width": 6, "activation": "identity"} if method == "tensorguide" else {"rank": 2}
        sizes = {} if method == "linear-probe" else sizes
        for each in (model, moved):
            ntklab.inject(each, method, target_modules=["0", "2"], seed=3, **sizes)
        for name, parameter in moved.named_parameters():
            assert parameter.device == device, name
        wanted = ntklab.jacobian(model, x).gram()
        near(ntklab.jacobian(moved, x.to(device)).gram(), wanted, device)
        ntklab.save_adapter(moved, folder / method)
        fresh = nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 6), nn.Linear(6, 2)).double()
        fresh = fresh.to(device)
        ntklab.load_adapter(fresh, folder / method)
        outputs = moved(x.to(device))
        ntklab.merge(moved)
        near(moved(x.to(device)).detach(), outputs.detach().cpu(), device)
        ntklab.unmerge(moved)
        ntklab.remove(moved)


def prompts(device: torch.device, folder) -> None:
    """The prompt task of tiny language models: its outputs, states of frozen blocks, kernel."""
    pytest.importorskip("transformers")
    from ntklab.tasks.prompt import load_prompt
    from tests.tasks.prompt.conftest import SENTENCES, made, save_tokenizer

    table = folder / "films.tsv"
    rows = [f"{(k % 7) - 3}\t{text}" for k, text in enumerate(SENTENCES)]
    table.write_text("\n".join(["rating\ttext", *rows]) + "\n")
    options = {"rating_column": "rating", "words": ("bad", "good"), "shots": 2, "test": 3}
    for architecture, target in (("gpt2", "c_attn"), ("llama", "q_proj")):
        torch.manual_seed(0)
        home = folder / architecture
        count = save_tokenizer(home, masked=False)
        made(architecture, count).save_pretrained(home)
        kernels = {}
        for place in ("cpu", device):
            options |= {"model": home, "first": -2, "dtype": torch.float64, "device": place}
            task = load_prompt(table, cache=folder / "states", **options)
            model = task.model.model
            ntklab.inject(model, "lora", target_modules=[target], layers="-2:", rank=2, seed=1)
            J = ntklab.jacobian(task.model, task.train.inputs)
            kernels[place] = J.gram(), task.outputs(task.test)
        for given, wanted in zip(kernels[device], kernels["cpu"], strict=True):
            near(given, wanted, device)


def language_model(device: torch.device, folder) -> None:
    """Hidden states of a text, and a head that is trained on them."""
    pytest.importorskip("transformers")
    from ntklab.tasks.wikitext.hidden import hidden_states
    from ntklab.tasks.wikitext.language_model import load_language_model
    from ntklab.tasks.wikitext.task import load_next_token, load_wikitext
    from ntklab.tasks.wikitext.windows import cut_windows
    from tests.tasks.prompt.conftest import SENTENCES, made, save_tokenizer

    made("gpt2", save_tokenizer(folder, masked=False)).save_pretrained(folder)
    states = []
    for place in ("cpu", device):
        model = load_language_model(folder, device=place)
        ids = torch.arange(40).remainder(model.vocabulary)
        windows = cut_windows(ids, context=8)
        states.append(hidden_states(model, windows).features)
    torch.testing.assert_close(states[0], states[1], rtol=1e-4, atol=1e-4)
    text = folder / "text.txt"
    text.write_text(" ".join(SENTENCES))
    options = {"model": folder, "data": text, "context": 8, "cache": None, "device": device}
    windows = {"train_windows": 2, "valid_windows": 1, "test_windows": 1}
    assert load_next_token(**options, **windows).weight.device == device
    whole = load_wikitext(**options, train_windows=2, test_windows=1)
    assert whole.train.features.device == device


def tasks(device: torch.device, folder) -> None:
    """Data that are asked for on the device."""
    from ntklab.compute import check_device
    from ntklab.tasks.loading import DataSpec

    check_device(str(device))
    for spec in (DataSpec("synthetic"), DataSpec("quantum-dot", images=8)):
        task = load_data(spec, samples=4, dtype=torch.float64, device=str(device))
        assert task.train.features.device == task.train.labels.device == device
    data = Data.of_task(task)
    assert data.inputs.device == device


def commands(device: torch.device, folder) -> None:
    """The program with `--device`, record and figure."""
    tiny = ("--task", "synthetic", "--samples", "12", "--device", str(device))
    both = ("-m", "lora", "-m", "tensorguide")
    steps = ("--steps", "10")
    for command in (
        ("spectrum", *both, *tiny),
        ("spectrum", "-m", "lora", "--per-core", "--weighted", *tiny),
        ("bounds", "-m", "lora", "--gauge", *steps, "--draws", "50", *tiny),
        ("dynamics", "-m", "lora", *steps, *tiny),
        ("dynamics", "-m", "lora", "--loss", "cross-entropy", *steps, *tiny),
        ("train", "-m", "tensorguide", "--epochs", "1", *tiny),
        ("pair", "-m", "lora", "--matched", "--epochs", "1", "--rates", "0.01", *tiny),
        ("sweep", "-m", "tensorguide", "--width", "16", *tiny),
        (
            *("approx", "--target", "barron", "--width", "4:16", "--tt-ranks", "1,2,2,1,1", *steps),
            *("--samples", "64", "--jobs", "1", "--device", str(device)),
        ),
    ):
        out = folder / "-".join(command[:4]).replace("/", "")
        result = CliRunner().invoke(_app(), [*command, "--out", str(out)])
        assert result.exit_code == 0, (command, result.output, result.stderr, result.exception)
        record = ntklab.Record.read(out)
        assert record.provenance["device"] == str(device)
        peaks = {row.get("peak_memory_of") for row in record.results} - {None}
        assert peaks <= {device.type}, (command, peaks)


def figures(device: torch.device, folder) -> None:
    """Figures of records that the device made."""
    tiny = ("--task", "synthetic", "--samples", "12", "--device", str(device))
    for command in (
        ("spectrum", "-m", "lora", "-m", "tensorguide", *tiny, "--plot", str(folder / "s.pdf")),
        ("dynamics", "-m", "lora", "--steps", "10", *tiny, "--plot", str(folder / "d.pdf")),
        *[],
    ):
        result = CliRunner().invoke(_app(), list(command))
        assert result.exit_code == 0, (command, result.output, result.stderr, result.exception)
    assert {path.suffix for path in folder.iterdir()} >= {".pdf", ".csv"}


def bench(device: torch.device, folder) -> None:
    """A case of the bench, timed and with its peak taken from the device's allocator."""
    from ntklab.bench import Settings, machine
    from ntklab.bench.counting import row_routes
    from ntklab.bench.peak import peak_bytes, reset_peak
    from ntklab.bench.problem import Problem
    from ntklab.bench.run import case_rows, cases_named
    from ntklab.bench.timing import clock, synchronizer

    assert machine(str(device)) == "pretended accelerator"
    problem = Problem("lora", samples=4, in_features=16)
    model, x = problem.model(device=str(device)), problem.features(device=str(device))
    gc.collect()
    held = reset_peak(str(device))
    seconds, K = clock(lambda: ntklab.ntk(model, x), synchronizer(str(device)))
    assert seconds > 0
    assert peak_bytes(str(device)) - held >= K.numel() * K.element_size()
    guided = head("tensorguide").to(device)
    assert row_routes(guided, 4)
    settings = Settings(quick=True, repeats=1, device=str(device), peak=False)
    for case in cases_named(["lora"]):
        for row in case_rows(case, settings):
            assert row["seconds"] is not None or row["reason"]


def _app():
    from ntklab.cli.main import app

    return app


CASES = {
    "training": training,
    "latents": latents,
    "dropout": dropout,
    "vocabulary": vocabulary,
    "injection": injection,
    "prompts": prompts,
    "language model": language_model,
    "tasks": tasks,
    "commands": commands,
    "figures": figures,
    "bench": bench,
}
