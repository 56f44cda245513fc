import csv

import numpy as np
import pytest

from ntklab.errors import InputError
from ntklab.figures import save_figure, spectrum_figure, spectrum_table
from ntklab.records import Record


def make_record(spectra, rank=3, outputs=4):
    """A record with one row a (condition, method, seed); the numbers are given, not computed."""
    rows, arrays = [], {}
    for (condition, method, seed), eigenvalues in spectra.items():
        cell = f"{condition}-{method}-{seed}"
        arrays[f"{cell}.eigenvalues"] = np.array(eigenvalues)
        rows.append(
            {
                "cell": cell,
                "method": method,
                "data_condition": condition,
                "rank": rank,
                "outputs": outputs,
            }
        )
    return Record("spectrum", {}, {}, rows, arrays)


@pytest.fixture
def record():
    return make_record(
        {
            ("noisy", "lora", 0): [1.0, 8.0, 2.0, 0.0],  # in no order on purpose
            ("noisy", "lora", 1): [10.0, 4.0, 3.0, 0.0],
            ("noisy", "lora", 2): [9.0, 3.0, 2.0, 0.0],
            ("noisy", "tera", 0): [5.0, 0.5, 0.05, 0.0],
            ("clean", "lora", 0): [7.0, 1.0, 0.1, 0.0],
        }
    )


def test_the_table_holds_medians_and_quartiles_over_seeds(record):
    rows = [
        row
        for row in spectrum_table(record)
        if (row["data_condition"], row["method"]) == ("noisy", "lora")
    ]
    assert [row["median"] for row in rows] == [9.0, 3.0, 2.0, 0.0]
    assert [row["low"] for row in rows] == [8.5, 2.5, 1.5, 0.0]  # halfway to the least of three
    assert [row["high"] for row in rows] == [9.5, 3.5, 2.5, 0.0]
    assert {row["seeds"] for row in rows} == {3}


def test_the_figure_draws_what_the_table_says(record):
    figure, table = spectrum_figure(record)
    noisy, clean = figure.axes
    assert [axes.get_title() for axes in (noisy, clean)] == ["noisy images", "clean images"]
    curves = [line for line in noisy.lines if len(line.get_xdata()) == 3]
    assert len(curves) == 2  # one a method, without the exact zero
    np.testing.assert_array_equal(curves[0].get_ydata(), [9.0, 3.0, 2.0])
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["LoRA, 3/4", "TeRA, 3/4"]
    assert clean.get_xlabel()
    assert noisy.get_ylabel()
    assert len(table) == 12


def test_nothing_is_clipped_at_column_width(record):
    for venue in ("neurips", "icml"):
        figure, _ = spectrum_figure(record, venue=venue)
        figure.draw_without_rendering()
        box = figure.get_tightbbox()  # inches
        width, height = figure.get_size_inches()
        assert box.x0 >= -0.01
        assert box.y0 >= -0.01
        assert box.x1 <= width + 0.01
        assert box.y1 <= height + 0.01


def test_a_zero_kernel_has_no_curve_but_a_legend_entry():
    figure, _ = spectrum_figure(make_record({("noisy", "lora", 0): [0.0, 0.0]}, rank=0, outputs=2))
    assert len(figure.axes[0].lines) == 0
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["LoRA, 0/2"]


def test_ranks_that_differ_between_conditions_are_told_apart(record):
    record.results[-1]["rank"] = 2
    figure, _ = spectrum_figure(record)
    assert figure.legends[0].get_texts()[0].get_text() == "LoRA, 3 · 2/4"
    title = figure.legends[0].get_title().get_text()
    assert title.endswith("(noisy · clean); median and quartiles of 3 seeds")


def test_a_record_without_eigenvalues_is_refused():
    with pytest.raises(InputError, match="no eigenvalues"):
        spectrum_figure(Record("spectrum", {}, {}, [{"method": "lora"}]))


def test_saved_figures_are_whole_and_equal(record, tmp_path):
    for name in ("one.pdf", "two.png"):
        figure, table = spectrum_figure(record)
        paths = save_figure(figure, tmp_path / name, table)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("one.csv", "one.pdf", "one.png", "two.csv", "two.pdf", "two.png")
    ]
    for kind in ("pdf", "png", "csv"):
        assert (tmp_path / f"one.{kind}").read_bytes() == (tmp_path / f"two.{kind}").read_bytes()
    with paths[-1].open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["median"]) for row in rows] == [row["median"] for row in table]
    assert b"/Type3" not in (tmp_path / "one.pdf").read_bytes()


def test_multiplicities_are_drawn_as_often_as_they_occur():
    record = make_record({("noisy", "lora", 0): [4.0, 1.0]}, rank=3, outputs=5)
    record.arrays["noisy-lora-0.multiplicity"] = np.array([1, 2])
    assert [row["median"] for row in spectrum_table(record)] == [4.0, 1.0, 1.0]


def test_seeds_with_spectra_of_different_lengths_are_padded_with_zeros():
    record = make_record({("noisy", "lora", 0): [4.0, 2.0], ("noisy", "lora", 1): [2.0]})
    assert [row["median"] for row in spectrum_table(record)] == [3.0, 1.0]
