"""Formulas as MathML, which browsers set and print without a network."""

from functools import cache


@cache
def mathml(latex: str, *, display: bool = True) -> str:
    r"""LaTeX mathematics as a MathML element.

    Example:
        >>> mathml(r"\lambda_{\min} > 0", display=False)[:60]
        '<math xmlns="http://www.w3.org/1998/Math/MathML" display="in'
    """
    from latex2mathml.converter import convert

    return convert(latex, display="block" if display else "inline")
