import itertools

import pytest

from ntklab.errors import InputError
from ntklab.figures import METHODS, VENUES, figure_path, method_style, venue_style


def test_colours_and_markers_are_all_different():
    for one, two in itertools.combinations(METHODS.values(), 2):
        assert one.colour != two.colour
        assert one.marker != two.marker


def test_a_registered_method_of_a_user_has_a_style_of_its_own():
    style = method_style("my-adapter")
    assert style.label == "my-adapter"
    assert style.colour not in {known.colour for known in METHODS.values()}


@pytest.mark.parametrize("venue", VENUES)
def test_every_venue_has_a_size_and_embedded_fonts(venue):
    style = venue_style(venue)
    assert 3.0 < style["figure.figsize"][0] < 7.5
    assert style["pdf.fonttype"] == 42
    assert "text.usetex" not in style


def test_an_unknown_venue_names_the_nearest():
    with pytest.raises(InputError, match="did you mean 'neurips'"):
        venue_style("neurip")


@pytest.mark.parametrize("path", ["a.svg", "a.pdf.txt"])
def test_another_ending_is_refused(path):
    with pytest.raises(InputError, match=r"ends in \.pdf or \.png"):
        figure_path(path)


def test_a_dot_in_the_name_is_no_ending(tmp_path):
    assert figure_path(tmp_path / "m1.5.pdf").name == "m1.5"
