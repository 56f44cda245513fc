"""The report as one HTML file: formulas in MathML, figures as inline SVG, nothing to load."""

from pathlib import Path
from typing import Any

from ntklab.claims.claim import Verdict
from ntklab.claims.report.drawing import svg_of
from ntklab.claims.report.formula import mathml
from ntklab.claims.report.page import Page, Report
from ntklab.records import typeset

_CONFIDENCE = {"H": "high", "M": "medium", "L": "low"}


def html_page(page: Page, code: str = ".") -> str:
    """The page of one pack as HTML text, for screens of any width and for print.

    Args:
        page: what it says.
        code: what stands before `/PACK/CLAIM.py` in links to the claims' files.

    Cost: draws the figure of every check, about 0.3 s each.
    """
    from markupsafe import Markup

    figures = {
        section.check.claim.id: Markup(svg_of(section.check, section.measured))
        for section in page.sections
        if section.finding is not None and not section.absent
    }
    return _rendered("page.html.jinja", page=page, figures=figures, code=code)


def html_index(report: Report) -> str:
    """The page that leads to the pages of all packs, as HTML text."""
    return _rendered("index.html.jinja", report=report)


def _rendered(name: str, **values: Any) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "mathml": lambda latex: Markup(mathml(latex)),
        "typeset": typeset,
        "confidence": _CONFIDENCE.__getitem__,
        "slug": lambda word: word.replace(" ", "-"),
    }
    return environment.get_template(name).render(**values, verdicts=list(Verdict))
