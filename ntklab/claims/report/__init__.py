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


def write_reports(report: Report, folder: str | Path) -> list[Path]:
    """Write `index` and a page a pack into a folder, each as `.html` and `.md`; their paths."""
    texts = {"index.html": html_index(report), "index.md": markdown_index(report)}
    for page in report.pages:
        texts[f"{page.pack.name}.html"] = html_page(report, page)
        texts[f"{page.pack.name}.md"] = markdown_page(report, page)
    paths = [Path(folder) / name for name in texts]
    for path in paths:
        write_text(path, texts[path.name])
    return paths
