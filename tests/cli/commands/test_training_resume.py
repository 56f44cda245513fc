"""Runs of train, pair and dynamics that are killed or stopped in the middle of a cell."""

import json
import signal
import subprocess
import sys
import time

import pytest
from safetensors import SafetensorError, safe_open

from ntklab.records.run_folder import RUNNING
from ntklab.training import supervised

# The program, with checkpoints every 20 ms instead of every second: cells may then be short.
PROGRAM = """
from ntklab.experiments.training.heads import cell, end_to_end
cell.CHECKPOINT_SECONDS = end_to_end.CHECKPOINT_SECONDS = 0.02
from ntklab.cli.main import main
main()
"""
SYNTHETIC = ("--task", "synthetic", "--samples", "16", "--device", "cpu")

# Each run lasts about a second, long enough to be met in the middle.
COMMANDS = {
    "train": ("train", "-m", "lora", *SYNTHETIC, "--batch", "8", "--steps", "2500"),
    "a rate of pair": (
        *("pair", "-m", "lora", "--matched", *SYNTHETIC, "--epochs", "2500"),
        *("--rates", "0.001,0.01", "--seeds", "0"),
    ),
    "dynamics": ("dynamics", "-m", "lora", *SYNTHETIC, "--steps", "2500", "--alpha", "100"),
    "end to end": (
        *("train", "-m", "tensorguide", "--end-to-end", "--images", "10", "--epochs", "20"),
        *("--device", "cpu"),
    ),
}


def cells(place):
    """Every byte of the finished cells, the clock apart."""
    kept = {}
    for path in sorted((place / "cells").iterdir()):
        kept[path.name] = path.read_bytes()
        if path.suffix == ".json":
            kept[path.name] = json.loads(kept[path.name])
            del kept[path.name]["measured"]
    return kept


def step_of(path):
    """Updates made until a checkpoint; 0 while it is being moved into place."""
    try:
        with safe_open(path, framework="pt") as file:
            return json.loads(file.metadata()["ntklab"])["scalars"]["step"]
    except (OSError, SafetensorError):
        return 0


def checkpoints(place):
    return {path: step_of(path) for path in place.glob(f"{RUNNING}/*/*/checkpoint.safetensors")}


def started_and_stopped(arguments, place, how):
    """Wait for a checkpoint in the middle of a run, then send the signal."""
    told = (sys.executable, "-c", PROGRAM, *arguments, "--out", str(place))
    process = subprocess.Popen(told, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 90
    while not any(checkpoints(place).values()) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(how)
    _, errors = process.communicate(timeout=60)
    return process.returncode, errors


@pytest.mark.parametrize("name", COMMANDS)
def test_a_run_killed_in_the_middle_of_a_cell_goes_on_to_the_same_bytes(
    name, run, tmp_path, monkeypatch
):
    arguments, killed, whole = COMMANDS[name], tmp_path / "killed", tmp_path / "whole"
    code, errors = started_and_stopped(arguments, killed, signal.SIGKILL)
    assert code == -signal.SIGKILL, errors
    done = checkpoints(killed)
    assert done
    assert not list(killed.glob("cells/*.json"))
    steps = []
    real = supervised._Trainer.update
    monkeypatch.setattr(supervised._Trainer, "update", lambda self: steps.append(1) or real(self))
    assert run(*arguments, "--out", killed).exit_code == 0
    resumed = len(steps)
    assert run(*arguments, "--out", whole).exit_code == 0
    assert resumed == len(steps) - resumed - sum(done.values())  # no step was made twice
    assert cells(killed) == cells(whole)
    assert not (killed / RUNNING).exists()
    assert not (whole / RUNNING).exists()


def test_ctrl_c_keeps_the_run_in_hand_and_says_how_to_go_on(run, tmp_path):
    arguments = COMMANDS["train"]
    code, errors = started_and_stopped(arguments, tmp_path / "run", signal.SIGINT)
    assert code == 130
    assert f"run it again: {tmp_path / 'run'}" in errors
    assert 0 < sum(checkpoints(tmp_path / "run").values()) < 2500
    assert run(*arguments, "--out", tmp_path / "run").exit_code == 0
    assert run(*arguments, "--out", tmp_path / "whole").exit_code == 0
    assert cells(tmp_path / "run") == cells(tmp_path / "whole")


def test_force_forgets_the_run_in_hand(run, tmp_path):
    arguments = ("train", "-m", "lora", *SYNTHETIC, "--steps", "20", "--out", tmp_path / "run")
    left = tmp_path / "run" / RUNNING / ("0" * 16) / "train"
    left.mkdir(parents=True)
    own = tmp_path / "run" / RUNNING / "notes"
    own.mkdir()
    assert run(*arguments, "--force").exit_code == 0
    assert not left.exists()
    assert own.exists()  # no name of ours
