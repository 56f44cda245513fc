"""Names in ASCII for mathematical letters, where an output cannot hold them."""

import unicodedata

_NAMES = {
    **{"×": "x", "·": "*", "÷": "/", "−": "-", "–": "-", "—": "-", "±": "+-", "√": "sqrt"},
    **{"≤": "<=", "≥": ">=", "≠": "!=", "≈": "~=", "≡": "==", "∝": "~", "≫": ">>", "≪": "<<"},
    **{"→": "->", "←": "<-", "↦": "->", "⇒": "=>", "∞": "inf", "∂": "d", "∇": "grad"},
    **{"∈": "in", "∘": "o", "⊗": "(x)", "∫": "integral", "‖": "||", "⟨": "<", "⟩": ">"},
    **{"⌈": "ceil(", "⌉": ")", "⌊": "floor(", "⌋": ")", "⋯": "...", "•": "*", "─": "-"},
    **{"§": "section ", "“": '"', "”": '"', "‘": "'", "’": "'", "ł": "l", "ß": "ss"},
    "\N{COMBINING CIRCUMFLEX ACCENT}": "^",
    "\N{COMBINING TILDE}": "~",
}


def in_ascii(text: str) -> str:
    r"""The text in ASCII: letters by their names, signs by their usual spellings.

    Raised and lowered digits go down to the line, accents are dropped, and what has no name
    becomes an escape.

    Example:
        >>> in_ascii("λ min⁺ ≤ ‖w‖² — Σ τ ± 3")
        'lambda min+ <= ||w||2 - Sigma tau +- 3'
        >>> in_ascii("🙂")
        '\\U0001f642'
    """
    if text.isascii():
        return text
    return "".join(map(_named, unicodedata.normalize("NFKD", text)))


def holds(encoding: str | None, text: str) -> bool:
    """Whether an output of that encoding can hold the text; None holds everything.

    Example:
        >>> holds("utf-8", "λ"), holds("ascii", "λ"), holds("latin-1", "×"), holds(None, "λ")
        (True, False, True, True)
    """
    try:
        text.encode(encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _named(letter: str) -> str:
    if letter.isascii():
        return letter
    if letter in _NAMES:
        return _NAMES[letter]
    if unicodedata.combining(letter):
        return ""
    words = unicodedata.name(letter, "").split()
    if words[:1] == ["GREEK"] and "LETTER" in words:
        word = words[words.index("LETTER") + 1].replace("LAMDA", "LAMBDA")
        return word.capitalize() if "CAPITAL" in words else word.lower()
    return letter.encode("ascii", "backslashreplace").decode()
