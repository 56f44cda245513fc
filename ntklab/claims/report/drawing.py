"""The figure of a check as SVG text that can stand in a page beside others."""

import io
import re

from ntklab.claims.claim import Check, Measured
from ntklab.errors import InputError


def svg_of(check: Check, measured: Measured) -> str:
    """The check's figure as one `<svg>` element; empty if it has none.

    Names inside the picture get the check's own prefix: two pictures of one page that both call
    something `axes_1` would otherwise point into each other.

    Raises:
        InputError: for numbers of an older check, that lack what the figure shows.
    """
    if check.draw is None:
        return ""
    import matplotlib as mpl
    from matplotlib import pyplot as plt

    try:
        figure = check.draw(measured)
    except KeyError as missing:
        name = check.claim.id
        raise InputError(
            f"the record's numbers of {name} have no {missing}, which its figure shows: they are "
            f"of an older check; run ntklab check {name} again."
        ) from missing
    text = io.StringIO()
    # A fixed salt and no date: equal numbers are equal files.
    with mpl.rc_context({"svg.hashsalt": check.claim.id, "svg.fonttype": "path"}):
        figure.savefig(text, format="svg", metadata={"Date": None}, bbox_inches="tight")
    plt.close(figure)
    svg = text.getvalue()
    return _prefixed(svg[svg.index("<svg") :], check.claim.id)


def _prefixed(svg: str, name: str) -> str:
    for pattern in (r'(\bid=")', r"(url\(#)", r'(href="#)'):
        svg = re.sub(pattern, rf"\g<1>{name}-", svg)
    return svg
