"""Figures drawn by hand: the style of a session, panels, spectra of several methods, pairs."""

import matplotlib as mpl
import numpy as np
import pytest
import torch

from ntklab.errors import InputError
from ntklab.figures import (
    METHODS,
    draw_kernel,
    draw_pairs,
    draw_spectra,
    legend_below,
    panels,
    use_style,
    venue_style,
)
from ntklab.spectra import Spectrum


@pytest.fixture(autouse=True)
def own_figures():
    """Figures of pyplot are closed again, and the session's style is what it was."""
    from matplotlib import pyplot as plt

    mpl.use("Agg")
    with mpl.rc_context():
        yield
    plt.close("all")


def spectrum(*values, size=None, multiplicity=None):
    counts = None if multiplicity is None else torch.tensor(multiplicity)
    size = size or len(values)
    return Spectrum.from_values(torch.tensor(values), size=size, multiplicity=counts)


def test_the_style_of_a_session_is_that_of_the_venue():
    use_style("icml2024", dpi=77)
    style = venue_style("icml2024")
    assert mpl.rcParams["font.size"] == style["font.size"]
    assert mpl.rcParams["figure.dpi"] == 77


def test_panels_are_as_wide_as_the_page_and_as_many_as_asked():
    figure, axes = panels(3, 2, height_to_width=1.0)
    assert axes.shape == (2, 3)
    wide, high = figure.get_size_inches()
    assert wide == venue_style("neurips", columns=3)["figure.figsize"][0]
    assert high == pytest.approx(2 * wide / 3, rel=0.1)
    assert panels()[1].lines[:] == []


def test_a_legend_below_names_the_lines_of_the_first_panel():
    figure, (left, right) = panels(2)
    left.plot([1, 2], label="a")
    right.plot([1, 2], label="b")
    assert [text.get_text() for text in legend_below(figure).get_texts()] == ["a"]


def test_spectra_have_their_multiplicity_their_rank_and_the_colour_of_their_method():
    short = spectrum(8.0, 2.0, multiplicity=[1, 3], size=6)
    axes = draw_spectra({"lora": [spectrum(4.0, 1.0, size=6), short], "mine": short})
    first, second, mine, size = axes.lines
    assert (first.get_label(), mine.get_label()) == ("LoRA, rank 3", "mine, rank 4")
    assert second.get_label().startswith("_")
    assert list(second.get_xdata()) == [1, 2, 4]
    assert list(second.get_ydata()) == [8.0, 2.0, 2.0]
    assert first.get_color() == second.get_color() == METHODS["lora"].colour != mine.get_color()
    assert size.get_xdata()[0] == 6
    assert len(axes.get_legend().get_texts()) == 2


@pytest.mark.parametrize(("over", "divisor"), [("", 1.0), ("mean", 3.0), ("max", 8.0)])
def test_eigenvalues_are_divided_by_what_is_asked(over, divisor):
    axes = draw_spectra({"lora": spectrum(8.0, 1.0, 0.0)}, over=over)
    np.testing.assert_allclose(axes.lines[0].get_ydata(), np.array([8.0, 1.0]) / divisor)


def test_kernels_of_different_sizes_have_no_common_line():
    axes = draw_spectra({"a": spectrum(1.0, size=2), "b": spectrum(1.0, size=3)})
    assert len(axes.lines) == 2


def test_an_unknown_divisor_is_refused():
    with pytest.raises(InputError, match="mean"):
        draw_spectra({"lora": spectrum(1.0)}, over="meen")


def rows(zero=False):
    return [
        {"method": m, "seed": s, "preset": p, "least": 0.0 if zero and s else 1.0 + s + len(m)}
        for p in ("ntk", "paper")
        for m in ("lora", "tensorguide", "tera")
        for s in (0, 1)
    ]


def test_every_pair_is_joined_and_every_seed_has_a_marker():
    axes = draw_pairs(rows(), "least", ("lora", "tensorguide"), across="preset")
    joined = [line for line in axes.lines if line.get_marker() == "None"]
    assert sorted(tuple(line.get_ydata()) for line in joined) == sorted(
        [(5.0, 12.0), (6.0, 13.0)] * 2
    )
    assert sum(len(line.get_xdata()) for line in axes.lines if line not in joined) == 8
    _, labels = axes.get_legend_handles_labels()
    assert labels == ["LoRA", "TensorGuide"]
    assert not axes.texts


def test_exact_zeros_stand_below_every_value_and_are_named():
    axes = draw_pairs(rows(zero=True), "least", ("lora", "tensorguide"), across="preset")
    least = min(min(line.get_ydata()) for line in axes.lines)
    assert 0 < least < 1.0
    assert [text.get_text() for text in axes.texts] == ["exactly zero"]


def test_a_quantity_that_no_row_has_is_refused():
    with pytest.raises(InputError, match="no row has 'rank'"):
        draw_pairs(rows(), "rank", ("lora", "tensorguide"), across="preset")


def test_a_kernel_is_sorted_by_class_and_a_line_parts_the_classes():
    labels = torch.tensor([1, 0, 1, 0, 0])
    side = labels.double() + 1
    axes = draw_kernel(torch.outer(side, side), labels)
    shown = axes.images[0].get_array()
    np.testing.assert_array_equal(np.diag(shown), [1, 1, 1, 4, 4])
    assert {line.get_xdata()[0] for line in axes.lines} == {2.5, 0}


def test_a_centred_kernel_has_means_of_zero_and_colours_that_are_even_around_it():
    K = torch.randn(6, 6, dtype=torch.float64) + 100
    axes = draw_kernel(K @ K.T, torch.arange(6), centred=True)
    image = axes.images[0]
    np.testing.assert_allclose(np.asarray(image.get_array()).mean(0), 0, atol=1e-9)
    low, high = image.get_clim()
    assert low == -high


def test_a_large_kernel_is_shown_in_few_samples():
    K, labels = torch.eye(1000), torch.arange(1000) % 2
    assert draw_kernel(K, labels).images[0].get_array().shape == (125, 125)


def test_a_kernel_that_does_not_fit_its_labels_is_refused():
    with pytest.raises(InputError, match="beside 3 labels"):
        draw_kernel(torch.eye(4), torch.tensor([0, 1, 0]))
