"""Where a record comes from: versions, device, threads, commit, time."""

import importlib.metadata
import platform
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_PACKAGES = ("torch", "numpy", "scipy")


def now() -> str:
    """The present moment in UTC, ISO 8601 to the second.

    Example:
        >>> now().endswith("+00:00")
        True
    """
    return datetime.now(UTC).isoformat(timespec="seconds")


def collect(
    *, device: str, dtype: str, started: str, seconds: float, threads: int | None = None
) -> dict[str, Any]:
    """The `provenance` of a record.

    Args:
        device: the device that computed, e.g. `"cpu"`.
        dtype: the dtype of the model, e.g. `"float64"`.
        started: ISO 8601 time of the start, from `now`.
        seconds: wall time of the whole command.
        threads: of torch while it computed; those of this process now if None.

    Returns:
        command_line (null where Python was called), versions, device, dtype, tf32 (whether products
        of float32 were taken in it; null where the device has none), threads (of torch), commit
        and dirty (null unless ntklab runs from its own git checkout), started, seconds.

    Example:
        >>> sorted(collect(device="cpu", dtype="float64", started=now(), seconds=1.0)["versions"])
        ['ntklab', 'numpy', 'python', 'scipy', 'torch']
    """
    import torch

    from ntklab import __version__, accelerator

    versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
    # An editable install's metadata say the version that was installed once, not the code's.
    versions["ntklab"] = __version__
    commit, dirty = _commit()
    return {
        "command_line": command_line(),
        "versions": {"python": platform.python_version(), **versions},
        "device": device,
        "dtype": dtype,
        "tf32": accelerator.tensor_float(device),
        "threads": torch.get_num_threads() if threads is None else threads,
        "commit": commit,
        "dirty": dirty,
        "started": started,
        "seconds": seconds,
    }


def command_line() -> str | None:
    """The whole line that started the program `ntklab`; None in any other process.

    Example:
        >>> command_line() is None or command_line().startswith("ntklab ")
        True
    """
    program, *words = sys.argv or [""]
    return shlex.join(["ntklab", *words]) if Path(program).stem == "ntklab" else None


def _commit() -> tuple[str | None, bool | None]:
    # A wheel may lie inside somebody else's checkout: HEAD counts only where it tracks this file.
    if _git("ls-files", "--error-unmatch", Path(__file__).name) is None:
        return None, None
    head, status = _git("rev-parse", "HEAD"), _git("status", "--porcelain", "-uno")
    return head, None if status is None else bool(status)


def _git(*arguments: str) -> str | None:
    here = Path(__file__).resolve().parent
    try:
        done = subprocess.run(
            ["git", "-C", str(here), *arguments],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
