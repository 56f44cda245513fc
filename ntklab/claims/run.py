"""Checks as an experiment: each claim is one cell of a resumable run, and a run is one record."""

import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from ntklab.claims.claim import Check, Effort, Finding, Measured, Verdict
from ntklab.claims.judging import judged, require_numbers
from ntklab.claims.packs import (
    Pack,
    find_check,
    find_checks,
    load_pack,
    pack_names,
    records_of,
)
from ntklab.compute import ComputeSpec
from ntklab.configuration import Configuration
from ntklab.errors import InputError
from ntklab.experiments.run import Experiment
from ntklab.records import Cell, Record, fingerprint

VERDICT, ROW = "verdict", "row"  # what an entry of a record is
_OWN = (
    *("cell", "entry", "check", "title", "verdict", "because", "mended", "formula", "brief"),
    *("failed", "tried_on", "tried_seeds", "absent"),
    *("gpu_device", "gpu_verdict", "gpu_because"),
)
# In the place of a claim's own word that no GPU has measured it.
_BELOW = "judged apart, below"


@dataclass(frozen=True)
class CheckConfig(Configuration):
    """One claim to be judged.

    Attributes:
        claim: its full id, e.g. "tensorguide/eq13".
        full: see `Effort`.
        records: folder of training records, or "" for none.
        pack: the folder of its pack; "" for one of the project's.
        compute: in float64, on the CPU: a check draws its own seeds.
    """

    claim: str
    full: bool = False
    records: str = ""
    pack: str = ""
    compute: ComputeSpec = field(default_factory=ComputeSpec)

    def to_dict(self) -> dict[str, Any]:
        """As JSON data; code and training records count by content: nothing stale is kept."""
        return {
            "check": self.claim,
            "effort": self.effort.name,
            "code": _code(str(self.packs()[0].folder)),
            "records": _content(self.records),
        }

    @property
    def effort(self) -> Effort:
        """The effort that `measure` is given."""
        return Effort(self.full, Path(self.records) if self.records else None)

    def packs(self) -> tuple[Pack, ...]:
        """The pack, alone."""
        return (load_pack(self.pack or self.claim.split("/", maxsplit=1)[0]),)

    def load(self) -> Check:
        """The check itself."""
        return find_check(self.claim, self.packs())[1]


def check_configs(
    names: Sequence[str] = (),
    packs: Sequence[Pack] | None = None,
    *,
    full: bool = False,
    records: str | Path | None = None,
) -> list[CheckConfig]:
    """The configurations of these claims, each once, in reading order; of all without names.

    Args:
        names: ids, see `find_check`.
        packs: where to look; all packs of the project if None.
        full: see `Effort`.
        records: folder of training records; each pack's own if None.

    Raises:
        InputError: as `find_check`.

    Example:
        >>> [one.claim for one in check_configs(["table2", "eq1"])]
        ['tensorguide/eq01', 'tensorguide/table2']
    """
    configs = []
    for pack, check in find_checks(names, packs):
        place = records or records_of(pack) or ""
        folder = "" if pack.name in pack_names() and load_pack(pack.name) == pack else pack.folder
        configs.append(CheckConfig(pack.full_id(check.claim.id), full, str(place), str(folder)))
    return configs


def run_check(config: CheckConfig) -> Cell:
    """Measure and judge one claim.

    A check that raises leaves a row without verdict whose `failed` says why: the others go on. One
    whose training records are absent is measured and not judged: its verdict is DATA, and `absent`
    names the records.
    """
    start = time.perf_counter()
    check = config.load()
    row: dict[str, Any] = {"entry": VERDICT, "check": config.claim, "title": check.claim.title}
    rows: Sequence[Any] = ()
    try:
        measured = check.measure(config.effort)
        require_numbers(check, config.effort, measured)
        _require_names(config.claim, measured)
        row |= (on_gpu := _on_gpu(check, config.effort))
        if on_gpu and "gpu" in measured.values:
            measured = replace(measured, values={**measured.values, "gpu": _BELOW})
        finding, absent = _finding(check, config.effort, measured)
    except InputError as error:  # a sentence for the author of the check
        row |= {"verdict": None, "failed": str(error)}
    except Exception as error:  # whatever it is, the report says it and the run goes on
        traceback.print_exc()
        row |= {"verdict": None, "failed": f"{type(error).__name__}: {error}"}
    else:
        row |= {"verdict": str(finding.verdict), "failed": None, "because": finding.because}
        row |= {"mended": finding.mended, "formula": finding.formula, "brief": finding.brief}
        row |= {"absent": absent} if absent else {}
        if check.sample is not None:
            row |= {"tried_on": check.sample.words(config.effort), "tried_seeds": measured.seeds}
        row |= measured.values
        rows = measured.rows
    parts = tuple({"entry": ROW, "check": config.claim, **part} for part in rows)
    return Cell(row, {"seconds": time.perf_counter() - start}, {}, parts)


def _on_gpu(check: Check, effort: Effort) -> dict[str, str]:
    """Judgements by the records of a GPU alone; nothing where there are none."""
    effort = replace(effort, gpu=True)
    records = [effort.record(name) for name in check.records]
    if not records or None in records:
        return {}
    devices = dict.fromkeys(str(one.provenance["device"]) for one in records if one is not None)
    try:
        finding = judged(check, check.measure(effort))
        word, because = str(finding.verdict), finding.because
    except Exception as error:  # the CPU's verdict stands whatever these records lack
        word, because = "could not be judged", f"{type(error).__name__}: {error}"
    return {"gpu_device": ", ".join(devices), "gpu_verdict": word, "gpu_because": because}


def _finding(check: Check, effort: Effort, measured: Measured) -> tuple[Finding, str]:
    """The finding, and the records whose absence leaves the claim without one."""
    absent = [name for name in check.records if not effort.has_record(name)]
    if not absent:
        return judged(check, measured), ""
    names = ", ".join(absent)
    records = "record" if len(absent) == 1 else "records"
    because = (
        f"Not judged: the claim rests on the training {records} {names}, absent here. What could "
        "be computed without stands below."
    )
    return Finding(Verdict.DATA, because, brief=f"the {records} {names} absent here"), names


def _require_names(check: str, measured: Measured) -> None:
    clash = set(measured.values) & {*_OWN, "seconds", "reason"}
    clash |= set().union(*measured.rows) & {"cell", "entry", "check", "reason"}
    if clash:
        raise InputError(
            f"{check} measures '{min(clash)}', which is the report's own name: take another."
        )


def _runs_of(config: CheckConfig) -> str:
    """The check whose runs this one judges."""
    pack = config.claim.split("/")[0]
    shares = config.load().shares
    return f"{config.pack}:{pack}/{shares}" if shares else f"{config.pack}:{config.claim}"


def described(configs: Sequence[CheckConfig]) -> dict[str, Any]:
    """The configuration of a whole run."""
    return {
        "checks": [config.claim for config in configs],
        "effort": configs[0].effort.name,
        "records": configs[0].to_dict()["records"],
    }


def _rows(cell: Cell) -> list[dict[str, Any]]:
    return [cell.flat, *map(dict, cell.parts)]


#: Claims that share runs are given to one process, one after the other.
CHECKS = Experiment(
    name="check",
    config=CheckConfig,
    cell=run_check,
    columns={},
    described=described,
    shared=lambda configs: {"command": "check", "effort": configs[0].effort.name},
    rows=_rows,
    together=_runs_of,
)


def read_back(record: Record, name: str) -> tuple[Measured, Finding | None, dict[str, Any]]:
    """One check from a record: numbers, finding (None if it failed), and its own row.

    Raises:
        InputError: if the record has no such check.
    """
    rows = [row for row in record.results if row.get("check") == name]
    if not rows:
        raise InputError(f"the record has no check {name}: run ntklab check {name}.")
    head = rows[0]
    values = {k: v for k, v in head.items() if k not in (*_OWN, "seconds", "reason")}
    table = [
        _without(row, "cell", "entry", "check", "reason") for row in rows if row["entry"] == ROW
    ]
    seeds = head.get("tried_seeds")
    if head["verdict"] is None:
        return Measured(values, table, seeds), None, head
    words = (head[name] for name in ("because", "mended", "formula", "brief"))
    return Measured(values, table, seeds), Finding(Verdict(head["verdict"]), *words), head


def gpu_sentence(row: Mapping[str, Any]) -> str:
    """On which GPU a claim was judged too, and how that ended; empty where it was not.

    Args:
        row: of the claim's verdict.

    Example:
        >>> gpu_sentence({"gpu_device": "cuda:0", "gpu_verdict": "OK", "gpu_because": "1 < 2."})
        'On cuda:0, by itself: OK. 1 < 2.'
    """
    if not row.get("gpu_verdict"):
        return ""
    return f"On {row['gpu_device']}, by itself: {row['gpu_verdict']}. {row['gpu_because']}"


def _without(row: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}


@cache
def _code(pack: str) -> str:
    """All source that a check may rest on: its pack's and the library's."""
    folders = (Path(pack), Path(__file__).parents[1])
    files = sorted(path for folder in folders for path in folder.rglob("*.py"))
    return fingerprint([path.read_text(encoding="utf-8") for path in files])[:16]


def _content(records: str) -> dict[str, str]:
    if not records:
        return {}
    paths = sorted(Path(records).glob("*/record.json"))
    return {path.parent.name: fingerprint(path.read_text(encoding="utf-8"))[:16] for path in paths}
