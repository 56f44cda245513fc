"""The figures of the prompt panel, from a made-up record."""

import re

import pytest

from ntklab.errors import InputError
from ntklab.experiments.training.panel import PANEL
from ntklab.figures.catalogue import draw_plate, plate
from ntklab.figures.prompt import (
    CANDIDATES,
    accuracy_caption,
    accuracy_figure,
    accuracy_table,
    learning_figure,
    learning_table,
    panel_styles,
    ranking_caption,
    ranking_figure,
    ranking_table,
)
from ntklab.figures.style import method_style
from ntklab.records import Record
from tests.prompt_worlds import world

METHODS = ("lora", "tt-delta", "tera", "full", "peft:vera", "peft:ia3")


@pytest.fixture(scope="module")
def record():
    return world(
        PANEL,
        [
            {"variant": f"{method}-a", "method": method, "lambda_min": 0.0 if k == 5 else k + 1.0}
            | {"accuracy_adam": 0.6 + 0.03 * k, "predicted_accuracy": 0.6 + 0.03 * k}
            for k, method in enumerate(METHODS)
        ],
    )


@pytest.mark.parametrize("name", ["accuracy", "ranking", "curves"])
def test_each_figure_is_drawn_from_the_record_alone(record, tmp_path, name):
    record.write(tmp_path / PANEL)
    paths = draw_plate(plate(f"prompt-{name}"), tmp_path, tmp_path / "out")
    assert all(path.stat().st_size > 100 for path in paths)
    caption = paths[-1].read_text()
    assert "5 seeds" in caption
    if name != "curves":
        assert "a made-up model, 64 shots a class, 500 test sentences" in caption


def test_points_are_means_with_intervals(record):
    table = accuracy_table(record)
    assert len(table) == 12
    row = table[2]
    values = [r["accuracy_adam"] for r in record.results if r["variant"] == "tera-a"]
    assert row["measured"] == pytest.approx(sum(values) / 5)
    assert row["measured_low"] < row["measured"] < row["measured_high"]


def ten(**more):
    """The best of ten methods has λ_min = 0, the others are in order."""
    rows = [
        {"lambda_min": 0.0 if k == 9 else k + 1.0, "accuracy_adam": 0.6 + 0.03 * k} | more
        for k in range(10)
    ]
    return world(PANEL, rows)


def test_every_candidate_says_how_it_ranks():
    table = ranking_table(ten())
    assert {row["figure"] for row in table} == set(CANDIDATES)
    rho = {row["figure"]: row["rho"] for row in table}
    assert rho["lambda_min"] == pytest.approx(1 - 6 * 90 / (10 * 99))  # last of ten becomes first
    assert rho["log_params"] is not None
    assert "Spearman's ρ" in ranking_caption(ten())


def test_few_methods_are_drawn_and_not_ranked(record):
    """Six methods; and ten variants of one."""
    for few in (record, ten(method="lora")):
        assert {row["rho"] for row in ranking_table(few)} == {None}
        caption = ranking_caption(few)
        assert "No correlation is given of fewer than 10 methods" in caption
        assert "of the panel's 26 variants" in caption


def test_curves_of_four_methods(record):
    table = learning_table(record)
    assert {row["variant"] for row in table} == {f"{method}-a" for method in METHODS[:4]}
    assert {row["series"] for row in table} == {"measured", "predicted"}
    assert all(row["seeds"] == 5 for row in table)


def test_a_record_without_them_gets_a_sentence(tmp_path):
    bare = Record("pair", {}, {}, [{"variant": "a", "seed": 0, "cell": "x", "method": "lora"}])
    with pytest.raises(InputError, match="no column 'predicted_accuracy'"):
        accuracy_table(bare)
    rows = [dict(bare.results[0]) | {"accuracy_sgd": 0.5}]
    with pytest.raises(InputError, match="no curves of predicted test accuracy"):
        learning_table(Record("pair", {}, {}, rows))
    assert "ntklab pair --task prompt" in plate("prompt-accuracy").missing(tmp_path)


# --- what the reader sees


def test_two_sizes_of_a_method_share_a_colour_and_not_a_marker():
    rows = [{"variant": f"{m} {k}", "method": m} for m in ("lora", "peft:vera") for k in (1, 2)]
    styles = panel_styles([*rows, *rows])
    own = [styles[name] for name in ("lora 1", "lora 2")]
    others = [styles[name] for name in ("peft:vera 1", "peft:vera 2")]
    assert len(styles) == 4
    assert {style.colour for style in own} == {method_style("lora").colour}
    assert own[0].marker == method_style("lora").marker
    assert own[0].marker != own[1].marker
    assert others[0].colour == others[1].colour != own[0].colour
    assert others[0].marker != others[1].marker


def test_the_line_of_equality_spans_all_points_of_both_panels(record):
    figure, table = accuracy_figure(record)
    low = min(row["predicted_low"] for row in table)
    high = max(row["measured_high"] for row in table)
    for axes, optimizer in zip(figure.axes, ("Adam", "SGD"), strict=True):
        assert axes.get_title() == f"fine-tuned by {optimizer}"
        assert axes.get_xlim() == axes.get_ylim()
        assert axes.get_xlim()[0] <= low
        assert axes.get_xlim()[1] >= high
        line = axes.lines[0]
        assert list(line.get_xdata()) == list(line.get_ydata())


def test_one_seed_has_points_without_bars(tmp_path):
    alone = world(PANEL, [{"method": "lora"}, {"method": "tera"}], seeds=1)
    table = accuracy_table(alone)
    assert all(row["measured_low"] is None for row in table)
    figure, _ = accuracy_figure(alone)
    assert len(figure.axes) == 2
    assert "1 seeds" in accuracy_caption(alone)


def test_an_optimizer_that_was_not_run_has_no_panel():
    adam = world(PANEL, [{"accuracy_sgd": 0.5}, {"accuracy_sgd": 0.5}])
    for row in adam.results:
        del row["accuracy_sgd"]
    figure, table = accuracy_figure(adam)
    assert len(figure.axes) == 1
    assert {row["optimizer"] for row in table} == {"adam"}


def test_a_singular_kernel_is_named_and_not_drawn(record):
    figure, _ = ranking_figure(record)
    panel = next(axes for axes in figure.axes if axes.get_xlabel() == CANDIDATES["lambda_min"][0])
    assert len(panel.lines) == len(METHODS) - 1
    assert panel.get_xscale() == "log"
    assert re.search(r"cannot show λ_min = 0: [^,.]+\.", ranking_caption(record))


def test_a_figure_that_is_the_same_for_all_ranks_nothing():
    same = world(PANEL, [{"lambda_min": 0.5}] * 3)
    for place, row in enumerate(same.results):
        row["variant"] = f"v{place // 5}"
    rows = [row for row in ranking_table(same) if row["figure"] == "lambda_min"]
    assert [row["rho"] for row in rows] == [None] * 3


def test_chosen_variants_and_their_curves(record):
    table = learning_table(record, ["peft:vera-a"])
    measured = [row for row in table if row["series"] == "measured"]
    assert [row["step"] for row in measured] == [0, 1, 2, 4, 16, 32, 64, 128]  # no test at 8
    assert measured[0]["median"] == pytest.approx(0.55)
    assert all(row["low"] <= row["median"] <= row["high"] for row in table)
    figure, drawn = learning_figure(record)
    assert [axes.get_title() for axes in figure.axes] == [f"{m}-a" for m in METHODS[:4]]
    assert {row["variant"] for row in drawn} == {f"{m}-a" for m in METHODS[:4]}
