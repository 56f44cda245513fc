"""Perplexity of a language model against trained parameters, from a record of Table 3."""

from typing import TYPE_CHECKING, Any

from ntklab.errors import InputError
from ntklab.experiments.training.table import training_table
from ntklab.figures.captions import interval
from ntklab.figures.rows import need
from ntklab.figures.style import drawing, method_style
from ntklab.records import Record

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COMMAND = "ntklab train --task wikitext --table 3"


def perplexity_figure(
    record: Record, *, venue: str = "neurips"
) -> tuple["Figure", list[dict[str, Any]]]:
    """Test perplexity of every head that is added to the projection, over its parameters.

    Points are means over seeds, bars Student's 95 % intervals; the line is the frozen model.

    Args:
        record: of `ntklab train --task wikitext --table 3`.
        venue: a name from `ntklab.figures.style.VENUES`.

    Returns:
        The figure and the rows that it shows, for `ntklab.figures.save_figure`.

    Raises:
        InputError: where nothing was trained, or the frozen model is missing.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter

    frozen, *shown = rows = _rows(record)
    with drawing(venue, columns=1, height_to_width=0.7):
        figure = Figure()
        axes = figure.subplots()
        axes.axhline(frozen["test_perplexity"], color="#404040", linewidth=0.8, linestyle="--")
        for method in dict.fromkeys(row["method"] for row in shown):
            style, own = method_style(method), [r for r in shown if r["method"] == method]
            x, y = [r["params"] for r in own], [r["test_perplexity"] for r in own]
            ends = [(_bar(r, "low"), _bar(r, "high")) for r in own]
            axes.errorbar(
                x,
                y,
                yerr=list(zip(*ends, strict=True)),
                fmt=style.marker,
                color=style.colour,
                label=style.label,
                markersize=3.5,
                elinewidth=0.8,
                capsize=1.5,
            )
        axes.set_xscale("log")
        axes.set_xlabel("trained parameters")
        axes.set_ylabel("test perplexity")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.annotate(
            "frozen model",
            (1.0, frozen["test_perplexity"]),
            xycoords=("axes fraction", "data"),
            xytext=(-2, 2),
            textcoords="offset points",
            ha="right",
            fontsize="small",
        )
        axes.legend(fontsize="small")
        axes.set_title(f"{record.results[0]['test_tokens']} test tokens, {_seeds(rows)} seeds")
    return figure, rows


def perplexity_caption(record: Record) -> str:
    """The caption: model, text, seeds and intervals.

    Args:
        record: of `ntklab train --task wikitext --table 3`.

    Raises:
        InputError: where nothing was trained, or the frozen model is missing.
    """
    frozen, *shown = rows = _rows(record)
    least = min(shown, key=lambda row: row["test_perplexity"])
    made, seeds = record.results[0], _seeds(rows)
    means = (
        f"means over {seeds} seeds with Student's 95 % intervals, which say nothing of other texts"
    )
    return (
        "Test perplexity of heads added to the frozen projection of a language model "
        f"({made['model']}) over their trained parameters: {made['test_tokens']} predictions on "
        f"WikiText-2, {means if seeds > 1 else interval(seeds)}. Dashed: the frozen model, "
        f"{frozen['test_perplexity']:.2f}; lowest: {least['test_perplexity']:.2f} "
        f"({least['variant']}, {least['params']} parameters)."
    )


def _rows(record: Record) -> list[dict[str, Any]]:
    """The frozen model, then each trained head, with means over seeds."""
    need(record, "test_perplexity", "head", "purpose", command=_COMMAND)
    # The frozen projection and its truncations train nothing.
    table = [row for row in training_table(record) if row["head"] == "add"]
    trained = [row for row in table if row["params"]]
    frozen = [row for row in table if row["variant"] == "frozen"]
    if not trained or not frozen:
        raise InputError(
            f"the record has no trained heads beside the frozen model: make it with  {_COMMAND}."
        )
    names = ("variant", "method", "params", "seeds")
    ends = ("test_perplexity", "test_perplexity_low", "test_perplexity_high")
    return [{name: row[name] for name in (*names, *ends)} for row in [*frozen, *trained]]


def _seeds(rows: list[dict[str, Any]]) -> int:
    return max(row["seeds"] for row in rows)


def _bar(row: dict[str, Any], end: str) -> float:
    value = row[f"test_perplexity_{end}"]
    return 0.0 if value is None else abs(value - row["test_perplexity"])
