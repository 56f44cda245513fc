"""The share of each layer in the kernel's trace: a heat map of blocks and modules."""

from typing import TYPE_CHECKING, Any

import numpy as np

from ntklab.figures.rows import need
from ntklab.figures.style import drawing, method_style
from ntklab.records import Record
from ntklab.statistics import grouped, spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Table = list[dict[str, Any]]

_COMMAND = "ntklab spectrum --model NAME --per-layer"
_FEW = 12  # blocks up to which every share is written into its cell


def layers_table(record: Record) -> Table:
    """A row a layer: the median of its share of the trace over seeds, with quartiles.

    Args:
        record: of `ntklab spectrum --model NAME --per-layer`.

    Returns:
        Rows with method, core (the layer's name), block (None outside of blocks), module, params,
        parameter_share, median, low and high (of the share of the trace), seeds.

    Raises:
        InputError: if the record has no rows of layers.

    Example:
        >>> row = {"method": "lora", "core": "h.0.q", "block": 0, "module": "q", "params": 8,
        ...        "parameter_share": 1.0, "trace_share": 1.0}
        >>> layers_table(Record("spectrum", {}, {}, [row]))[0]["median"]
        1.0
    """
    need(record, "module", "trace_share", command=_COMMAND)
    rows = [row for row in record.results if row.get("module") is not None]
    return [
        {
            "method": method,
            "core": core,
            "block": members[0]["block"],
            "module": members[0]["module"],
            "params": members[0]["params"],
            "parameter_share": members[0]["parameter_share"],
            **spread([row["trace_share"] for row in members]),
        }
        for (method, core), members in grouped(rows, "method", "core").items()
    ]


def layers_figure(record: Record, *, venue: str = "neurips") -> tuple["Figure", Table]:
    """A panel a method: blocks from left to right, modules from top to bottom, shares as colours.

    Layers outside of numbered blocks stand in a column of their own, at the right.

    Args:
        record: of `ntklab spectrum --model NAME --per-layer`.
        venue: see `ntklab.figures.venue_style`.

    Returns:
        The figure and the table that it shows, for `ntklab.figures.save_figure`.

    Raises:
        InputError: if the record has no rows of layers.
    """
    from matplotlib.figure import Figure

    table = layers_table(record)
    methods = list(dict.fromkeys(row["method"] for row in table))
    modules = list(dict.fromkeys(row["module"] for row in table))
    blocks = sorted({row["block"] for row in table if row["block"] is not None})
    beside = [None] if any(row["block"] is None for row in table) else []
    columns: list[int | None] = [*blocks, *beside]
    most = max(row["median"] or 0.0 for row in table)
    tall = (0.14 + 0.06 * len(modules)) * len(methods) + 0.1
    with drawing(venue, height_to_width=tall):
        figure = Figure()
        panels = figure.subplots(len(methods), 1, sharex=True, squeeze=False)[:, 0]
        for axes, method in zip(panels, methods, strict=True):
            rows = [row for row in table if row["method"] == method]
            image = _panel(axes, rows, modules, columns, most)
            axes.set_title(method_style(method).label, loc="left")
        panels[-1].set_xlabel("block")
        bar = figure.colorbar(image, ax=list(panels), pad=0.02, aspect=30)
        bar.set_label("share of the kernel's trace", fontsize="small")
        bar.ax.tick_params(labelsize="small", length=2)
        bar.outline.set_visible(False)
    return figure, table


def _panel(
    axes: "Axes", rows: Table, modules: list[str], columns: list[int | None], most: float
) -> Any:
    shares = np.full((len(modules), len(columns)), np.nan)
    for row in rows:
        place = modules.index(row["module"]), columns.index(row["block"])
        # Several layers of one name in a block (two attentions) stand in one cell.
        shares[place] = np.nansum([shares[place], row["median"]])
    image = axes.imshow(shares, cmap="cividis", vmin=0, vmax=most, aspect="auto")
    if len(columns) <= _FEW:
        for (y, x), share in np.ndenumerate(shares):
            if np.isfinite(share):
                dark = share < 0.6 * most
                axes.text(
                    x, y, f"{share:.0%}", ha="center", va="center", fontsize="x-small",
                    color="white" if dark else "#202020",
                )  # fmt: skip
    step = max(1, len(columns) // _FEW)
    names = ["beside" if block is None else str(block) for block in columns]
    axes.set_xticks(range(0, len(columns), step), names[::step], fontsize="x-small")
    axes.set_yticks(range(len(modules)), modules, fontsize="x-small")
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return image
