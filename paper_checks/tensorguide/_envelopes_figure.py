"""The figure of eqs 10 and 22: measured losses beside what each envelope allows."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ntklab.claims.claim import Measured
from paper_checks.tensorguide._envelopes import POINTS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw_envelopes(measured: Measured) -> "Figure":
    """A panel a case: measured loss, prediction, the paper's envelope and the mended one."""
    from matplotlib.figure import Figure

    from ntklab.figures import drawing

    rows = measured.rows
    lines = math.ceil(len(rows) / 3)
    with drawing("neurips", columns=3, height_to_width=0.9 * lines):
        figure = Figure(layout="constrained")
        panels = list(figure.subplots(lines, 3, squeeze=False).flat)
        for axes, row in zip(panels, rows, strict=False):
            _panel(axes, row)
        for axes in panels[len(rows) :]:
            axes.remove()
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


def _panel(axes: "Axes", row: Mapping[str, Any]) -> None:
    from matplotlib.ticker import NullFormatter

    floor = 1e-12
    styles = {
        "envelope": ("eq. 10", "#D55E00", "--", ""),
        "mended": ("mended", "#009E73", "-.", ""),
        "predicted": ("fixed kernel", "#0072B2", "-", ""),
        "measured": ("measured", "#000000", "", "o"),
    }
    places = [k for k in range(1, POINTS) if row.get(f"time_{k}") is not None]
    times = [row[f"time_{k}"] for k in places]

    def curve(name: str) -> list[float]:
        values = [row.get(name.format(k)) for k in places]
        return [math.nan if value is None else max(value, floor) for value in values]

    for key, (label, colour, line, marker) in styles.items():
        axes.plot(
            times, curve(f"{key}_{{}}"), linestyle=line or "none", marker=marker or None,
            markersize=3, color=colour, label=label,
        )  # fmt: skip
    low, high = (curve(f"measured_{{}}_{end}") for end in ("low", "high"))
    axes.vlines(times, low, high, color="#000000", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.xaxis.set_minor_formatter(NullFormatter())
    shown = [*low, *high, *(v for v in curve("predicted_{}") if v > 0)]
    axes.set_ylim(max(min(shown) / 30, floor), max(min(max(shown) * 3, 1e15), 2.0))
    axes.set_title(f"{row['case']}\n({row['kind']})", fontsize="small")
    axes.set_xlabel("time")
    axes.set_ylabel("loss / first loss")
