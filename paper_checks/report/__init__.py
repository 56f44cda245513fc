"""From the record of a run to a page: HTML in one file, and Markdown."""

from pathlib import Path

from ntklab.records import write_text
from paper_checks.report.html import html_report
from paper_checks.report.markdown import markdown_report
from paper_checks.report.page import Page, Section, page_of

__all__ = ["Page", "Section", "html_report", "markdown_report", "page_of", "write_reports"]


def write_reports(page: Page, folder: str | Path) -> list[Path]:
    """Write `report.html` and `report.md` into a folder; their paths."""
    texts = {"report.html": html_report(page), "report.md": markdown_report(page)}
    paths = [Path(folder) / name for name in texts]
    for path in paths:
        write_text(path, texts[path.name])
    return paths
