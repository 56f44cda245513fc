"""From the record of a run to a page: HTML in one file, and Markdown."""

from paper_checks.report.html import html_report
from paper_checks.report.markdown import markdown_report
from paper_checks.report.page import Page, Section, page_of

__all__ = ["Page", "Section", "html_report", "markdown_report", "page_of"]
