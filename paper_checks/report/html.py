"""The report as one HTML file: formulas in MathML, figures as inline SVG, nothing to load."""

from pathlib import Path

from ntklab.records import typeset
from paper_checks.harness.claim import Verdict
from paper_checks.report.drawing import svg_of
from paper_checks.report.formula import mathml
from paper_checks.report.page import Page

_CONFIDENCE = {"H": "high", "M": "medium", "L": "low"}


def html_report(page: Page) -> str:
    """The page as HTML text, for the screen and for print.

    Cost: draws the figure of every check, about 0.3 s each.
    """
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
    }
    figures = {
        section.check.claim.id: Markup(svg_of(section.check, section.measured))
        for section in page.sections
        if section.finding is not None
    }
    template = environment.get_template("report.html.jinja")
    return template.render(page=page, figures=figures, verdicts=list(Verdict))
