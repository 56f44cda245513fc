"""The heat map of layers: what it shows is what the rows say."""

import numpy as np
import pytest

from ntklab.errors import InputError
from ntklab.figures.layers import layers_figure, layers_table
from ntklab.records import Record


def row(method, seed, block, module, share):
    place = "" if block is None else f"layers.{block}."
    return {
        "method": method,
        "seed": seed,
        "core": f"{place}{module}",
        "block": block,
        "module": module,
        "params": 8,
        "parameter_share": 0.25,
        "trace_share": share,
    }


@pytest.fixture
def record():
    shares = {(0, "q"): 0.1, (0, "v"): 0.2, (3, "q"): 0.3, (3, "v"): 0.4}
    rows = [
        row(method, seed, block, module, share + shift)
        for method in ("lora", "peft:dora")
        for seed, shift in enumerate((-0.05, 0.0, 0.01))
        for (block, module), share in shares.items()
    ]
    whole = {"method": "lora", "seed": 0, "trace_share": None}
    return Record("spectrum", {}, {}, [whole, *rows])


def test_the_table_holds_medians_over_seeds(record):
    table = layers_table(record)
    assert len(table) == 8
    assert [one["median"] for one in table[:4]] == [0.1, 0.2, 0.3, 0.4]
    assert {one["seeds"] for one in table} == {3}


def test_the_figure_shows_the_table(record):
    figure, _ = layers_figure(record)
    panels = [axes for axes in figure.axes if axes.get_images()]
    assert [axes.get_title(loc="left") for axes in panels] == ["LoRA", "peft:dora"]
    (image,) = panels[0].get_images()
    np.testing.assert_allclose(image.get_array(), [[0.1, 0.3], [0.2, 0.4]])
    assert [text.get_text() for text in panels[1].get_xticklabels()] == ["0", "3"]
    assert [text.get_text() for text in panels[0].texts] == ["10%", "30%", "20%", "40%"]


def test_layers_outside_of_blocks_stand_beside(record):
    results = [*record.results, row("lora", 0, None, "table", 0.5)]
    figure, _ = layers_figure(Record("spectrum", {}, {}, results))
    names = [text.get_text() for text in figure.axes[1].get_xticklabels()]
    assert names == ["0", "3", "beside"]  # of all panels
    shares = figure.axes[0].get_images()[0].get_array()
    assert np.ma.getmaskarray(shares)[2, 0]
    assert shares[2, 2] == 0.5


def test_a_record_without_layers_is_refused():
    with pytest.raises(InputError, match="no column 'module'"):
        layers_figure(Record("spectrum", {}, {}, [{"method": "lora"}]))
