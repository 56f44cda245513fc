"""`ntklab pair`."""

from pathlib import Path

import typer

from ntklab.cli import console
from ntklab.cli import options as opt
from ntklab.cli import training_options as own
from ntklab.errors import InputError
from ntklab.tables import Column, Columns

COLUMNS: Columns = {
    "settings": "settings",
    "variant": "variant",
    "params": "P",
    "params_with_conv1": Column("with conv1", 4),
    "seeds": Column("seeds", 3),
    "noisy_accuracy": Column("noisy", interval=True),
    "clean_accuracy": "clean",
    "test_accuracy": Column("test", 2),
    "train_accuracy": Column("train", 2),
    "gap": Column("gap", 1),
    "prediction_error": "pred. error",
    "drift_max": "drift",
    "in_regime": "NTK regime",
    "steps_per_second": Column("steps/s", 5),
}

# A table of its own: beside the others they would not fit a terminal.
BOUNDS: Columns = {
    "settings": "settings",
    "variant": "variant",
    "fit_bound": "R_S, closed form",
    "fit_bound_vacuous": "vacuous",
    "rademacher": "R_S, sampled",
    "rademacher_vacuous": "vacuous",
    "fit_risk_bound": "risk",
    "rademacher_risk_bound": "risk, sampled",
    "effective_parameters": "P_eff",
    "compression_bits": "bits",
    "compression_bound": "error by counting",
    "compression_bound_vacuous": "vacuous",
    "compressed_test_error": "rounded, test error",
}


def pair(
    ctx: typer.Context,
    *,
    method: own.Methods = ["all"],  # noqa: B006 — typer copies it
    settings: own.Settings = "both",
    matched: own.Matched = False,
    released: own.Released = False,
    table: own.Table = None,
    quick: own.Quick = False,
    data: opt.Data,
    samples: own.TrainingRows = None,
    seeds: own.PairSeeds = None,
    adapter: opt.Adapter,
    epochs: own.Epochs = None,
    batch: own.Batch = None,
    rates: own.Rates = None,
    watched: own.Watched = None,
    device: opt.Device = "cpu",
    dtype: opt.Dtype = "float64",
    threads: own.Threads = None,
    out: opt.Out = None,
    force: opt.Force = False,
    form: opt.Format = "table",
    plot: opt.Plot = None,
    markdown: own.Markdown = None,
    dry_run: opt.DryRun = False,
) -> None:
    """Methods beside each other, trained alike and as released, each beside its prediction.

    \b
    Examples:
      ntklab pair --quick
      ntklab pair --table 2 --seeds 0:10 --out runs/widths --markdown widths.md
    """
    from ntklab.cli.training_request import one_blas_thread, pair_configs, run_pairs

    one_blas_thread()
    from ntklab.experiments.training.experiment import PAIR
    from ntklab.experiments.training.tables_markdown import table_markdown
    from ntklab.files import write_text
    from ntklab.records import to_json

    console.check_format(form)
    if matched != released:
        word = "matched" if matched else "released"
        if settings not in (word, "both"):
            raise InputError(f"--{word} contradicts --settings {settings}: leave one of them out.")
        ctx.params["settings"] = word
    configs = pair_configs(ctx.params)
    if dry_run:
        console.write_json(to_json(PAIR.described(configs)))
        console.write_line(f"{len(configs)} training runs with their predictions.")
        return
    record = run_pairs(PAIR, configs, opt.Run(out=out, force=force, threads=threads))
    if plot is not None:
        draw_curves(record, plot)
    if markdown is not None:
        write_text(markdown, table_markdown(record, table))
    console.print_result(record, form, tables(record))
    if form == "table":
        for sentence in _sentences(record):
            console.write_line(sentence)


def tables(record: "Record") -> list[console.Shown]:
    """The table of accuracies, and of bounds: together they would not fit a terminal."""
    from ntklab.experiments.training.tables import pair_table

    rows = pair_table(record)
    return [(rows, COLUMNS), (rows, BOUNDS)]


def draw_curves(record: "object", plot: Path) -> None:
    """The training curves of a record."""
    from ntklab.figures import save_figure
    from ntklab.figures.training import curves_figure

    figure, table = curves_figure(record)  # type: ignore[arg-type]
    for path in save_figure(figure, plot, table):
        console.note(f"wrote {path}")


def _sentences(record: "object") -> list[str]:
    from ntklab.experiments.training.tables import evidence_sentences, regime_sentence

    return [*evidence_sentences(record), regime_sentence(record)]  # type: ignore[arg-type]
