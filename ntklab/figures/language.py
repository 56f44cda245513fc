"""Perplexity of a language model against trained parameters, from a record of Table 3."""

from typing import TYPE_CHECKING, Any

from ntklab.errors import InputError
from ntklab.figures.style import drawing, method_style
from ntklab.records import Record

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_KEPT = (
    *("variant", "method", "params", "seeds", "test_perplexity", "test_perplexity_low"),
    "test_perplexity_high",
)


def perplexity_figure(
    record: Record, rows: list[dict[str, Any]], *, venue: str = "neurips"
) -> tuple["Figure", list[dict[str, Any]]]:
    """Test perplexity of every head that is added to the projection, over its parameters.

    Points are means over seeds, bars Student's 95 % intervals; the line is the frozen model.

    Args:
        record: of `ntklab train --task wikitext`, for the setting in the title.
        rows: of `ntklab.sweeps.language_table.language_table`.
        venue: a name from `ntklab.figures.style.VENUES`.

    Returns:
        The figure and the rows that it shows, for `ntklab.figures.save_figure`.

    Raises:
        InputError: where nothing was trained, or the frozen model is missing.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter

    shown = [row for row in rows if row["head"] == "add" and not row["frozen"]]
    frozen = next((row for row in rows if row["variant"] == "frozen"), None)
    if not shown or frozen is None:
        raise InputError("the record has no trained heads beside the frozen model: use --table 3.")
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
        seeds = max(row["seeds"] for row in shown)
        axes.set_title(f"{record.results[0]['test_tokens']} test tokens, {seeds} seeds")
    return figure, [{name: row[name] for name in _KEPT} for row in [frozen, *shown]]


def _bar(row: dict[str, Any], end: str) -> float:
    value = row[f"test_perplexity_{end}"]
    return 0.0 if value is None else abs(value - row["test_perplexity"])
