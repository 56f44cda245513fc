"""A figure on disk: PDF for the paper, PNG for the screen, and the numbers behind it as CSV."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ntklab.errors import InputError
from ntklab.files import whole_file, write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_UNDATED: dict[str, dict[str, None]] = {
    **{"pdf": {"CreationDate": None}, "png": {"Software": None}, "svg": {"Date": None}},
}
_SUFFIXES = (".pdf", ".png", ".svg", "")


def figure_path(path: str | Path) -> Path:
    """The path of a figure without its ending.

    Raises:
        InputError: if the ending is none of `.pdf`, `.png`, `.svg`, nor absent.

    Example:
        >>> str(figure_path("spectrum.pdf"))
        'spectrum'
    """
    path = Path(path)
    if path.suffix.lower() not in _SUFFIXES or path.is_dir():
        raise InputError(f"cannot draw into {path}: name a file that ends in .pdf, .png or .svg.")
    return path.with_suffix("")


def save_figure(
    figure: "Figure", path: str | Path, table: Sequence[Mapping[str, Any]]
) -> list[Path]:
    """Save a figure as PDF and PNG (and SVG), and its table as CSV, each whole or not at all.

    Args:
        figure: a matplotlib figure.
        path: where; PDF and PNG are written whatever the ending says, SVG if it says so.
        table: the numbers that the figure shows, one mapping a row, all with the same keys.

    Returns:
        The paths, the CSV last.

    Raises:
        InputError: for another ending, or where nothing can be written.
    """
    import matplotlib as mpl

    stem = figure_path(path)
    written = []
    for kind in ("pdf", "png", *(("svg",) if Path(path).suffix.lower() == ".svg" else ())):
        target = stem.with_name(f"{stem.name}.{kind}")
        # no creation date: equal figures are equal files
        settings = mpl.rc_context({"pdf.fonttype": 42, "svg.hashsalt": "ntklab"})
        with settings, whole_file(target) as temporary:
            figure.savefig(temporary, format=kind, dpi=300, metadata=_UNDATED[kind])
        written.append(target)
    written.append(stem.with_name(f"{stem.name}.csv"))
    write_text(written[-1], to_csv(table))
    return written


def to_csv(table: Sequence[Mapping[str, Any]]) -> str:
    """Rows as CSV text (RFC 4180, lines end in a line feed); None is an empty field.

    Example:
        >>> print(to_csv([{"method": "lora", "rank": 3}, {"method": "tera", "rank": None}]), end="")
        method,rank
        lora,3
        tera,
    """
    text = io.StringIO()
    names = list(dict.fromkeys(name for row in table for name in row))
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    return text.getvalue()
