"""Every bad situation of the command line: one sentence, a code, nothing half-written.

The program is run from outside, by its entry point and its streams: this holds whatever reads the
options behind it.
"""

import contextlib
import importlib
import io
import json
import os
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from ntklab.cli.main import main
from tests.tasks.prompt.conftest import SENTENCES, save_tokenizer

_TABLE = tomllib.loads(Path(__file__).with_name("bad_situations.toml").read_text("utf-8"))
WORDS = _TABLE["words"]
SITUATIONS = {
    name: [text.format(**WORDS) for text in texts]
    for group in _TABLE["situations"].values()
    for name, texts in group.items()
}
SMALL, SPECTRUM = WORDS["small"], WORDS["spectrum"]
PROGRAM = (sys.executable, "-c", "from ntklab.cli.main import main; main()")


def make_files(folder):
    """The files that the lines below name: each is wrong in one way."""
    images = np.random.default_rng(0).normal(size=(20, 50, 50)).astype(np.float32)
    labels = np.arange(20) % 2

    def save(name, noisy=images, labels=labels, **others):
        np.savez(folder / name, clean=images, noisy=noisy, labels=labels, **others)

    save("images.npz")
    whole = (folder / "images.npz").read_bytes()
    (folder / "truncated.npz").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.npz").write_bytes(b"")
    (folder / "text.npz").write_text("these are no images\n")
    save("nan.npz", np.where(np.arange(50) == 7, np.nan, images))
    save("square.npz", images[:, :40, :40])
    save("few-labels.npz", labels=labels[:7])
    save("many-labels.npz", labels=np.arange(20))
    save("words.npz", labels=np.array(["single"] * 20))
    np.savez(folder / "nameless.npz", images)
    np.savez(folder / "objects.npz", noisy=np.array([{}, {}]), clean=images, labels=labels)
    (folder / "folder").mkdir()
    (folder / "file").write_text("a file, not a folder\n")
    (folder / "empty.pt").write_bytes(b"")
    (folder / "broken.safetensors").write_bytes(b"\xff" * 100)
    (folder / "broken.toml").write_text("samples = \n")
    (folder / "latin.toml").write_bytes(b'task = "\xe9"\n')
    (folder / "unknown.toml").write_text("sampels = 8\n")
    (folder / "typed.toml").write_text('samples = "many"\n')
    (folder / "table.toml").write_text("[samples]\nn = 8\n")
    (folder / "page.md").write_text("a page without marks\n")
    (folder / "empty.json").write_text("")
    (folder / "other.json").write_text(json.dumps({"schema": "another/1"}))
    (folder / "list.json").write_text("[1, 2]")
    run = folder / "another-run"
    run.mkdir()
    (run / "config.json").write_text(json.dumps({"samples": 64}))
    damaged = folder / "damaged-run"
    damaged.mkdir()
    (damaged / "config.json").write_text("{")


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """Configurations and tokenizers of models without weights, and texts."""
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("models")
    sizes = {"hidden_size": 8, "intermediate_size": 12, "num_attention_heads": 2}
    llama = transformers.LlamaConfig(
        **sizes, num_hidden_layers=4, vocab_size=40, architectures=["LlamaForCausalLM"]
    )
    bert = transformers.BertConfig(
        **sizes, num_hidden_layers=2, vocab_size=40, architectures=["BertForMaskedLM"]
    )
    t5 = transformers.T5Config(vocab_size=40, architectures=["T5ForConditionalGeneration"])
    for name, config in {"llama": llama, "bert": bert, "t5": t5, "quantized": llama}.items():
        config.save_pretrained(folder / name)
        save_tokenizer(folder / name, name == "bert")
    file = folder / "quantized" / "config.json"
    eight = {"quantization_config": {"quant_method": "bitsandbytes", "load_in_8bit": True}}
    file.write_text(json.dumps(json.loads(file.read_text()) | eight))
    rows = [f"{k % 2}\t{k % 5}\t{text}" for k, text in enumerate(SENTENCES)]
    (folder / "films.tsv").write_text("\n".join(["label\trating\ttext", *rows]) + "\n")
    (folder / "film.txt").write_text("a fine film\n")
    (folder / "empty.txt").write_text("\n\n")
    return folder


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str


@pytest.fixture
def answer(monkeypatch):
    """What the program says to a line, run in this process by its entry point."""

    def call(line, out=None):
        written, err = io.StringIO(), io.StringIO()
        monkeypatch.setattr(sys, "argv", ["ntklab", *shlex.split(line)])
        monkeypatch.setattr(sys, "stdout", written if out is None else out[0])
        monkeypatch.setattr(sys, "stderr", err)
        with pytest.raises(SystemExit) as stop:
            main()
        monkeypatch.undo()
        return Answer(stop.value.code, written.getvalue(), err.getvalue())

    return call


@contextlib.contextmanager
def stdout_of(name):
    """The stdout that a situation has, or None for one that takes everything."""
    if "stdout is full" in name:
        stream = open("/dev/full", "w")  # noqa: SIM115 — closed below, where closing fails again
    elif "no reader" in name:
        read, write = os.pipe()
        os.close(read)
        stream = open(write, "w")  # noqa: SIM115
    else:
        yield (None,) if "stdout is closed" in name else None
        return
    yield (stream,)
    with contextlib.suppress(OSError):
        stream.close()


def press_ctrl_c(ended):
    """When the run in the folder has begun, or after two seconds without one.

    Again where Python was in a finalizer, which forgets exceptions, as a person would.
    """
    began = time.monotonic()
    while time.monotonic() < began + 2 and not Path("run/config.json").exists():
        time.sleep(0.02)
    time.sleep(0.5)
    while not ended.is_set():
        os.kill(os.getpid(), signal.SIGINT)
        ended.wait(8)


@contextlib.contextmanager
def trouble(name):
    """A disk without room, or a person who presses Ctrl-C."""
    if "disk is full" in name:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (40, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    elif "interrupted" in name:
        # An import that Ctrl-C cuts short stays broken for the tests that follow in this process.
        for module in ("torch._dynamo", "torch._inductor.custom_graph_pass"):
            importlib.import_module(module)
        # A process that was started in the background ignores Ctrl-C until told otherwise.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        ended = threading.Event()
        threading.Thread(target=press_ctrl_c, args=(ended,), daemon=True).start()
        yield
        ended.set()
        signal.signal(signal.SIGINT, before)
    else:
        yield


def paths_in(folder):
    return {path for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", SITUATIONS)
def test_one_sentence_and_nothing_half_written(answer, name, tmp_path, monkeypatch, request):
    make_files(tmp_path)
    if name.startswith("inside: "):
        shutil.copytree(request.getfixturevalue("models"), tmp_path, dirs_exist_ok=True)
    before = {path: path.read_bytes() for path in paths_in(tmp_path)}
    monkeypatch.chdir(tmp_path)
    line, *words = SITUATIONS[name]
    with stdout_of(name) as out, trouble(name):
        found = answer(line, out)
    interrupted, lost = "interrupted" in name, "stdout" in name
    assert found.code == (130 if interrupted else 1 if lost else 2), found.err
    assert found.out == ""
    assert found.err.count("\n") == 1, found.err
    assert found.err.startswith("stopped" if interrupted else "Error: ")
    for word in words:
        assert word in found.err
    assert all(path.read_bytes() == content for path, content in before.items())
    new = paths_in(tmp_path) - before.keys()
    assert not [path for path in new if path.name.endswith(".tmp")]
    if not interrupted and not lost:
        assert not new
    for path in (path for path in new if path.suffix == ".json"):
        json.loads(path.read_text(encoding="utf-8"))


def test_there_are_more_than_eighty_situations_and_every_command_has_some():
    from ntklab.cli.main import COMMANDS, TOOLS

    assert len(SITUATIONS) >= 80
    assert {line.split()[0] for line, *_ in SITUATIONS.values()} >= {*COMMANDS, *TOOLS}


@pytest.mark.parametrize(
    "line",
    [
        f"{SPECTRUM}",
        f"spectrum -m tensorguide {SMALL}",
        f"spectrum -m tera --centred {SMALL}",
        f"bounds -m lora {SMALL}",
        f"sweep -m tt-lora --jobs 1 {SMALL}",
    ],
)
def test_the_least_memory_is_the_least_that_does(answer, line):
    refused = answer(f"{line} --memory 1KiB")
    least = refused.err.split("at least ")[1].split(";")[0]
    assert answer(f"{line} --memory {least}").code == 0
    less = int(least.removesuffix("KiB")) - 2
    assert answer(f"{line} --memory {less}KiB").code == 2


@pytest.fixture
def ascii_stdout():
    return io.TextIOWrapper(io.BytesIO(), encoding="ascii")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (SPECTRUM, ("lambda max", "lambda min+", "N*C")),
        (f"{SPECTRUM} --seeds 0:3 --compare", ("lambda min",)),
        (f"{SPECTRUM} --dry-run", ("rank bound",)),
        ("info -m tensorguide", ("multiply-adds",)),
        ("bounds --help", ("lambda min / mean",)),
    ],
)
def test_letters_that_stdout_cannot_hold_have_names(answer, ascii_stdout, line, words):
    assert answer(line, (ascii_stdout,)).code == 0
    text = ascii_stdout.buffer.getvalue().decode("ascii")
    for word in words:
        assert word in text


def test_json_in_ascii_is_the_same_json(answer, ascii_stdout):
    line = "dynamics -m lora --task synthetic --samples 8 --steps 2 --alpha 2 --format json"
    assert answer(line, (ascii_stdout,)).code == 0
    record = json.loads(ascii_stdout.buffer.getvalue().decode("ascii"))
    assert record["results"][0]["variant"] == "lora α=2"


def test_errors_are_in_ascii_where_stderr_is(tmp_path):
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    line = ["info", "--λ≤²"]
    done = subprocess.run(
        [*PROGRAM, *line], capture_output=True, env=environment, cwd=tmp_path, check=False
    )
    assert done.returncode == 2
    assert b"--lambda<=2" in done.stderr


@pytest.mark.parametrize("shell", ["{} >&-", "set -o pipefail; {} | head -c 0", "{} > /dev/full"])
def test_the_program_itself_with_an_stdout_that_is_lost(shell, tmp_path):
    program = shlex.join([*PROGRAM, "--version"])
    done = subprocess.run(
        ["bash", "-c", shell.format(program)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Error: stdout")
    assert done.stderr.count("\n") == 1
