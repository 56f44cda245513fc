"""`--dry-run` has one form: the configuration as JSON, a table of the work, sentences; no file."""

import json

import pytest

COMPUTE = {
    "spectrum": ["--method", "lora", "--samples", "16"],
    "bounds": ["--method", "lora", "--samples", "16"],
    "approx": ["--quick"],
    "train": ["--method", "lora", "--samples", "16"],
    "dynamics": ["--method", "lora", "--samples", "16"],
    "pair": ["--quick"],
    "sweep": ["--method", "lora", "--samples", "16"],
    "check": ["eq13"],
    "bench": ["--quick", "--case", "relu-1024"],
    "reproduce": ["--quick", "--device", "cpu"],
}


@pytest.mark.parametrize("command", COMPUTE)
def test_a_dry_run_says_the_configuration_and_writes_nothing(command, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run(command, *COMPUTE[command], "--out", tmp_path / "out", "--dry-run")
    assert result.exit_code == 0, result.stderr
    found, end = json.JSONDecoder().raw_decode(result.stdout)
    assert isinstance(found, dict)
    assert found
    assert result.stdout[end:].strip(), "no plan follows the configuration"
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").rglob("*.json"))


def test_every_command_that_keeps_results_has_one():
    from typer.main import get_command

    from ntklab.cli.main import app

    keeps = {
        name
        for name, command in get_command(app).commands.items()
        if {"--out"} & {word for p in getattr(command, "params", ()) for word in p.opts}
    }
    # figures draws in seconds; gpu-records has a list of steps of its own
    assert keeps - {"figures", "gpu-records", "info"} == COMPUTE.keys()


def test_reproduce_says_every_record_that_it_would_make(run, tmp_path):
    from ntklab.reproduce.setting import Setting

    out = tmp_path / "out"
    text = run("reproduce", "--quick", "--device", "cpu", "--out", out, "--dry-run").stdout
    assert all(name in text for name in Setting(out, quick=True).names())
    assert "minutes of one core in all" in text
