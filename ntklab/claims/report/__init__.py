"""From the record of a run to pages: an index and a page a pack, as HTML and as Markdown."""

from pathlib import Path

from ntklab.claims.report.html import html_index, html_page
from ntklab.claims.report.markdown import markdown_index, markdown_page
from ntklab.claims.report.page import Page, Report, Section, report_of
from ntklab.files import write_text

__all__ = [
    "Page",
    "Report",
    "Section",
    "html_index",
    "html_page",
    "markdown_index",
    "markdown_page",
    "report_of",
    "write_reports",
]


def write_reports(report: Report, folder: str | Path, *, code: str = "") -> list[Path]:
    """Write `index` and a page a pack into a folder, each as `.html` and `.md`.

    Beside the pages, a folder a pack holds what they link to: `record.json` with all numbers, and
    the files of the claims.

    Args:
        report: what the pages say.
        folder: made if missing.
        code: what stands before `/PACK/CLAIM.py` in links to the claims' files, such as a
            repository's address; if empty, the files are copied beside the pages.

    Returns:
        The paths of the pages.
    """
    place = Path(folder)
    pages = {"index.html": html_index(report), "index.md": markdown_index(report)}
    for page in report.pages:
        name = page.pack.name
        pages[f"{name}.html"] = html_page(page, code or ".")
        pages[f"{name}.md"] = markdown_page(page, code or ".")
    for page in report.pages:
        page.record.write(place / page.pack.name)
        if not code:
            for path in page.pack.folder.glob("*.py"):
                copy = place / page.pack.name / path.name
                write_text(copy, path.read_text(encoding="utf-8"))
    for file, text in pages.items():
        write_text(place / file, text)
    return [place / file for file in pages]
