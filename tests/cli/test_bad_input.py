"""Bad input: exit code 2, one sentence on stderr, no traceback, nothing half-written."""

import subprocess
import sys

import numpy as np
import pytest


def images(path, nan=False, size=50, labels=None):
    noisy = np.random.default_rng(0).normal(size=(20, size, size)).astype(np.float32)
    if nan:
        noisy[3, 4, 5] = np.nan
    labels = np.arange(20) % 2 if labels is None else labels
    np.savez(path, clean=noisy, noisy=noisy, labels=labels)
    return path


def check_refused(result, *words):
    assert result.exit_code == 2, result.stdout + result.stderr
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    assert "Traceback" not in result.stderr
    for word in words:
        assert word in result.stderr, result.stderr


SYNTHETIC = ("--task", "synthetic", "--samples", "8", "--device", "cpu")
SHAPED = ("-m", "tensorguide", "--width", "16", *SYNTHETIC)  # d + C = 34, D = 544
CASES = {
    "unknown method": (("-m", "tensorgide"), ("'tensorgide'", "did you mean 'tensorguide'")),
    "ranks of the wrong length": (
        (*SHAPED, "--in-dims", "1,1", "--out-dims", "17,32", "--tt-ranks", "1,2,2,1"),
        ("ranks",),
    ),
    "shapes that do not fit": (
        (*SHAPED, "--in-dims", "1,1", "--out-dims", "17,31", "--tt-ranks", "1,2,1"),
        ("527", "544"),
    ),
    "samples 0": (("--samples", "0"), ("samples = 0", "at least 1")),
    "too many samples": (("--images", "20", "--samples", "17"), ("17 samples", "1 to 16")),
    "absent file": (("--data", "absent.npz"), ("absent.npz",)),
    "absent weights": (("--images", "5", "--backbone-weights", "absent.pt"), ("absent.pt",)),
    "absent device": ((*SYNTHETIC, "--device", "cuda:99"), ("cuda:99", "not there")),
    "unknown device": ((*SYNTHETIC, "--device", "gpu"), ("device 'gpu'",)),
    "unknown task": (("--task", "quantum-dots"), ("did you mean 'quantum-dot'",)),
    "unknown condition": (("--data-condition", "nosy"), ("did you mean 'noisy'",)),
    "unknown preset": ((*SYNTHETIC, "--preset", "release"), ("did you mean 'released'",)),
    "unknown engine": ((*SYNTHETIC, "--engine", "jacref"), ("did you mean 'jacrev'",)),
    "unknown dtype": ((*SYNTHETIC, "--dtype", "double"), ("unknown dtype 'double'",)),
    "unknown backbone": (("--backbone", "resnet81"), ("resnet81",)),
    "unknown format": ((*SYNTHETIC, "--format", "jsn"), ("did you mean 'json'",)),
    "unknown option": (("--sample", "3"), ("--sample", "ntklab spectrum --help")),
    "no number": (("--samples", "many"), ("integer", "--samples")),
    "seeds": ((*SYNTHETIC, "--seeds", "a:b"), ("'a:b'", "0:5")),
    "no seeds": ((*SYNTHETIC, "--seeds", "3:3"), ("name no seed",)),
    "repeated seeds": ((*SYNTHETIC, "--seeds", "0:3,2"), ("twice",)),
    "too many seeds": ((*SYNTHETIC, "--seeds", "0:9999999"), ("ask for fewer",)),
    "ranks that are no numbers": ((*SHAPED, "--tt-ranks", "1,x,1"), ("--tt-ranks '1,x,1'",)),
    "rank 0": (("-m", "lora", "--rank", "0", *SYNTHETIC), ("0",)),
    "memory": ((*SYNTHETIC, "--memory", "lots"), ("'lots'", "4GiB")),
    "too little memory": (("-m", "tt-lora", *SYNTHETIC, "--memory", "1KB"), ("memory",)),
    "an idle size": (("-m", "linear-probe", "--width", "16", *SYNTHETIC), ("--width",)),
    "a plot of another kind": ((*SYNTHETIC, "--plot", "a.gif"), ("a.gif", ".pdf")),
    "an option of another task": ((*SYNTHETIC, "--data", "x.npz"), ("'synthetic' has no data",)),
    "absent config": (("--config", "absent.toml"), ("absent.toml",)),
}


@pytest.mark.parametrize("name", CASES)
def test_one_sentence_and_nothing_written(run, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments, words = CASES[name]
    check_refused(run("spectrum", *arguments, "--out", "run"), *words)
    assert list(tmp_path.iterdir()) == []


def test_shapes_that_do_not_fit_propose_one_that_does(run):
    arguments = ("--in-dims", "1,1", "--out-dims", "17,31", "--tt-ranks", "1,2,1")
    message = run("spectrum", *SHAPED, *arguments).stderr
    proposed = message.split("out", 1)[1]
    assert "[" in proposed  # a shape is written in brackets


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"nan": True}, ("NaN",)),
        ({"size": 40}, ("40",)),
        ({"labels": np.zeros(7)}, ("7",)),
        ({"labels": np.arange(20)}, ("label",)),
    ],
)
def test_bad_images(run, tmp_path, options, words):
    path = images(tmp_path / "images.npz", **options)
    result = run("spectrum", "--data", path, "--samples", "8", "--out", tmp_path / "run")
    check_refused(result, *words)
    assert not (tmp_path / "run").exists()


def test_a_folder_of_another_run(run, tmp_path):
    arguments = ("spectrum", "-m", "lora", "--out", tmp_path / "run")
    assert run(*arguments, *SYNTHETIC).exit_code == 0
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    result = run(*arguments, *SYNTHETIC, "--samples", "9")
    check_refused(result, "samples = 8, not 9", "--force")
    assert before == {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    assert run(*arguments, *SYNTHETIC, "--samples", "9", "--force").exit_code == 0


def test_an_absent_extra(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    result = run("spectrum", "--backbone", "hf:anything", "--images", "5", "--samples", "4")
    check_refused(result, 'pip install "ntklab[hf]"')


def test_an_unknown_key_in_a_file_of_options(run, tmp_path):
    path = tmp_path / "run.toml"
    path.write_text("sampels = 8\n")
    check_refused(run("spectrum", "--config", path), "'sampels'", "did you mean 'samples'")
    path.write_text("samples = \n")
    check_refused(run("spectrum", "--config", path), "cannot be read as TOML")


def test_debug_shows_the_traceback(run):
    result = run("spectrum", "-m", "tensorgide", "--debug")
    assert result.exit_code == 1
    assert result.exception is not None
    assert "tensorgide" in str(result.exception)


def test_the_program_itself_exits_with_2_and_one_line():
    done = subprocess.run(
        [sys.executable, "-c", "from ntklab.cli.main import main; main()", "spectrum", "-m", "x"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("Error: unknown method 'x'")
    assert done.stderr.count("\n") == 1
