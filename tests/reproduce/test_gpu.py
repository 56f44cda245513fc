import json
import os
import signal
import time
import zipfile
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from ntklab.errors import InputError
from ntklab.experiments.training.prompt.cell import run_prompt
from ntklab.experiments.training.prompt.experiment import PROMPT
from ntklab.records import Record
from ntklab.reproduce import gpu
from ntklab.reproduce.clock import Clock
from ntklab.reproduce.gpu import Step, run_steps, steps_of, write_archive

VERSIONS = dict.fromkeys(("python", "torch", "numpy", "scipy", "ntklab"), "1")
MADE = {"versions": VERSIONS, "device": "cpu", "dtype": "float32", "threads": 1}


def record(rows=1, numbers=1):
    made = MADE | {"commit": None, "dirty": None, "started": "now", "seconds": 1.0}
    arrays = {"x": np.random.default_rng(0).normal(size=numbers)}
    return Record("bench", {}, made, [{"kind": "fit", "k": k} for k in range(rows)], arrays)


def step(name, action=lambda folder, clock: True):
    def make(folder, clock):
        record().write(folder)
        return action(folder, clock)

    return Step(name, f"ntklab {name}", 1.0, make)


def states(outcomes):
    return {one.name: one.state for one in outcomes}


def test_steps_run_in_turn_and_what_became_of_them_is_written(tmp_path):
    def absent(folder, clock):
        raise InputError("the model is not here.")

    steps = [step("first"), step("second", absent), step("third")]
    outcomes = run_steps(steps, tmp_path, Clock(10.0))
    assert states(outcomes) == {"first": "done", "second": "absent", "third": "done"}
    told = json.loads((tmp_path / "steps.json").read_text())
    assert told[1]["reason"] == "the model is not here."
    assert told[0]["command"] == "ntklab first"
    with zipfile.ZipFile(tmp_path / "gpu-records.zip") as archive:
        assert "records/third/record.json" in archive.namelist()
        assert json.loads(archive.read("steps.json")) == told


def test_when_the_time_is_up_the_rest_is_left_for_the_next_call(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu, "RESERVE", 0.0)

    def long(folder, clock):
        with clock.limit() as cut:
            time.sleep(60)
        return not cut

    steps = [step("first"), step("second", long), step("third")]
    outcomes = run_steps(steps, tmp_path, Clock(0.005))
    assert states(outcomes) == {"first": "done", "second": "stopped", "third": "stopped"}
    again = run_steps([*steps[:1], step("second"), steps[2]], tmp_path, Clock(10.0))
    assert set(states(again).values()) == {"done"}


def test_what_is_finished_is_left_as_it_is(tmp_path):
    """By another command, or where the record has gone, a step is made again."""
    made = []

    def note(folder, clock):
        made.append(folder.name)
        return True

    steps = [step(name, note) for name in ("a", "b", "c")]
    run_steps(steps, tmp_path, Clock(10.0))
    (tmp_path / "records" / "b" / "record.json").unlink()
    steps[2] = replace(steps[2], command="ntklab c --longer")
    assert set(states(run_steps(steps, tmp_path, Clock(10.0))).values()) == {"done"}
    assert made == ["a", "b", "c", "b", "c"]


def test_a_person_s_interrupt_stops_all_and_the_archive_is_there(tmp_path):
    def interrupt(folder, clock):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_steps([step("first"), step("second", interrupt)], tmp_path, Clock(10.0))
    with zipfile.ZipFile(tmp_path / "gpu-records.zip") as archive:
        assert "records/first/record.json" in archive.namelist()


def test_an_archive_holds_all_records_and_the_arrays_that_fit(tmp_path):
    for name, numbers in (("a", 40_000), ("b", 1000), ("c", 1)):
        record(numbers=numbers).write(tmp_path / "records" / name)
    path = write_archive(tmp_path, most=100_000)
    assert path.stat().st_size <= 100_000
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    assert {f"records/{name}/record.json" for name in "abc"} <= set(names)
    assert "records/b/record.safetensors" in names
    assert "records/a/record.safetensors" not in names
    with pytest.raises(InputError, match="take more than 0 MB"):
        write_archive(tmp_path, most=100)


def test_a_gpu_has_every_row_that_is_not_yet_measured_the_released_runs_first(tmp_path):
    steps = steps_of("cuda:0", tmp_path)
    names = [one.name for one in steps]
    assert names[0].startswith("released-end-to-end")
    for part in ("released-end-to-end-gpu", "table3-gpu", "prompt-panel-gpu"):
        assert part in names
    assert names.index("prompt-panel-gpu") < names.index("bench-relu-1024-gpu")
    panel = next(one for one in steps if one.name == "prompt-panel-gpu")
    assert "--layers 0: " in panel.command  # all layers, as `ntklab pair` alone would run it
    assert panel.minutes > 0
    tables = [name for name in names if name.startswith("released-end-to-end")]
    assert len(tables) == 1 + 2 + 5  # table 1, and what tables 2 and 5 have besides
    assert all("--device cuda:0" in one.command for one in steps)
    assert all(one.minutes > 0 for one in steps if not one.name.startswith(("table3", "prompt")))


def test_a_panel_that_is_cut_short_keeps_a_record_of_its_finished_runs(tmp_path, monkeypatch):
    """The runs follow from searches, which a second call finds in the folder."""
    pytest.importorskip("transformers", reason="needs the extra hf")
    (panel,) = (one for one in steps_of("cpu", tmp_path) if one.name == "prompt-panel-gpu")
    folder, runs = tmp_path / "records" / panel.name, []

    def cut_after_four(config, **how):
        if len(runs) == 4:  # three searches and the first run
            os.kill(os.getpid(), signal.SIGINT)
        runs.append(config)
        return run_prompt(config, **how)

    cut = replace(PROMPT, cell=cut_after_four)
    monkeypatch.setattr("ntklab.experiments.training.prompt.experiment.PROMPT", cut)
    clock = Clock(60.0)
    monkeypatch.setattr(clock, "limit", interrupted)
    assert panel.make(folder, clock) is False
    assert [row["variant"] for row in Record.read(folder).results] == ["lora r=2 layers=0:"]
    monkeypatch.undo()
    assert panel.make(folder, Clock(60.0))
    assert len(Record.read(folder).results) == 3
    assert Record.read(folder).provenance["device"] == "cpu"


@contextmanager
def interrupted(reserve=0.0):
    """As `Clock.limit` when its time is up, without a clock."""
    cut = []
    try:
        yield cut
    except KeyboardInterrupt:
        cut.append(True)
