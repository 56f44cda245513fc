"""A bench record as Markdown tables, and a page that carries them between two marks."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ntklab.errors import InputError
from ntklab.files import write_text
from ntklab.jacobians import format_memory
from ntklab.records import Record
from ntklab.tables import in_markdown

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"

_NOTHING = "–"
_LONGEST_NOTE = 44

_HEADINGS = {
    "kernel": "Full kernels",
    "spectrum": "Whole spectra at many outputs",
    "fit": "Cost curves of the Jacobian",
    "training": "Training steps",
    "block": "Rows by what is held at a time",
    "check": "Engines compared with loop",
    "model": "Kernels inside models",
    "scale": "A kernel shared among workers",
    "capacity": "What fits",
    "vocabulary": "Trace kernels of a whole vocabulary",
}


def bench_markdown(record: Record) -> str:
    """Every figure of a record that a reader compares, with the command and machine behind it.

    Example:
        >>> row = {"kind": "fit", "case": "samples", "axis": "N", "exponent": 1.0,
        ...        "exponent_error": 0.01, "r_squared": 0.999, "exponent_asked": 1.1}
        >>> record = Record("bench", {"machine": "a machine"}, {"threads": 2, "started": "now",
        ...                 "versions": {"torch": "2"}, "commit": None}, [row])
        >>> bench_markdown(record).splitlines()[-1]
        '| samples | N | 1.00 ± 0.01 | 0.999 | 1.1 |'
    """
    pages = [_caption(record)]
    for heading, rows in bench_tables(record).items():
        pages.append(f"### {heading}\n\n{_table(rows)}")
    return "\n\n".join(pages)


def bench_tables(record: Record) -> dict[str, list[dict[str, str]]]:
    """The tables of a record by heading, each cell a text for people; kinds without rows left out.

    Columns that are empty throughout are left out too.
    """
    tables = {}
    for kind, cells in _CELLS.items():
        rows = [cells(row) for row in record.results if row["kind"] == kind]
        named = {name for row in rows for name, text in row.items() if text != _NOTHING}
        if rows:
            tables[_HEADINGS[kind]] = [{n: t for n, t in row.items() if n in named} for row in rows]
    return tables


def write_between_marks(path: str | Path, text: str, marks: tuple[str, str] = (BEGIN, END)) -> None:
    """Replace what stands between the two marks of a page; the rest of the page stays.

    Raises:
        InputError: no such page, or not exactly one pair of marks in it.
    """
    before, after = check_marks(path, marks)
    write_text(path, f"{before}{marks[0]}\n\n{text}\n\n{marks[1]}{after}")


def check_marks(path: str | Path, marks: tuple[str, str] = (BEGIN, END)) -> tuple[str, str]:
    """The text before the first mark of a page and after the second.

    Raises:
        InputError: no such page, or not exactly one pair of marks in it.
    """
    path, (first, second) = Path(path), marks
    if not path.is_file():
        raise InputError(f"there is no page {path}: name one that holds {first} and {second}.")
    before, begin, rest = path.read_text(encoding="utf-8").partition(first)
    _, end, after = rest.partition(second)
    if not begin or not end or first in after:
        raise InputError(f"{path} must hold {first} and, below it, {second}, once each.")
    return before, after


def _caption(record: Record) -> str:
    source, config = record.provenance, record.config
    quick = " (quick form)" if config.get("quick") else ""
    return (
        f"Measured{quick} on: {config['machine']}; {source['threads']} threads; torch "
        f"{source['versions']['torch']}; commit {(source['commit'] or 'none')[:10]}; started "
        f"{source['started']}. Times are medians over runs that took turns."
    )


def _kernel(row: Mapping[str, Any]) -> dict[str, str]:
    return {
        "case": row["case"],
        "contender": row["contender"],
        "P": str(row["params"]),
        "N·C": str(row["outputs"]),
        "seconds": _plain(row["seconds"], ".3g"),
        "first": _plain(row.get("seconds_first"), ".3g"),
        "turns": _plain(row.get("runs"), "d"),
        "× tutorial": _plain(row.get("speedup"), ".3g"),
        "÷ asked": _plain(row.get("ratio_asked"), ".2f"),
        "÷ flops": _plain(row.get("ratio_flops"), ".2f"),
        "÷ roofline": _plain(row.get("ratio_traffic"), ".2f"),
        "error": _plain(row.get("relative_error"), ".0e"),
        "peak": _memory(row.get("peak_bytes")),
        "÷ stated": _plain(row.get("peak_ratio"), ".2f"),
        "note": _short(row.get("reason")),
    }


def _spectrum(row: Mapping[str, Any]) -> dict[str, str]:
    return {
        "case": row["case"],
        "P": _plain(row.get("params"), "d"),
        "N·C": str(row["outputs"]),
        "seconds": _plain(row["seconds"], ".3g"),
        "peak memory": _memory(row.get("peak_bytes")),
        "rank": _plain(row.get("rank"), "d"),
        "rank bound": _plain(row.get("rank_bound"), "d"),
        "distinct listed": _plain(row.get("distinct_listed"), "d"),
        "largest multiplicity": _plain(row.get("largest_multiplicity"), "d"),
        "route": str(row.get("route") or _NOTHING),
        "note": _short(row.get("reason")),
    }


def _fit(row: Mapping[str, Any]) -> dict[str, str]:
    return {
        "curve": row["case"],
        "axis": row["axis"],
        "exponent": f"{row['exponent']:.2f} ± {row['exponent_error']:.2f}",
        "R²": f"{row['r_squared']:.3f}",
        "asked at most": _plain(row["exponent_asked"], ""),
    }


def _training(row: Mapping[str, Any]) -> dict[str, str]:
    extrapolated = ", extrapolated" if row["extrapolated"] else ""
    return {
        "case": row["case"],
        "contender": row["contender"],
        "steps timed": str(row["steps_timed"]),
        "runs": str(row["runs"]),
        "steps/s": _plain(row["steps_per_second"], ".3g"),
        "seconds of all steps": f"{row['seconds_whole']:.3g} ({row['steps']}{extrapolated})",
        "features, s": _plain(row["caching_seconds"], ".2g"),
        "× slowest": _plain(row["speedup"], ".3g"),
        "with features": _plain(row["speedup_with_caching"], ".3g"),
        "loss error": _plain(row["loss_error"], ".0e"),
    }


def _block(row: Mapping[str, Any]) -> dict[str, str]:
    return {
        "case": row["case"],
        "way": row["contender"],
        "held": format_memory(row["block_bytes"]),
        "seconds": _plain(row["seconds"], ".3g"),
        "runs": str(row["runs"]),
        "÷ fastest": _plain(row["ratio_fastest"], ".2f"),
        "chosen": "yes" if row["chosen"] else _NOTHING,
    }


def _check(row: Mapping[str, Any]) -> dict[str, str]:
    return {
        "case": row["case"],
        "engine": row["contender"],
        "P": str(row["params"]),
        "N·C": str(row["outputs"]),
        "chunk": str(row["chunk"]),
        "seconds": _plain(row["seconds"], ".3g"),
        "compared, s": _plain(row["check_seconds"], ".2g"),
        "share": _plain(row["share"], ".1%"),
    }


def _model(row: Mapping[str, Any]) -> dict[str, str]:
    return {
        "case": row["case"],
        "contender": row["contender"],
        "P": _plain(row.get("params"), "d"),
        "N·C": str(row["outputs"]),
        "seconds": _plain(row["seconds"], ".3g"),
        "turns": _plain(row.get("runs"), "d"),
        "÷ passes": _plain(row.get("ratio_passes"), ".2f"),
        "× jacrev": _plain(row.get("speedup"), ".2f"),
        "error": _plain(row.get("relative_error"), ".0e"),
        "process": _memory(row.get("process_bytes")),
        "note": _short(row.get("reason")),
    }


def _scale(row: Mapping[str, Any]) -> dict[str, str]:
    return {
        "case": row["case"],
        "by": row["contender"],
        "P": str(row["params"]),
        "N·C": str(row["outputs"]),
        "blocks": _plain(row.get("blocks"), "d"),
        "killed": _plain(row.get("killed"), "d"),
        "seconds": _plain(row.get("seconds"), ".3g"),
        "by formula, s": _plain(row.get("seconds_by_formula"), ".3g"),
        "peak of all": _memory(row.get("peak_bytes")),
        "on disk": _memory(row.get("stored_bytes")),
        "by formula": _memory(row.get("stored_by_formula")),
        "error": _plain(row.get("relative_error"), ".0e"),
        "second run computes": _plain(row.get("computed_again"), "d"),
        "note": _short(row.get("reason")),
    }


def _vocabulary(row: Mapping[str, Any]) -> dict[str, str]:
    return {
        "case": row["case"],
        "contender": row["contender"],
        "N": str(row["samples"]),
        "V": _plain(row["outputs"], "d"),
        "passes": _plain(row["passes"], "d"),
        "seconds": _plain(row["seconds"], ".3g"),
        "off every output": _plain(row.get("relative_error"), ".0e"),
        "within 3 errors": _plain(row.get("coverage"), ".0%"),
        "note": _short(row.get("reason")),
    }


def _capacity(row: Mapping[str, Any]) -> dict[str, str]:
    return {
        "where": row["case"],
        "W": str(row["workers"]),
        "F, flops/s each": format(row["flops"], ".2g"),
        f"N·C in an hour, P = {row['params']}": format(row["side_in_an_hour"], ","),
        "N·C kept": format(row["side_kept"], ","),
        "N·C solved": format(row["side_solved"], ","),
        "P of a tall QR": format(row["params_of_triangle"], ","),
        "assumed": row["assumed"],
    }


_CELLS = {
    "kernel": _kernel,
    "spectrum": _spectrum,
    "fit": _fit,
    "training": _training,
    "block": _block,
    "check": _check,
    "model": _model,
    "scale": _scale,
    "capacity": _capacity,
    "vocabulary": _vocabulary,
}


def _table(rows: Sequence[Mapping[str, str]]) -> str:
    return in_markdown(list(rows[0]), [list(row.values()) for row in rows]).rstrip("\n")


def _plain(value: float | None, form: str) -> str:
    return _NOTHING if value is None else format(value, form)


def _short(reason: str | None) -> str:
    """The head of a reason; the record has it whole."""
    head = (reason or _NOTHING).partition(": allow")[0].replace("|", "/")
    return head if len(head) <= _LONGEST_NOTE else head[: _LONGEST_NOTE - 1] + "…"


def _memory(value: float | None) -> str:
    return _NOTHING if value is None else format_memory(value)
