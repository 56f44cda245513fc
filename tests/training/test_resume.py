"""Runs that are killed, interrupted or damaged, against runs that are not."""

import signal
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from ntklab.errors import InputError
from ntklab.training import TrainConfig, train

SCRIPT = Path(__file__).with_name("run_to_be_killed.py")
spec = spec_from_file_location("run_to_be_killed", SCRIPT)
script = module_from_spec(spec)
spec.loader.exec_module(script)


def start(folder, method, latent, steps):
    arguments = [sys.executable, str(SCRIPT), str(folder), method, latent, str(steps)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_step(process, step):
    for line in process.stdout:
        if line.startswith("logged") and int(line.split()[1]) >= step:
            return
    pytest.fail(process.stderr.read())


def equal(one, other):
    """Bit for bit: BatchNorm's statistics and the latent count too."""
    assert one[0].rows == other[0].rows
    assert one[0].steps == other[0].steps
    states = one[1].state_dict(), other[1].state_dict()
    assert states[0].keys() == states[1].keys()
    for name, value in states[0].items():
        assert value.equal(states[1][name]), name


@pytest.mark.parametrize(("method", "latent"), [("tensorguide", "redrawn"), ("lora", "fixed")])
def test_resume_is_bit_equal_after_sigkill(tmp_path, method, latent):
    steps = 1000
    process = start(tmp_path, method, latent, steps)
    wait_for_step(process, 50)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    killed = load_file(tmp_path / "checkpoint.safetensors")
    done = int(killed["optimizer.0.step"])
    assert 50 <= done < steps  # in the middle, indeed
    equal(script.go(tmp_path, method, latent, steps), script.go(None, method, latent, steps))


def test_ctrl_c_keeps_the_checkpoint_and_the_run_goes_on(tmp_path):
    process = start(tmp_path, "lora", "fixed", 1000)
    wait_for_step(process, 50)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert "KeyboardInterrupt" in errors
    assert process.returncode != 0
    assert not list(tmp_path.glob(".*"))  # no temporary file is left
    equal(script.go(tmp_path, "lora", "fixed", 1000), script.go(None, "lora", "fixed", 1000))


def test_a_finished_run_is_not_run_again(tmp_path):
    first = script.go(tmp_path, "lora", "fixed", 30)
    before = (tmp_path / "checkpoint.safetensors").stat().st_mtime_ns
    again = script.go(tmp_path, "lora", "fixed", 30)
    equal(first, again)
    assert again[0].train_seconds == pytest.approx(first[0].train_seconds, abs=0.01)
    assert (tmp_path / "checkpoint.safetensors").stat().st_mtime_ns == before


@pytest.mark.parametrize("what", ["config", "model", "data", "targets"])
def test_a_folder_of_another_run_is_refused_and_names_the_difference(tmp_path, what):
    script.go(tmp_path, "lora", "fixed", 5)
    model, data, config = script.problem("lora", "fixed", 5)
    words = {
        "config": "config.lr = 0.01, not 0.02",
        "model": "start of the model",
        "data": "inputs.train",
        "targets": "targets.train",
    }
    if what == "config":
        config = config.with_(lr=0.02)
    elif what == "model":
        model[2].A.data[0, 0] += 1
    elif what == "data":
        data.inputs[0, 0] += 1
    else:
        data.targets[0] = 1 - data.targets[0]
    with pytest.raises(InputError, match=words[what]):
        train(model, data, config, folder=tmp_path)


def test_a_damaged_checkpoint_says_so(tmp_path):
    script.go(tmp_path, "lora", "fixed", 5)
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match="is damaged"):
        script.go(tmp_path, "lora", "fixed", 5)


def test_a_diverged_run_stays_diverged_when_asked_again(tmp_path):
    def run():
        torch.manual_seed(0)
        _, data, _ = script.problem("lora", "fixed", 5)
        model = torch.nn.Linear(12, 2).double()
        config = TrainConfig(optimizer="gd", lr=1e4, steps=500, loss="squared")
        return train(model, data, config, folder=tmp_path)

    first, again = run(), run()
    assert first.divergence == again.divergence
    assert first.steps == again.steps < 500
