"""The result on docs/prediction.md, from records: `python -m ntklab.reproduce.prediction_page`.

    python -m ntklab.reproduce.prediction_page RECORDS PAGE

writes what the records of the prompt task say between the two marks of PAGE, and nothing else.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

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
    """The result as Markdown: accuracies of every variant, then the verdict of every claim.

    Args:
        records: folder of records; the panel, and that of a GPU, may be absent.
    """
    from ntklab.records import Record

    there = (records / PANEL / "record.json").is_file()
    parts = [_accuracies(Record.read(records / PANEL)) if there else _ABSENT]
    if (records / gpu_record(PANEL) / "record.json").is_file():
        parts.append(_accuracies(Record.read(records / gpu_record(PANEL))))
    return "\n\n".join([*parts, _verdicts(records)])


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
        for label, (_, form) in columns.items():
            values = tables[label].get(name)
            mean = sum(values.values()) / len(values) if values else None
            cells.append("" if mean is None else form.format(mean).removesuffix("%"))
        lines.append(f"| {' | '.join(cells)} |")
    model = record.config.get("model")
    device = record.provenance["device"]
    head = f"{model} on {device}, {len(panel.seeds)} seeds; means over seeds of test accuracy."
    return f"{head}\n\n" + "\n".join(lines)


def _verdicts(records: Path) -> str:
    """Each claim with its verdict and reason, judged anew."""
    from ntklab.claims.run import CheckConfig, gpu_sentence, run_check

    lines = []
    for name in CLAIMS:
        row = run_check(CheckConfig(name, full=True, records=str(records))).row
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
