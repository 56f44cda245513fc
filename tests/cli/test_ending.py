"""SIGTERM, as a batch system sends it, ends a run as Ctrl-C does."""

import os
import signal
import subprocess
import sys
import time

import pytest

from ntklab.cli import ending

RUN = ("pair", "--method", "lora", "--method", "tt-lora", "--seeds", "0:2", "--jobs", "2")


def wait_for(condition, seconds=120.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_no_worker_outlives_a_run_that_is_told_to_end(tmp_path):
    psutil = pytest.importorskip("psutil", reason="looks for the children of a process")
    # A process that was started in the background ignores Ctrl-C, but not this.
    code = (
        "import signal; from ntklab.cli.main import main; "
        "signal.signal(signal.SIGINT, signal.SIG_IGN); main()"
    )
    out = tmp_path / "run"
    command = [sys.executable, "-c", code, *RUN, "--epochs", "1000000", "--out", str(out)]
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, text=True, cwd=tmp_path, **streams)
    try:
        wait_for(lambda: process.poll() is not None or list(out.glob("running/**/checkpoint*")))
        workers = psutil.Process(process.pid).children() if process.poll() is None else []
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == ending.TERMINATED, errors
    assert errors.rstrip().endswith(f"run it again: {out}")
    assert workers
    assert not psutil.wait_procs(workers, timeout=60)[1]
    assert list(out.glob("running/**/checkpoint*"))
    assert not list(out.glob("cells/*.json"))


def test_the_handler_of_ctrl_c_is_asked():
    """A loop that finishes its step on Ctrl-C finishes it on SIGTERM too."""
    seen = []
    kept = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    try:
        ending.interrupt_on_sigterm()
        assert ending.exit_code() == ending.INTERRUPTED
        signal.signal(signal.SIGINT, lambda number, frame: seen.append(number))
        os.kill(os.getpid(), signal.SIGTERM)
        assert seen == [signal.SIGINT]
        assert ending.exit_code() == ending.TERMINATED
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, kept[0])
        signal.signal(signal.SIGINT, kept[1])
        ending.terminated.clear()
