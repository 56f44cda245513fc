"""What holds for every check, whatever it claims."""

import re

import pytest
from latex2mathml.converter import convert

from paper_checks.harness import check_names, find_check

NAMES = check_names()


@pytest.mark.parametrize("name", NAMES)
def test_claim_is_told_in_full(name):
    claim = find_check(name).claim
    assert claim.id == name
    assert claim.title
    assert claim.title == claim.title.strip().rstrip(".")
    assert claim.words.endswith(".")
    assert claim.confidence in "HML"


@pytest.mark.parametrize("name", [n for n in NAMES if find_check(n).claim.formula])
def test_formula_becomes_mathml(name):
    text = convert(find_check(name).claim.formula)
    assert text.startswith("<math")
    assert "\\" not in re.sub(r"<[^>]*>", "", text), "a command that the converter does not know"


@pytest.mark.parametrize("name", NAMES)
def test_caption_says_what_the_figure_shows(name):
    check = find_check(name)
    assert bool(check.draw) == bool(check.caption)
