"""Values of a record as people read them."""

from typing import Any


def shown(value: Any) -> str:
    """Four significant digits, an exact zero as 0, nothing (None or no letters) as a dash.

    Example:
        >>> shown(0.0), shown(1234.5678), shown(3.2e-7), shown(None), shown(512.0), shown(True)
        ('0', '1235', '3.2e-07', '–', '512', 'yes')
    """
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def typeset(value: Any) -> str:
    """The same with powers of ten raised, for pages that are read and not computed with.

    Example:
        >>> typeset(1.23456e-7), typeset(1e20), typeset(0.5), typeset("one e-mail")
        ('1.235 · 10⁻⁷', '1 · 10²⁰', '0.5', 'one e-mail')
    """
    digits, e, power = shown(value).partition("e")
    if not e or not isinstance(value, float):
        return shown(value)
    return f"{digits} · 10{str(int(power)).translate(_RAISED)}"


_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
