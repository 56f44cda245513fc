"""The result on docs/prediction.md, from records: `python -m ntklab.reproduce.prediction_page`.

    python -m ntklab.reproduce.prediction_page RECORDS PAGE

writes what the records of the prompt task say between the two marks of PAGE, and nothing else.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ntklab.errors import InputError
from ntklab.experiments.manifest import gpu_record
from ntklab.experiments.training.panel import OPTIMIZERS, PANEL, Panel

if TYPE_CHECKING:
    from ntklab.records import Record

BEGIN, END = "<!-- result -->", "<!-- end of the result -->"

#: Claims that the records decide, in the order of the page.
CLAIMS = (
    "tensorguide/thesis_lambda_min",
    *("condition_number/condition_predicts", "condition_number/across_methods"),
    *("kernel_view/kernel_view", "kernel_view/linearized"),
    *("tt_lora/tt_lora_accuracy", "tt_lora/tt_lora_shapes"),
    *("tera/tera_accuracy", "tera/tera_sharing", "lora_rank/kernel_regime"),
)
_ABSENT = (
    "**Not yet measured.** There is no record of the whole panel (`prompt-panel`), so nothing here "
    "says yet which figure of a kernel foretells fine-tuning. Every claim below waits for its "
    "record and says DATA until then."
)


def write_prediction_page(records: Path, page: Path) -> Path:
    """Put the result of these records between the marks of the page.

    Raises:
        InputError: a page without both marks.
    """
    from ntklab.files import write_text

    text = page.read_text(encoding="utf-8")
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise InputError(
            f"{page} needs the lines {BEGIN} and {END}, between which the result goes."
        )
    write_text(page, f"{head}{begin}\n\n{result_section(records)}\n\n{end}{tail}")
    return page


def result_section(records: Path) -> str:
    """The result as Markdown: every claim in a line, accuracies of every variant, then reasons.

    Args:
        records: folder of records; the panel, and that of a GPU, may be absent.
    """
    from ntklab.records import Record

    there = (records / PANEL / "record.json").is_file()
    rows = _judged(records)
    parts = [_brief(rows), _accuracies(Record.read(records / PANEL))] if there else [_ABSENT]
    if (records / gpu_record(PANEL) / "record.json").is_file():
        parts.append(_accuracies(Record.read(records / gpu_record(PANEL))))
    return "\n\n".join([*parts, _reasons(rows)])


def _accuracies(record: "Record") -> str:
    """A row a variant: parameters, what the kernel predicts, what fine-tuning gives."""
    panel = Panel.of(record)
    columns = {
        "λ_min / mean": ("lambda_min_over_mean", "{:.2g}"),
        "kernel, %": ("predicted_accuracy", "{:.1%}"),
        **{f"{name}, %": (f"accuracy_{name}", "{:.1%}") for name in OPTIMIZERS},
    }
    tables = {label: panel.table(figure) for label, (figure, _) in columns.items()}
    lines = [f"| variant | P | {' | '.join(columns)} |", f"|---|{'---|' * (len(columns) + 1)}"]
    for name in panel.variants:
        cells = [name, f"{panel.first(name).get('params') or 0:,}"]
        for label, (figure, form) in columns.items():
            values = tables[label].get(name)
            mean = sum(values.values()) / len(values) if values else None
            text = "" if mean is None else form.format(mean).removesuffix("%")
            at_end = panel.first(name).get(figure.replace("accuracy_", "lr_at_end_"))
            cells.append(f"{text}\\*" if text and at_end is True else text)
        lines.append(f"| {' | '.join(cells)} |")
    return f"{_setting(record, panel)}\n\n" + "\n".join(lines)


def _setting(record: "Record", panel: Panel) -> str:
    model, data = record.config.get("model"), record.config.get("data")
    on = f"{model} on {record.provenance['device']}" + (f", {data}" if data else "")
    shown = {name: panel.table(f"accuracy_{name}") for name in OPTIMIZERS}
    gaps = any(len(table) < len(panel.variants) for table in shown.values())
    ends = any(row.get(f"lr_at_end_{name}") is True for row in panel.rows for name in OPTIMIZERS)
    return (
        f"{on}, {len(panel.seeds)} seeds, {panel.of_the_panel}; means over seeds of test accuracy."
        + (" Empty: not measured at every seed yet." if gaps else "")
        + (" \\*: the best rate is the first or last of all that were tried." if ends else "")
    )


def _judged(records: Path) -> list[dict[str, Any]]:
    """The row of every claim, judged anew."""
    from ntklab.claims.run import CheckConfig, run_check

    return [run_check(CheckConfig(name, full=True, records=str(records))).row for name in CLAIMS]


def _brief(rows: Sequence[Mapping[str, Any]]) -> str:
    """A line a claim: its verdict and the reason in a clause."""
    lines = ["| claim | verdict | why |", "|---|---|---|"]
    for name, row in zip(CLAIMS, rows, strict=True):
        why = row["failed"] or row["brief"] or row["because"]
        if row.get("absent"):
            why = f"waits for `{row['absent']}`"
        lines.append(f"| {row['title']} (`{name}`) | {row['verdict']} | {why} |")
    return "\n".join(lines)


def _reasons(rows: Sequence[Mapping[str, Any]]) -> str:
    """Each claim with its verdict and reason in full."""
    from ntklab.claims.run import gpu_sentence

    lines = []
    for name, row in zip(CLAIMS, rows, strict=True):
        reason = row["because"] if row["failed"] is None else row["failed"]
        if row.get("absent"):
            reason = f"It waits for the record `{row['absent']}`."
        mended = f" {row['mended']}" if row.get("mended") else ""
        on_gpu = f" {said}" if (said := gpu_sentence(row)) else ""
        lines.append(f"- **{row['title']}** (`{name}`): {row['verdict']}. {reason}{mended}{on_gpu}")
    return "\n".join(lines)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python -m ntklab.reproduce.prediction_page RECORDS PAGE")
    sys.stdout.write(f"{write_prediction_page(Path(sys.argv[1]), Path(sys.argv[2]))}\n")
