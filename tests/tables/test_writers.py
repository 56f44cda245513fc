import pytest

from ntklab.tables import Column, holds, in_ascii, in_latex, in_markdown, interval, table_of
from ntklab.tables.latex import latex_text

ROWS = [
    {"method": "lora", "error": 0.5, "error_low": 0.25, "error_high": 0.75, "p": 3.2e-7},
    {"method": "tt|lora", "error": -2.0, "error_low": None, "error_high": None, "p": None},
]
COLUMNS = {"method": "method", "error": Column("λ min⁺", interval=True), "p": "p"}


def test_every_writer_has_the_same_cells():
    table = table_of(ROWS, COLUMNS)
    assert table.rows == (("lora", "0.5 [0.25, 0.75]", "3.2e-07"), ("tt|lora", "-2", "–"))
    assert in_markdown(table.headings, table.rows).splitlines()[2:] == [
        "| lora | 0.5 [0.25, 0.75] | 3.2e-07 |",
        "| tt\\|lora | -2 | – |",
    ]
    assert in_latex(table).splitlines()[2:6] == [
        r"  method & $\lambda$ min$^{+}$ & p \\",
        r"  \midrule",
        r"  lora & 0.5 [0.25, 0.75] & $3.2 \times 10^{-7}$ \\",
        r"  tt$|$lora & $-2$ & -- \\",
    ]


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("50 % of a_b & {c}", r"50 \% of a\_b \& \{c\}"),
        ("f̂ ≠ ŷ", r"$\hat{f} \ne \hat{y}$"),
        ("N·C", r"N$\cdot$C"),
        ("Ω ε Α", r"$\Omega \varepsilon A$"),
        ("r_0..r_K", r"r\_0..r\_K"),
        ("1,2,2,1", "1,2,2,1"),
        ("2.08e+04 [1210, 5e-3]", r"$2.08 \times 10^{4}$ [1210, $5 \times 10^{-3}$]"),
        ("tt-lora", "tt-lora"),
    ],
)
def test_signs_as_latex_writes_them(text, latex):
    assert latex_text(text) == latex


def test_dollars_pair_whatever_stands_side_by_side():
    for text in ("λλ", "λ² ≤ −3.5e-7·‖w‖", "-1-2", "Σ τ/‖w‖", "C/√M"):
        assert latex_text(text).count("$") % 2 == 0


def test_columns_without_a_value_are_left_out():
    assert table_of([{"a": 1, "b": None}], {"a": "a", "b": "b", "c": "c"}).headings == ("a",)


def test_intervals_have_units_and_forms():
    assert interval(0.5, 0.25, 0.75, lambda x: f"{100 * x:.0f}", unit=" %") == "50 % [25 %, 75 %]"


@pytest.mark.parametrize("letter", "αβγδεζηθικλμνξπρστυφχψωΓΔΘΛΞΠΣΦΨΩ")
def test_greek_letters_have_ascii_names(letter):
    name = in_ascii(letter)
    assert name.isascii()
    assert name.isalpha()
    assert name[0].isupper() == letter.isupper()


def test_an_unknown_encoding_holds_nothing():
    assert not holds("no-such-encoding", "λ")
