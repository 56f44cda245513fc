"""Numbers for people."""

from typing import Any


def shown(value: Any) -> str:
    """Four significant digits, an exact zero as 0, nothing as a dash.

    Example:
        >>> shown(0.0), shown(1.23456e-7), shown(None), shown(True), shown(1024), shown(0.5)
        ('0', '1.235 · 10⁻⁷', '–', 'yes', '1024', '0.5')
    """
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, float):
        return str(value)
    text = f"{value:.4g}"
    if "e" not in text:
        return text
    digits, power = text.split("e")
    return f"{digits} · 10{str(int(power)).translate(_RAISED)}"


_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
