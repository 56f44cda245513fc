"""A table as LaTeX, for a paper: booktabs, numbers and intervals as they are printed elsewhere."""

import re
import unicodedata

from ntklab.tables.table import Table

_PLAIN = {
    **{"&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}"},
    **{"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"},
    **{"–": "--", "—": "---", "…": r"\dots{}", "“": "``", "”": "''", "’": "'", "‘": "`"},
    "§": r"\S{}",
}
_MATHS = {
    **{"−": "-", "×": r"\times", "·": r"\cdot", "÷": r"\div", "±": r"\pm", "√": r"\surd"},
    **{"≤": r"\le", "≥": r"\ge", "≠": r"\ne", "≈": r"\approx", "≡": r"\equiv", "∝": r"\propto"},
    **{"→": r"\to", "↦": r"\mapsto", "∞": r"\infty", "∂": r"\partial", "∇": r"\nabla"},
    **{"∈": r"\in", "∘": r"\circ", "⊗": r"\otimes", "∫": r"\int", "‖": r"\|", "ℓ": r"\ell"},
    **{"⟨": r"\langle", "⟩": r"\rangle", "⌈": r"\lceil", "⌉": r"\rceil", "⌊": r"\lfloor"},
    **{"⌋": r"\rfloor", "≫": r"\gg", "≪": r"\ll", "<": "<", ">": ">", "|": "|", "⋯": r"\cdots"},
}
_ACCENTS = {"\u0302": "hat", "\u0303": "tilde", "\u0304": "bar", "\u0307": "dot"}
_NUMBER = re.compile(r"(?<![\w.])([-−+]?)(\d+(?:\.\d+)?)(?:e([+-]?\d+))?(?![\w.])")


def in_latex(table: Table) -> str:
    r"""The table as a `tabular` of the package booktabs, which ends in a line feed.

    Example:
        >>> from ntklab.tables import table_of
        >>> rows = [{"method": "tt-lora", "lambda_min": 4.6e-05}]
        >>> columns = {"method": "method", "lambda_min": "λ min"}
        >>> print(in_latex(table_of(rows, columns)), end="")
        \begin{tabular}{lr}
          \toprule
          method & $\lambda$ min \\
          \midrule
          tt-lora & $4.6 \times 10^{-5}$ \\
          \bottomrule
        \end{tabular}
    """
    sides = "".join("l" if words else "r" for words in table.words)
    body = [_row(row) for row in table.rows]
    lines = [rf"\begin{{tabular}}{{{sides}}}", r"  \toprule", _row(table.headings), r"  \midrule"]
    return "\n".join([*lines, *body, r"  \bottomrule", r"\end{tabular}"]) + "\n"


def latex_text(text: str) -> str:
    r"""A text with its signs as LaTeX writes them, numbers with powers of ten and minus signs.

    Example:
        >>> latex_text("‖w‖² ≤ 3.2e-07, 95 %")
        '$\\|$w$\\|^{2} \\le$ $3.2 \\times 10^{-7}$, 95 \\%'
        >>> latex_text("-0.5 [-0.61, 0.2]")
        '$-0.5$ [$-0.61$, 0.2]'
    """
    parts, place = [], 0
    for number in _NUMBER.finditer(text):
        parts += [_signs(text[place : number.start()]), _number(number)]
        place = number.end()
    joined = "".join([*parts, _signs(text[place:])])
    return joined.replace("$$", "")


def _row(cells: tuple[str, ...]) -> str:
    return "  " + " & ".join(map(latex_text, cells)) + r" \\"


def _number(number: re.Match[str]) -> str:
    sign, digits, power = number[1].replace("−", "-"), number[2], number[3]
    if power is not None:
        return rf"${sign}{digits} \times 10^{{{int(power)}}}$"
    return f"${sign}{digits}$" if sign else digits


def _signs(text: str) -> str:
    parts = [_sign(*pair) for pair in _clusters(text)]
    # Formulas that touch, or that only a space parts, are one.
    return re.sub(r"\$( ?)\$", r"\1", "".join(parts))


def _clusters(text: str) -> list[tuple[str, str]]:
    """Every letter with the accents above it."""
    clusters: list[tuple[str, str]] = []
    whole = unicodedata.normalize("NFC", text)
    # A sign such as ≠ is one, though Unicode takes it apart.
    for letter in "".join(c if c in _MATHS else unicodedata.normalize("NFD", c) for c in whole):
        if unicodedata.combining(letter) and clusters:
            clusters[-1] = (clusters[-1][0], clusters[-1][1] + letter)
        else:
            clusters.append((letter, ""))
    return clusters


def _sign(letter: str, accents: str) -> str:
    named = next((_ACCENTS[accent] for accent in accents if accent in _ACCENTS), None)
    if named is not None:
        return rf"$\{named}{{{letter}}}$"
    if letter in _MATHS:
        return f"${_MATHS[letter]}$"
    if letter in _PLAIN or letter.isascii():
        return _PLAIN.get(letter, letter)
    return _by_description(letter) or unicodedata.normalize("NFC", letter + accents)


def _by_description(letter: str) -> str | None:
    """A raised, lowered or Greek letter."""
    kind, _, base = unicodedata.decomposition(letter).partition(" ")
    if kind in ("<super>", "<sub>"):
        inner = chr(int(base, 16)).replace("−", "-")
        return f"${'^' if kind == '<super>' else '_'}{{{inner}}}$"
    words = unicodedata.name(letter, "").split()
    if words[:1] == ["GREEK"] and "LETTER" in words:
        return f"${_greek(words[words.index('LETTER') + 1], 'CAPITAL' in words)}$"
    return None


def _greek(word: str, capital: bool) -> str:
    name = word.replace("LAMDA", "LAMBDA").lower()
    latin = {"alpha": "A", "beta": "B", "epsilon": "E", "zeta": "Z", "eta": "H", "kappa": "K"}
    if not capital:
        return "\\varepsilon" if name == "epsilon" else f"\\{name}"
    return latin.get(name, f"\\{name.capitalize()}")
