import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest
import torch

from ntklab.errors import InputError, MissingExtraError
from ntklab.experiments.executors import compute
from ntklab.experiments.spectrum import SpectrumConfig, run_cell
from ntklab.records import Cell, RunFolder

pytestmark = pytest.mark.usefixtures("ends")
SCRIPT = Path(__file__).with_name("sweep_to_be_killed.py")


def configs(count):
    return [
        SpectrumConfig.of(method="lora", task="synthetic", samples=6, seed=seed)
        for seed in range(count)
    ]


def contents(folder):
    """Every cell by name, without what the clock decides; arrays as their bytes."""
    found = {}
    for path in sorted((folder / "cells").iterdir()):
        if path.suffix == ".json":
            data = json.loads(path.read_text())
            assert set(data.pop("measured")) >= {"seconds"}
            found[path.name] = json.dumps(data)
        else:
            found[path.name] = path.read_bytes()
    return found


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """The cells of a plain run, one after another."""
    place = tmp_path_factory.mktemp("plain")
    compute(configs(3), run_cell, folder=RunFolder(place, {}))
    return contents(place)


@pytest.mark.parametrize(("backend", "jobs"), [("loky", 2), ("loky", 1), ("threading", 3)])
def test_backends_leave_the_bytes_of_a_plain_run(backend, jobs, unbroken, tmp_path):
    folder = RunFolder(tmp_path, {})
    heard = []
    cells = compute(
        configs(3), run_cell, folder=folder, backend=backend, jobs=jobs,
        progress=lambda done, total, _: heard.append((done, total)),
    )  # fmt: skip
    assert [cell.row["seed"] for cell in cells] == [0, 1, 2]
    assert contents(tmp_path) == unbroken
    assert heard == [(done, 3) for done in range(4)]


def test_dask_leaves_the_bytes_of_a_plain_run(unbroken, tmp_path):
    distributed = pytest.importorskip("dask.distributed")
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster),
    ):
        compute(configs(3), run_cell, folder=RunFolder(tmp_path, {}), backend="dask", jobs=1)
    assert contents(tmp_path) == unbroken


def test_only_what_is_missing_is_computed(tmp_path):
    asked = []

    def run(config):
        asked.append(config.compute.seed)
        return Cell({"seed": config.compute.seed}, {"seconds": 0.0}, {})

    folder = RunFolder(tmp_path, {})
    compute(configs(2), run, folder=folder, backend="threading", jobs=2)
    cells = compute(configs(4), run, folder=folder, backend="threading", jobs=2)
    assert sorted(asked) == [0, 1, 2, 3]
    assert [cell.row["seed"] for cell in cells] == [0, 1, 2, 3]


def test_a_failing_cell_keeps_the_finished_ones(tmp_path):
    def run(config):
        if config.compute.seed == 2:
            raise InputError("the third refuses.")
        return Cell({"seed": config.compute.seed}, {}, {})

    folder = RunFolder(tmp_path, {})
    with pytest.raises(InputError, match="the third refuses"):
        compute(configs(3), run, folder=folder, backend="threading", jobs=1)
    assert [folder.load(config.to_dict()) is not None for config in configs(3)] == [
        *(True, True, False)
    ]


@pytest.mark.parametrize(("backend", "jobs"), [("loky", 2), ("loky", 1), ("threading", 2)])
def test_a_sweep_killed_in_the_middle_goes_on_and_ends_in_the_same_bytes(backend, jobs, tmp_path):
    spec = importlib.util.spec_from_file_location("sweep_to_be_killed", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    place = tmp_path / "killed"
    command = [sys.executable, str(SCRIPT), str(place), backend, str(jobs)]
    process = subprocess.Popen(command, start_new_session=True)
    while len(list(place.glob("cells/*.json"))) < 2 and process.poll() is None:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    kept = {path.name: path.stat().st_mtime_ns for path in place.glob("cells/*.json")}
    with contextlib.suppress(ProcessLookupError):  # its workers, which would wait for minutes
        os.killpg(process.pid, signal.SIGKILL)
    assert 2 <= len(kept) < 8  # killed in the middle, nothing finished was lost
    folder = RunFolder(place, {"a": "sweep"})
    compute(script.configs(), run_cell, folder=folder, backend=backend, jobs=1)
    after = {path.name: path.stat().st_mtime_ns for path in place.glob("cells/*.json")}
    assert len(after) == 8
    assert kept.items() <= after.items()  # what was there was left alone
    compute(script.configs(), run_cell, folder=RunFolder(tmp_path / "whole", {"a": "sweep"}))
    assert contents(place) == contents(tmp_path / "whole")


def test_a_worker_that_is_killed_is_a_sentence(tmp_path):
    with pytest.raises(InputError, match="worker process was killed"):
        compute(configs(2), _kill_itself, folder=RunFolder(tmp_path, {}), backend="loky", jobs=2)


def _kill_itself(config):
    if threading.current_thread() is threading.main_thread() and config.compute.seed == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return Cell({}, {}, {})


def test_threads_of_the_process_are_given_back():
    before = torch.get_num_threads()
    compute(configs(1), run_cell, backend="threading", jobs=1, threads=before + 1)
    assert torch.get_num_threads() == before


def test_what_cannot_run_is_refused_before_anything_is_computed(monkeypatch):
    with pytest.raises(InputError, match="did you mean 'loky'"):
        compute(configs(1), run_cell, backend="lokey")
    with pytest.raises(InputError, match="jobs = 0"):
        compute(configs(1), run_cell, jobs=0)
    monkeypatch.setitem(sys.modules, "dask.distributed", None)
    with pytest.raises(MissingExtraError, match=r"ntklab\[cluster\]"):
        compute(configs(1), run_cell, backend="dask")


def test_a_scheduler_is_dask_s_and_must_answer(monkeypatch):
    pytest.importorskip("dask.distributed")
    monkeypatch.setattr("ntklab.distributed.cluster._PATIENCE", 1)
    with pytest.raises(InputError, match="no dask scheduler answers at tcp://nowhere:1"):
        compute(configs(1), run_cell, backend="dask", scheduler="tcp://nowhere:1")
    with pytest.raises(InputError, match="--scheduler local:2 needs --backend dask, not loky"):
        compute(configs(1), run_cell, scheduler="local:2")


def test_a_killed_worker_of_dask_costs_its_cell_only(cluster, tmp_path):
    """The second cell kills its worker once, after the first has been kept."""
    folder = RunFolder(tmp_path / "run", {})
    together = partial(_dies_once, note=tmp_path / "death")
    cells = compute(
        configs(3), together, folder=folder, backend="dask", scheduler=cluster,
        together=lambda config: 0,
    )  # fmt: skip
    assert [cell.row["seed"] for cell in cells] == [0, 1, 2]
    assert (tmp_path / "death").read_text() == "1"
    computed = [(tmp_path / f"death-{seed}").read_text() for seed in range(3)]
    assert computed == ["x", "x", "x"]  # each once: the first was not computed again


def _dies_once(config, note):
    seed = config.compute.seed
    if seed == 1:
        with contextlib.suppress(FileExistsError), note.open("x") as file:
            file.write(str(seed))
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
    with note.with_name(f"{note.name}-{seed}").open("a") as file:
        file.write("x")
    return Cell({"seed": seed}, {"seconds": 0.0}, {})


def test_cells_that_belong_together_share_a_worker():
    """Where a cell ran is all that the workers are asked here."""
    asked = configs(6)
    ran: dict[int, int] = {}

    def run(config):
        ran[config.compute.seed] = threading.get_ident()
        time.sleep(0.05)
        return Cell({"seed": config.compute.seed}, {"seconds": 0.0}, {}, ())

    told = []
    found = compute(
        asked,
        run,
        backend="threading",
        jobs=2,
        together=lambda config: config.compute.seed % 2,
        progress=lambda done, of, _: told.append((done, of)),
    )
    assert [cell.row["seed"] for cell in found] == list(range(6))
    assert len({ran[seed] for seed in (0, 2, 4)}) == len({ran[seed] for seed in (1, 3, 5)}) == 1
    assert told == [(0, 6), (3, 6), (6, 6)]
