"""What every test shares: one thread, fixed seeds, the shared data where it is present."""

import faulthandler
import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings

# Small float64 problems: more threads cost more than they give, and results depend on their number.
torch.set_num_threads(1)

settings.register_profile("local", deadline=None, max_examples=25)
settings.register_profile("ci", deadline=None, max_examples=25, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")


@pytest.fixture(autouse=True)
def _fixed_seeds():
    """A test that draws from a global generator draws the same numbers every time, in any order."""
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002 — the libraries that tests compare with may use it


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real inputs, from NTKLAB_SHARED_DATA or beside the checkout."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("NTKLAB_SHARED_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"real inputs are absent: {folder} is no folder (set NTKLAB_SHARED_DATA)")
    return folder


@pytest.fixture(autouse=True)
def _private_cache(tmp_path_factory, monkeypatch):
    """Features cached by tests stay out of the user's cache, and are shared within a session."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def tiny(monkeypatch):
    """The manifest with a quick form of seconds: few samples, two seeds, one or two methods."""
    few = {
        "spectrum": {"samples": 8, "images": 20, "seed": range(2)},
        "sweep": {"samples": 8, "images": 20, "seed": range(2)},
        "bounds": {"samples": 8, "images": 20, "seed": range(1)},
        "approx": {"samples": 64, "steps": 20, "images": 100, "width": (64,)},
        "pair": {"images": 10, "seed": range(2), "epochs": 2},
        "dynamics": {"samples": 8, "images": 20, "steps": 20},
    }
    from ntklab.experiments.manifest import MANIFEST

    for name, entry in list(MANIFEST.items()):
        if entry.planner == "dynamics" and entry.options["method"] not in ("lora", "tera"):
            monkeypatch.delitem(MANIFEST, name)
        elif entry.quick is not None and entry.planner in few:
            quick = {**entry.quick, **few[entry.planner]}
            monkeypatch.setitem(MANIFEST, name, replace(entry, quick=quick))


# Seconds that a test of other processes may take: far more than it does on a loaded machine.
LONGEST = 150 if os.environ.get("CI") else 600


@pytest.fixture
def ends():
    """A test of other processes that does not end fails with a sentence, and says where it was."""

    def stop(signum, frame):
        faulthandler.dump_traceback(all_threads=True)
        pytest.fail(f"hung: another process has not answered in {LONGEST} s (stacks on stderr).")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(LONGEST)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(autouse=True)
def _clusters_end(request):
    """Whatever asks a cluster has an end."""
    if "cluster" in request.fixturenames:
        request.getfixturevalue("ends")


@pytest.fixture(scope="session")
def cluster():
    """Two workers of dask, in processes of their own; a client of them."""
    distributed = pytest.importorskip("dask.distributed", reason="needs the extra cluster")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50
        ) as workers,
        distributed.Client(workers) as client,
    ):
        yield client
