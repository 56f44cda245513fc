"""The spectra of several methods, side by side, drawn from a record."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ntklab.errors import InputError
from ntklab.figures.captions import sizes_of
from ntklab.figures.style import MethodStyle, drawing, method_style
from ntklab.records import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Table = list[dict[str, Any]]


def spectrum_table(record: Record) -> Table:
    """The spectra behind the figure: median and quartiles over seeds, an eigenvalue a row.

    Args:
        record: of `ntklab spectrum`, with its arrays.

    Returns:
        Rows with data_condition, method, index (1 is the largest), median, low and high (first
        and third quartile over seeds), seeds, rank (median, rounded down), outputs (N·C).
        Eigenvalues are raw: divided by nothing.

    Raises:
        InputError: if the record holds no eigenvalues.
    """
    table: Table = []
    for (condition, method), rows in _groups(record).items():
        spectra = _stacked([_spectrum(record, row["cell"]) for row in rows])
        low, middle, high = np.quantile(spectra, (0.25, 0.5, 0.75), axis=0)
        rank = int(np.median([row["rank"] for row in rows]))
        for index in range(spectra.shape[1]):
            table.append(
                {
                    "data_condition": condition,
                    "method": method,
                    "index": index + 1,
                    "median": float(middle[index]),
                    "low": float(low[index]),
                    "high": float(high[index]),
                    "seeds": len(rows),
                    "rank": rank,
                    "outputs": rows[0]["outputs"],
                }
            )
    return table


def spectrum_figure(record: Record, *, venue: str = "neurips") -> tuple["Figure", Table]:
    """Eigenvalues of each method's kernel, largest first, one panel a data condition.

    Lines are medians over seeds, bands reach from quartile to quartile. Each line ends at the
    kernel's rank in a marker at λ_min⁺; the exact zeros beyond it have no place on a
    logarithmic axis, so the legend states the rank out of N·C.

    Args:
        record: of `ntklab spectrum`, read from disk with its arrays.
        venue: see `ntklab.figures.venue_style`.

    Returns:
        The figure and the table that it shows, for `ntklab.figures.save_figure`.

    Raises:
        InputError: if the record holds no eigenvalues.
    """
    from matplotlib.figure import Figure

    table = spectrum_table(record)
    conditions = list(dict.fromkeys(row["data_condition"] for row in table))
    height = 0.85 if len(conditions) == 1 else 1.15  # of a panel with its share of the legend
    with drawing(venue, columns=len(conditions), height_to_width=height):
        figure = Figure()
        panels = figure.subplots(1, len(conditions), sharey=True, squeeze=False)[0]
        for axes, condition in zip(panels, conditions, strict=True):
            _panel(axes, [row for row in table if row["data_condition"] == condition])
            if condition:
                axes.set_title(f"{condition} images")
        panels[0].set_ylabel(r"NTK eigenvalue $\lambda_i$")
        _legend(figure, table, conditions)
    return figure, table


def spectrum_caption(record: Record) -> str:
    """The caption: sizes, preset, and which kernels are singular."""
    table = spectrum_table(record)
    short = {r["method"]: r["rank"] for r in table if r["rank"] < r["outputs"]}
    named = ", ".join(f"{method_style(name).label} (rank {rank})" for name, rank in short.items())
    singular = f"Singular, so that λ_min = 0 exactly: {named}." if short else "None is singular."
    return (
        "Eigenvalues of the kernel at the start, largest first, raw (divided by nothing), preset "
        f"`{record.config['preset']}`. {sizes_of(record)}. Lines end at the rank, in a marker at "
        f"the smallest eigenvalue that is not zero. {singular}"
    )


def _spectrum(record: Record, cell: str) -> np.ndarray:
    """Descending, each eigenvalue as often as it occurs."""
    values = record.arrays[f"{cell}.eigenvalues"]
    counts = record.arrays.get(f"{cell}.multiplicity", np.ones(len(values), dtype=np.int64))
    return -np.sort(-np.repeat(values, counts))


def _stacked(spectra: list[np.ndarray]) -> np.ndarray:
    """One row a seed; what a shorter spectrum does not list is zero."""
    longest = max(len(spectrum) for spectrum in spectra)
    return np.stack([np.pad(spectrum, (0, longest - len(spectrum))) for spectrum in spectra])


def _groups(record: Record) -> dict[tuple[str, str], list[dict[str, Any]]]:
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in record.results:
        if row.get("core") is None and f"{row.get('cell')}.eigenvalues" in record.arrays:
            key = (row.get("data_condition") or "", row["method"])
            groups.setdefault(key, []).append(row)
    if not groups:
        raise InputError(
            "the record holds no eigenvalues: make it with  ntklab spectrum --out DIR."
        )
    return groups


def _panel(axes: "Axes", table: Table) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    for method in dict.fromkeys(row["method"] for row in table):
        _curve(axes, method, [row for row in table if row["method"] == method])
    axes.set_xlabel(r"index $i$, largest first")
    axes.set_xlim(0.9, None)


def _curve(axes: "Axes", method: str, table: Table) -> None:
    style, rank = method_style(method), table[0]["rank"]
    seen = [row for row in table if row["median"] > 0 and row["index"] <= rank]
    if not seen:  # a kernel that is zero has its place in the legend alone
        return
    index, middle, low, high = (_column(seen, name) for name in ("index", "median", "low", "high"))
    low = np.where(low > 0, low, middle)  # zeros, of seeds of lower rank, have no logarithm
    axes.fill_between(index, low, high, color=style.colour, alpha=0.18, lw=0)
    axes.plot(index, middle, color=style.colour, linestyle=style.line, zorder=3)
    axes.plot(index[-1:], middle[-1:], color=style.colour, linestyle="none", **_marker(style))
    if rank < table[0]["outputs"]:
        axes.axvline(index[-1], color=style.colour, linewidth=0.5, linestyle=":", zorder=1)


def _legend(figure: "Figure", table: Table, conditions: list[str]) -> None:
    from matplotlib.lines import Line2D

    handles = []
    for method in dict.fromkeys(row["method"] for row in table):
        style = method_style(method)
        rows = {row["data_condition"]: row for row in table if row["method"] == method}
        ranks = list(dict.fromkeys(rows[name]["rank"] for name in conditions if name in rows))
        outputs = next(iter(rows.values()))["outputs"]
        label = f"{style.label}, {' · '.join(map(str, ranks))}/{outputs}"
        line = Line2D([], [], color=style.colour, linestyle=style.line, label=label)
        line.set(**_marker(style))
        handles.append(line)
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=3 if len(conditions) > 1 else 2,
        handlelength=2.0,
        columnspacing=1.4,
        title=_title(conditions, table),
        title_fontsize="small",
    )


def _title(conditions: list[str], table: Table) -> str:
    """Sentences that explain the legend's numbers, the line and the band."""
    ranks: dict[str, set[int]] = {}
    for row in table:
        ranks.setdefault(row["method"], set()).add(row["rank"])
    differ = any(len(seen) > 1 for seen in ranks.values())
    order = f" ({' · '.join(conditions)})" if differ else ""
    seeds = max(row["seeds"] for row in table)
    band = f"; median and quartiles of {seeds} seeds" if seeds > 1 else ""
    return r"method, rank out of $N\!\cdot\!C$" + order + band


def _marker(style: MethodStyle) -> dict[str, Any]:
    edge = {"markeredgewidth": 1.2} if style.marker == "x" else {"markeredgecolor": "white"}
    return {"marker": style.marker, "markersize": 5, "zorder": 4, "clip_on": False, **edge}


def _column(table: Sequence[dict[str, Any]], name: str) -> np.ndarray:
    return np.array([row[name] for row in table])
