"""The steps of `ntklab reproduce`: each computes, writes its files and returns its section.

A step is a function of the setting that returns Markdown; it takes every number of that text from
the record that it has written. To add one, write the function and name it in `STEPS`.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ntklab.experiments.manifest import MANIFEST
from ntklab.records import shown
from ntklab.reproduce.bounds import all_bounds, approximation
from ntklab.reproduce.figures import all_figures
from ntklab.reproduce.pairs import pairs
from ntklab.reproduce.results import main_results
from ntklab.reproduce.setting import LEFT_OUT, Setting
from ntklab.tables import in_markdown, interval

if TYPE_CHECKING:
    from ntklab.records import Record


_INTERVALS = ("rank", "lambda_max", "lambda_min", "lambda_min_nonzero_over_mean", "condition")
_HEADINGS = {
    "rank": "rank",
    "lambda_max": "λ max",
    "lambda_min": "λ min",
    "lambda_min_nonzero_over_mean": "λ min⁺ / mean λ",
    "condition": "condition",
}
_PRESETS = {
    "ntk": "the NTK parameterization",
    "released": "the start of the authors' public code",
    "paper": "the start of the paper's text",
}


def spectra(setting: Setting, preset: str) -> str:
    """The spectra of all methods on clean and noisy images, at one preset."""
    from ntklab.experiments.spectrum import compare
    from ntklab.figures import draw_plate, plate, to_csv
    from ntklab.files import write_text

    name = f"spectrum-{preset}"
    record = setting.make(name)
    write_text(setting.folder / f"{name}.csv", to_csv(compare(record.results)))
    draw_plate(plate(name), setting.records, setting.folder / "figures")
    return _section(record, preset, name)


STEPS: list[Callable[[Setting], str]] = [partial(spectra, preset=preset) for preset in _PRESETS]
STEPS += [pairs, all_bounds, approximation, all_figures]


def write_summary(setting: Setting, sections: Sequence[str]) -> Path:
    """`summary.md`: the main results, what was computed and with what, and every section.

    Returns:
        The path written.
    """
    from ntklab.files import write_text
    from ntklab.records import Record

    paths = sorted(setting.records.glob("*/record.json"))
    made = _made({path.parent.name: Record.read(path) for path in paths})
    head = (
        f"# What ntklab reproduces\n\n{made}\n\n"
        f"Computed {'in the quick form' if setting.quick else 'in full'}; every number below is "
        "taken from the records beside this file. Medians are over seeds, which draw the start and "
        "the samples; in brackets, 95 % bootstrap intervals of the median.\n"
    )
    lines = "\n".join(f"- {line}" for line in main_results(setting.records))
    left = "\n".join(f"    {MANIFEST[name].line()}" for name in LEFT_OUT[setting.size])
    tail = f"## What was left out\n\nThese records are made by commands of their own:\n\n{left}\n"
    path = setting.folder / "summary.md"
    write_text(path, "\n".join([head, f"## Main results\n\n{lines}\n", *sections, tail]))
    return path


def _made(records: "Mapping[str, Record]") -> str:
    """Devices, dtypes and versions of all records; where they differ, of which."""
    made = {name: record.provenance for name, record in records.items()}
    versions = dict.fromkeys(
        f"{name} {version}"
        for one in made.values()
        for name, version in sorted(one["versions"].items())
    )
    where = _by_record({name: f"{one['device']}, {one['dtype']}" for name, one in made.items()})
    return f"Made on {where}, with {', '.join(versions)}."


def _by_record(words: Mapping[str, str]) -> str:
    """A word that all records share, or each word with its records, the commonest first.

    Example:
        >>> _by_record({"a": "float64", "b": "float32", "c": "float64"})
        'float64 (2 records) and float32 (b)'
    """
    counts = Counter(words.values()).most_common()
    if len(counts) == 1:
        return counts[0][0]
    (first, count), *others = counts
    parts = [f"{first} ({count} records)"]
    for word, _ in others:
        parts.append(f"{word} ({', '.join(name for name, own in words.items() if own == word)})")
    return " and ".join(parts)


def _section(record: "Record", preset: str, name: str) -> str:
    from ntklab.experiments.spectrum import compare

    samples = record.config["samples"]
    lines = [
        f"## Spectra, preset {preset}: {_PRESETS[preset]}\n",
        f"![spectra](figures/{name}.png)\n",
        f"{record.config['task']}, N = {samples}, {len(record.config['seeds'])} seeds.\n",
    ]
    compared = compare(record.results, _INTERVALS)
    for condition in record.config["data_conditions"]:
        rows = [row for row in compared if row["data_condition"] == condition]
        lines += [f"### {condition} images\n", _table(rows), _claim(record, condition)]
    return "\n".join(lines)


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    headings = ["method", "P", "N·C", "rank bound", *_HEADINGS.values()]
    cells = [
        [row["method"], row["params"], row["outputs"], row["rank_bound"]]
        + [interval(row[name], row[f"{name}_low"], row[f"{name}_high"]) for name in _HEADINGS]
        for row in rows
    ]
    return in_markdown(headings, cells)


def _claim(record: "Record", condition: str) -> str:
    """The paper's eq. 13 at equal scale, seed by seed: λ_min over the mean eigenvalue."""
    from ntklab.statistics import sign_test

    rows = [row for row in record.results if row["data_condition"] == condition]
    test = sign_test(rows, "lambda_min_over_mean", "tensorguide", "lora")
    pairs = test["wins"] + test["losses"] + test["ties"]
    singular = {
        method: sum(row["lambda_min"] == 0 for row in rows if row["method"] == method)
        for method in ("tensorguide", "lora")
    }
    return (
        "Smallest eigenvalue over the mean one (the scale of the outputs divided out): larger for "
        f"TensorGuide than for LoRA at {test['wins']} of {pairs} seeds, smaller at "
        f"{test['losses']} (sign test p = {shown(test['p_value'])}). The kernel is singular at "
        f"{singular['tensorguide']} seeds for TensorGuide and at {singular['lora']} for LoRA.\n"
    )
