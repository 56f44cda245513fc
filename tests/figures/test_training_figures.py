"""Figures of training against the arrays that they are drawn from."""

import numpy as np
import pytest

from ntklab.errors import InputError
from ntklab.figures.training import (
    certificate_text,
    curves_figure,
    curves_table,
    prediction_figure,
    prediction_table,
    variant_styles,
)
from ntklab.records import Record

STEPS = np.array([0.0, 1.0, 2.0])


def a_record(modes=False):
    rows, arrays = [], {}
    for seed, start in enumerate((1.0, 2.0, 4.0)):
        cell = f"cell{seed}"
        rows.append(
            {"cell": cell, "settings": "matched", "variant": "lora", "seed": seed, "reason": None}
            | {"ntk_regime": seed == 0, "ntk_regime_because": "the kernel drifted by 0.3"}
        )
        arrays |= {
            f"{cell}.step": STEPS,
            f"{cell}.epoch": STEPS / 2,
            f"{cell}.train_loss": start * 0.5**STEPS,
            f"{cell}.test_accuracy": 0.5 + 0.1 * STEPS,
            f"{cell}.predicted_loss": start * 0.4**STEPS,
            f"{cell}.lambda_min_envelope": np.full(3, start),
            f"{cell}.mended_bound": np.array([start, np.nan, np.nan]),
            f"{cell}.drift": np.array([0.0, 0.1, 0.3]),
        }
        if modes:
            arrays[f"{cell}.mode_losses"] = np.outer(0.4**STEPS, [0.7, 0.3]) * start
    return Record("pair", {}, {}, rows, arrays)


def test_curves_are_quantiles_over_seeds():
    rows = [row for row in curves_table(a_record()) if row["figure"] == "train_loss"]
    assert [row["median"] for row in rows] == [2.0, 1.0, 0.5]
    assert (rows[0]["low"], rows[0]["high"]) == (1.5, 3.0)
    assert [row["epoch"] for row in rows] == [0.0, 0.5, 1.0]
    assert {(row["seeds"], row["in_regime"]) for row in rows} == {(3, "1 of 3")}


def test_a_run_that_ended_early_is_left_out_of_later_steps():
    record = a_record()
    for name in ("step", "epoch", "train_loss", "test_accuracy"):
        record.arrays[f"cell2.{name}"] = record.arrays[f"cell2.{name}"][:1]
    rows = [row for row in curves_table(record) if row["figure"] == "train_loss"]
    assert [row["seeds"] for row in rows] == [3, 2, 2]
    assert rows[1]["median"] == 0.75


def test_a_prediction_stands_beside_its_measurement():
    table = prediction_table(a_record(modes=True), "cell1")
    assert [row["measured"] for row in table] == [2.0, 1.0, 0.5]
    assert [row["predicted"] for row in table] == pytest.approx([2.0, 0.8, 0.32])
    assert [row["mended_bound"] for row in table] == [2.0, None, None]
    assert table[1]["mode_1_loss"] == pytest.approx(0.4 * 0.7 * 2)


def test_figures_carry_the_verdict():
    figure, _ = curves_figure(a_record())
    assert "NTK regime: yes for 1 of 3" in figure.legends[0].get_title().get_text()
    figure, table = prediction_figure(a_record(modes=True), "cell1")
    assert "NTK regime: no, because the kernel drifted by 0.3" in figure.get_suptitle()
    lines = {line.get_label(): line for line in figure.axes[0].get_lines()}
    assert lines["measured"].get_ydata().tolist() == [row["measured"] for row in table]
    assert lines["linearized"].get_ydata().tolist() == [row["predicted"] for row in table]


def test_variants_of_one_method_have_styles_of_their_own():
    styles = variant_styles(["tensorguide M=1024", "tensorguide M=2048", "tensorguide"])
    assert len({style.colour for style in styles.values()}) == 3
    assert styles["tensorguide M=1024"].label == "M = 1024"


def test_records_without_curves_are_refused():
    empty = Record("pair", {}, {}, [{"cell": "x", "settings": "matched", "variant": "lora"}])
    with pytest.raises(InputError, match="no curves"):
        curves_table(empty)
    with pytest.raises(InputError, match="no prediction"):
        prediction_table(empty)
    row = {"variant": "lora", "ntk_regime": None, "ntk_regime_because": "nothing was measured"}
    assert "not judged" in certificate_text(row)
