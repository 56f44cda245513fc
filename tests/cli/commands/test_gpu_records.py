import json

import pytest

from ntklab.records import check_record
from ntklab.reproduce.training_page import ON_GPU


def test_the_same_command_runs_in_small_on_a_cpu_and_resumes(run, tmp_path):
    pytest.importorskip("transformers", reason="needs the extra hf")
    words = ("gpu-records", "--device", "cpu", "--out", tmp_path)
    listed = run(*words, "--dry-run")
    assert listed.exit_code == 0, listed.output
    assert "minutes in all" in listed.stdout
    assert not (tmp_path / "records").exists()
    done = run(*words, "--minutes", "8")
    assert done.exit_code == 0, done.output
    made = sorted(tmp_path.glob("records/*/record.json"))
    names = {path.parent.name for path in made}
    assert {"released-end-to-end-gpu", "prompt-panel-gpu", "bench-lora-64-gpu"} <= names
    for path in made:
        one = json.loads(path.read_text())
        check_record(one)
        assert one["provenance"]["device"] == "cpu"
        assert one["provenance"]["versions"]["torch"]
    times = {path: path.stat().st_mtime_ns for path in tmp_path.glob("records/*/cells/*")}
    assert run(*words, "--minutes", "8").exit_code == 0
    assert {p: p.stat().st_mtime_ns for p in tmp_path.glob("records/*/cells/*")} == times
    assert (tmp_path / "gpu-records.zip").stat().st_size < 16_000_000
    assert list((tmp_path / "records").glob(ON_GPU))  # the names that the page looks for


def test_without_a_gpu_the_command_says_what_to_do(run, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    refused = run("gpu-records")
    assert refused.exit_code == 2
    assert "give --device cpu for a trial in small" in refused.stderr
