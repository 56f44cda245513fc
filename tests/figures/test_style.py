import itertools

import pytest

from ntklab.errors import InputError
from ntklab.figures import (
    METHODS,
    VENUES,
    drawing,
    figure_path,
    method_style,
    scale_styles,
    venue_names,
    venue_style,
)


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


@pytest.mark.parametrize("path", ["a.gif", "a.pdf.txt"])
def test_another_ending_is_refused(path):
    with pytest.raises(InputError, match=r"ends in \.pdf, \.png or \.svg"):
        figure_path(path)


def test_a_dot_in_the_name_is_no_ending(tmp_path):
    assert figure_path(tmp_path / "m1.5.pdf").name == "m1.5"


def test_venues_are_known_by_year_too_and_several_panels_take_both_columns():
    assert venue_style("neurips2024") == venue_style("neurips")
    assert venue_style("tmlr2023")["figure.figsize"][0] == venue_style("tmlr")["figure.figsize"][0]
    one, two = (venue_style("icml2024", columns=n)["figure.figsize"][0] for n in (1, 2))
    assert two > 2 * one
    assert venue_style("icml2024_half", columns=2)["figure.figsize"][0] == one
    for name in venue_names():
        assert venue_style(name)["font.size"] > 0


def test_variants_of_one_method_differ_in_colour_and_marker():
    styles = scale_styles([str(n) for n in range(6)])
    assert len({style.colour for style in styles.values()}) == 6
    assert len({style.marker for style in styles.values()}) == 6


def test_drawing_sets_the_style_for_a_block_alone():
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    with drawing("icml2024", columns=2):
        assert mpl.rcParams["figure.figsize"][0] == 6.75
        assert mpl.rcParams["pdf.fonttype"] == 42
    assert dict(mpl.rcParams) == before
    with pytest.raises(InputError), drawing("nowhere"):
        pass
    assert dict(mpl.rcParams) == before


def test_a_taller_panel_is_taller_and_no_wider():
    low, tall = (venue_style("neurips", height_to_width=share) for share in (0.5, 1.0))
    assert low["figure.figsize"][0] == tall["figure.figsize"][0]
    assert low["figure.figsize"][1] < tall["figure.figsize"][1]


@pytest.mark.parametrize("count", [1, 2, 9, 12])
def test_shades_go_from_dark_to_light_however_many(count):
    def lightness(colour):
        red, green, blue = (int(colour[k : k + 2], 16) for k in (1, 3, 5))
        return 0.3 * red + 0.59 * green + 0.11 * blue

    styles = scale_styles([f"v{n}" for n in range(count)])
    assert list(styles) == [style.label for style in styles.values()]
    shades = [lightness(style.colour) for style in styles.values()]
    assert shades == sorted(shades)
    assert len(set(shades)) == count
