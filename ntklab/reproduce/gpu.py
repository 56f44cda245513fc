"""Whatever a record marks as not yet measured on a GPU, within the minutes that one is lent.

    OUT/records/<name>-gpu/    the folder of a run, its record when at least one cell is finished
    OUT/steps.json             what was finished, what not, and why
    OUT/gpu-records.zip        all records, at most 16 MB: what is to be carried home

Most valuable first: the released training runs through the backbone, the language model, the
prompt panel, then the cases of the bench. A second call goes on where the first was stopped.
Records of a GPU stand beside those of a CPU under names of their own; pages look for both.
"""

import json
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ntklab.bench import CASES, Settings, run_bench
from ntklab.errors import InputError
from ntklab.experiments.manifest import ON_GPU, Entry
from ntklab.experiments.manifest import sized as entries_of
from ntklab.experiments.partial import finished
from ntklab.experiments.run import run
from ntklab.files import whole_file, write_text
from ntklab.records import Record
from ntklab.reproduce.clock import Clock
from ntklab.reproduce.trial import MODEL, TABLE, write_trial
from ntklab.tasks.prompt.sources import find_table

ARCHIVE, MOST_BYTES = "gpu-records.zip", 16_000_000

#: Kept from the end of the time for records and archive, in minutes.
RESERVE = 0.4

# Seconds of a cell on an H100, counted and never measured: small networks are bound by the start
# of their kernels, about 10 ms a step of a ResNet-18; the whole vocabulary by its products.
_SECONDS = {"train": 20.0, "language": 8.0, "prompt": 40.0}
_CASE_SECONDS = 30.0

# What the bench has for a GPU: kernels, spectra, rows inside models; not what measures a CPU.
_WITHOUT_GPU = ("block-size", "scale-", "self-check")

# A CPU makes the same records from next to nothing, so that the way is known to work: the prompts
# with a random model, and without the vocabulary's table, whose model is none of next to nothing.
_SHRUNK: dict[str, dict[str, Any]] = {
    "train": {"images": 20, "epochs": 1, "seed": range(1)},
    "prompt": {
        **{"method": "lora,linear-probe", "shots": 4, "test": 10, "epochs": 2, "watched": 2},
        **{"rates": (0.001, 0.01), "seed": range(1)},
    },
}
_TRIAL = "trial"
_SHRUNK_CASES = ("lora-64",)
_SHRUNK_SECONDS = 5.0

DONE, STOPPED, ABSENT = "done", "stopped", "absent"


@dataclass(frozen=True)
class Step:
    """One record to be made.

    Attributes:
        name: of its folder.
        command: that makes it by itself.
        minutes: estimated; counted, not measured, until cells of it are in the folder.
        make: computes what is missing in a folder; False where it was stopped.
    """

    name: str
    command: str
    minutes: float
    make: Callable[[Path, Clock], bool]


@dataclass(frozen=True)
class Outcome:
    """The state of a step: `done`, `stopped` by the clock, or `absent` with its reason."""

    name: str
    state: str
    minutes: float
    command: str
    reason: str = ""


def steps_of(device: str, out: Path) -> list[Step]:
    """Everything that a GPU is to measure, the most valuable first; on a CPU in small.

    Args:
        device: "cuda:0" or "cpu".
        out: the folder: cells that are in it make estimates better.
    """
    small = device == "cpu"
    entries = [one for one in entries_of("gpu") if not small or one.planner in _SHRUNK]
    entries = sorted(entries, key=_value)
    steps = [_entry_step(entry, device, out, small=small) for entry in entries]
    cases = _SHRUNK_CASES if small else [name for name in CASES if not _is_of_a_cpu(name)]
    return steps + [_bench_step(name, device, small=small) for name in cases]


def run_steps(
    steps: Sequence[Step], out: Path, clock: Clock, say: Callable[[str], object] = lambda _: None
) -> list[Outcome]:
    """Run steps in turn until the time is up, and write what became of each.

    A step that cannot run (a model that is not there) is said to be absent; the others go on. What
    an earlier call has finished stays as it is.

    Args:
        steps: what to run.
        out: the folder.
        clock: how long.
        say: told which step is next.

    Raises:
        KeyboardInterrupt: of a person; what is finished stays, and the archive is written.
    """
    outcomes: list[Outcome] = []
    records, before = out / "records", _finished(out)
    try:
        for step in steps:
            start, state, reason = clock.left, STOPPED, "the time was up"
            if (step.name, step.command) in before:
                state, reason = DONE, ""
            elif clock.left > RESERVE:
                say(f"{step.name}: about {step.minutes:.1f} minutes, {clock.left:.1f} are left")
                try:
                    if step.make(records / step.name, clock):
                        state, reason = DONE, ""
                except (InputError, RuntimeError, OSError) as error:
                    state, reason = ABSENT, _first_line(error)
            outcomes.append(Outcome(step.name, state, start - clock.left, step.command, reason))
    finally:
        told = [asdict(one) for one in outcomes]
        write_text(out / "steps.json", json.dumps(told, indent=2, ensure_ascii=False) + "\n")
        write_archive(out)
    return outcomes


def _finished(out: Path) -> set[tuple[str, str]]:
    """Names and commands of the steps of an earlier call whose records are whole and there."""
    place = out / "steps.json"
    told = json.loads(place.read_text(encoding="utf-8")) if place.is_file() else []
    done = [one for one in told if one["state"] == DONE]
    here = (one for one in done if (out / "records" / one["name"] / "record.json").is_file())
    return {(one["name"], one["command"]) for one in here}


def write_archive(out: Path, most: int = MOST_BYTES) -> Path:
    """All records of a folder in one file that is small enough to be carried.

    Records come first, each whole; arrays as long as there is room, the smallest first.

    Args:
        out: the folder of `run_steps`.
        most: bytes.

    Raises:
        InputError: the records alone are larger.
    """
    records = sorted((out / "records").glob("*/record.json"))
    arrays = sorted((out / "records").glob("*/record.safetensors"), key=lambda p: p.stat().st_size)
    path, left = out / ARCHIVE, most
    with (
        whole_file(path) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive,
    ):
        for file in [out / "steps.json", *records, *arrays]:
            if not file.exists():
                continue
            if file in arrays and file.stat().st_size > left:
                continue
            archive.write(file, file.relative_to(out))
            left = most - temporary.stat().st_size
            if left < 0:
                raise InputError(
                    f"the records of {out} take more than {most / 1e6:.0f} MB: carry its folder "
                    "records by hand."
                )
    return path


def _entry_step(entry: Entry, device: str, out: Path, *, small: bool) -> Step:
    more: dict[str, Any] = {"device": device, **(_SHRUNK[entry.planner] if small else {})}
    name, inputs = f"{entry.record}{ON_GPU}", _inputs(entry, out / _TRIAL, small=small)

    def make(folder: Path, clock: Clock) -> bool:
        if small and inputs:
            write_trial(out / _TRIAL)
        experiment, configs = entry.plan("gpu", **more, **inputs)
        with clock.limit(RESERVE) as cut:
            run(experiment, configs, out=folder)
        if cut:
            with suppress(InputError):  # nothing is finished yet
                finished(experiment, configs, folder)
        return not cut

    counted = _SHRUNK_SECONDS if small else _SECONDS.get(entry.planner, 60.0)
    seconds = _seconds_of_cells(out / "records" / name) or counted
    line = entry.line("gpu", **more, **{key: Path(place).name for key, place in inputs.items()})
    return Step(name, line, _count(entry, more) * seconds / 60, make)


def _inputs(entry: Entry, trial: Path, *, small: bool) -> dict[str, str]:
    """Files that a record is made from, as options: where they are here, or will be written."""
    if entry.planner != "prompt":
        return {}
    if small:
        return {"data": str(trial / TABLE), "model": str(trial / MODEL)}
    return {"data": str(find_table(entry.options["data"]))}


def _bench_step(name: str, device: str, *, small: bool) -> Step:
    settings = Settings(quick=small, device=device, repeats=1 if small else 5, peak=not small)

    def make(folder: Path, clock: Clock) -> bool:
        if (folder / "record.json").exists():
            return True
        with clock.limit(RESERVE) as cut:
            record: Record = run_bench([name], settings)
            record.write(folder)
        return not cut

    quick = " --quick" if small else ""
    command = f"ntklab bench --case {name} --device {device}{quick}"
    seconds = _SHRUNK_SECONDS if small else _CASE_SECONDS
    return Step(f"bench-{name}{ON_GPU}", command, seconds / 60, make)


def _count(entry: Entry, more: dict[str, Any]) -> int:
    try:
        return len(entry.plan("gpu", **more)[1])
    except (InputError, OSError):  # a model that is not there; the step will say so
        return 0


def _seconds_of_cells(folder: Path) -> float | None:
    """The mean of the cells that are there."""
    seconds = []
    for path in folder.glob("cells/*.json"):
        try:
            seconds.append(
                float(json.loads(path.read_text(encoding="utf-8"))["measured"]["seconds"])
            )
        except (ValueError, KeyError, TypeError):
            continue
    return sum(seconds) / len(seconds) if seconds else None


def _value(entry: Entry) -> int:
    """The place of an entry: released runs, language model, whatever else, as the manifest has it.

    Example:
        >>> first, last = (min(entries_of("gpu"), key=_value), max(entries_of("gpu"), key=_value))
        >>> first.record, _value(first) < _value(last)
        ('released-end-to-end', True)
    """
    order = ("released-end-to-end", "table3", "prompt")
    place = (k for k, stem in enumerate(order) if entry.record.startswith(stem))
    return next(place, len(order))


def _is_of_a_cpu(case: str) -> bool:
    return case.startswith(_WITHOUT_GPU)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0] or type(error).__name__
