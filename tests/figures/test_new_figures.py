"""Each figure's table against numbers worked out by hand, on records of a few rows."""

import numpy as np
import pytest

from ntklab.errors import InputError
from ntklab.figures.architecture import architecture_figure, architecture_table
from ntklab.figures.conditioning import conditioning_figure, conditioning_table
from ntklab.figures.cores import cores_caption, cores_figure, cores_table
from ntklab.figures.drift import drift_figure, drift_table
from ntklab.figures.generalization import (
    generalization_caption,
    generalization_figure,
    generalization_table,
)
from ntklab.figures.language import perplexity_caption, perplexity_figure
from ntklab.figures.prediction import prediction_caption, prediction_curves, prediction_figure
from ntklab.figures.shapes import shapes_figure, shapes_table
from ntklab.figures.style import method_style
from ntklab.figures.training_caption import curves_caption
from ntklab.records import Record
from ntklab.tensor_train import TTShape

STEPS = np.array([0.0, 1.0, 10.0])


def kernel_row(method, seed, lam, *, width=1024, ranks="1,2,1", params=10):
    return {
        "method": method, "seed": seed, "task": "t", "width": width, "tt_ranks": ranks,
        "params": params, "outputs": 16, "lambda_min_over_mean": lam, "condition": 1 / (lam or 1),
        "effective_dimension": 2.0 + seed,
    }  # fmt: skip


@pytest.fixture
def sweeps():
    widths = [
        kernel_row("tensorguide", seed, 10.0 ** -(seed + k), width=width)
        for seed in (0, 1, 2)
        for k, width in enumerate((256, 1024), start=1)
    ]
    ranks = [
        kernel_row("lora", s, 0.5, width=r, ranks=None, params=r) for s in (0, 1) for r in (1, 4)
    ]
    ranks += [kernel_row("tera", s, 0.0, width=None, ranks=None, params=3) for s in (0, 1)]
    config = {"samples": 8}
    return {
        "sweep-widths": Record("sweep", config, {}, widths),
        "sweep-ranks": Record("sweep", config, {}, ranks),
    }


def test_conditioning_takes_medians_and_counts_singular_kernels(sweeps):
    table = conditioning_table(sweeps)
    found = {
        (r["panel"], r["method"], r["width"], r["params"]): r
        for r in table
        if r["figure"] == "lambda_min_over_mean"
    }
    assert found["width", "tensorguide", 256, 10]["median"] == pytest.approx(1e-2)
    assert found["parameters", "tensorguide", 1024, 10]["median"] == pytest.approx(1e-3)
    assert ("parameters", "tensorguide", 256, 10) not in found
    assert found["parameters", "tera", None, 3]["singular"] == 2
    assert found["parameters", "lora", 4, 4]["seeds"] == 2


def test_conditioning_draws_zeros_on_the_line_at_the_foot(sweeps):
    figure, _ = conditioning_figure(sweeps)
    below = figure.subfigs[1].axes[0]
    assert below.get_yticklabels()[0].get_text() == "0"
    floor = below.get_yticks()[0]
    tera = [line for line in below.lines if line.get_color() == method_style("tera").colour]
    assert any(np.allclose(line.get_ydata(), floor) and len(line.get_ydata()) for line in tera)


def test_conditioning_names_a_missing_column(sweeps):
    for row in sweeps["sweep-ranks"].results:
        del row["condition"]
    with pytest.raises(InputError, match="no column 'condition', which this figure draws"):
        conditioning_figure(sweeps)


@pytest.fixture
def cores():
    rows = [{"method": "lora", "task": "t", "outputs": 4, "seed": s} for s in (0, 1, 2)]
    for seed in (0, 1, 2):
        for core, share, params in (("A", 0.5 + seed / 10, 9), ("B", 0.5 - seed / 10, 1)):
            rows.append(
                {
                    "method": "lora", "core": core, "trace_share": share, "params": params,
                    "parameter_share": params / 10, "rank": 2, "seed": seed, "task": "t",
                }
            )  # fmt: skip
    rows.append(rows[-1] | {"method": "linear-probe", "core": "weight", "parameter_share": 1.0})
    return Record("spectrum", {"samples": 2}, {}, rows)


def test_shares_of_cores_are_medians_with_quartiles(cores):
    a, b = cores_table(cores)  # the probe has one tensor and nothing to share
    assert (a["median"], a["low"], a["high"]) == pytest.approx((0.6, 0.55, 0.65))
    assert b["parameter_share"] == 0.1
    assert "LoRA A 90% and 60%" in cores_caption(cores)
    figure, table = cores_figure(cores)
    drawn = {line.get_xdata()[0] for axes in figure.axes for line in axes.lines}
    assert {row["median"] for row in table} <= drawn


def test_a_record_without_cores_is_refused(cores):
    plain = [row for row in cores.results if "core" not in row]
    with pytest.raises(InputError, match=r"no column 'core'.*--per-core"):
        cores_figure(Record("spectrum", {}, {}, plain))


def run_record(method, losses, *, alpha=None, inside=True, drift=0.01):
    rows, arrays = [], {}
    for seed, start in enumerate(losses):
        cell = f"{method}{seed}"
        rows.append(
            {
                "cell": cell, "method": method, "settings": "own", "seed": seed, "task": "t",
                "samples": 8, "ntk_regime": inside, "drift_max": drift, "diverged": False,
                "linearization_error_max": 0.02,
            }
        )  # fmt: skip
        arrays |= {
            f"{cell}.step": STEPS,
            f"{cell}.train_loss": start * np.array([1.0, 0.5, 0.25]),
            f"{cell}.predicted_loss": start * np.array([1.0, 0.6, np.inf]),
            f"{cell}.lambda_min_envelope": np.full(3, start),
            f"{cell}.drift": drift * np.array([0.0, 0.5, 1.0]),
        }
    config = {"samples": 8, "alpha": alpha, "loss": "squared", "optimizer": "gd"}
    return Record("dynamics", config, {}, rows, arrays)


def test_losses_are_shares_of_the_start_and_the_certificate_is_stamped():
    records = {
        "dynamics-lora": run_record("lora", (2.0, 4.0)),
        "dynamics-tera": run_record("tera", (1.0,), inside=False, drift=3.0),
    }
    table = prediction_curves(records)
    lora = [r for r in table if (r["method"], r["series"]) == ("lora", "measured")]
    assert [(r["step"], r["median"]) for r in lora] == [(0, 1.0), (1, 0.5), (10, 0.25)]
    assert lora[0]["in_regime"] == "2 of 2"
    line = [r["median"] for r in table if (r["method"], r["series"]) == ("lora", "linearized")]
    assert line == [1.0, 0.6, None]  # an infinite prediction leaves the plot, not the table
    figure, _ = prediction_figure(records)
    stamps = [axes.texts[0].get_text() for axes in figure.axes]
    assert stamps[0].startswith("NTK regime: yes\nkernel drift 0.01 ≤ 0.1\n")
    assert stamps[1].startswith("NTK regime: no\nkernel drift 3 > 0.1\noutputs miss 0.02 ≤ 0.1")
    assert "all the same" not in "".join(stamps)  # the prediction diverges at the last step
    assert "holds for 2 of 3 runs" in prediction_caption(records)


def test_a_no_on_curves_that_coincide_says_why():
    record = run_record("tera", (1.0, 2.0), inside=False, drift=3.0)
    for name in list(record.arrays):
        if name.endswith(".predicted_loss"):
            start = record.arrays[name][0]
            record.arrays[name] = start * np.array([1.0, 0.52, 0.25])
    figure, table = prediction_figure({"dynamics-tera": record})
    assert table[0]["loss_gap"] == pytest.approx(0.02)
    assert figure.axes[0].texts[0].get_text().endswith("losses agree to 0.02 all the same")


def test_a_run_without_a_prediction_is_refused():
    record = run_record("lora", (1.0,))
    del record.arrays["lora0.predicted_loss"]
    with pytest.raises(InputError, match=r"predicted_loss.*ntklab dynamics"):
        prediction_figure({"dynamics-lora": record})


def test_drift_keeps_ways_to_train_apart():
    records = {
        "dynamics-lora": run_record("lora", (1.0, 1.0), drift=0.4),
        "dynamics-lora-lazy": run_record("lora", (1.0,), alpha=100.0, drift=0.004),
        "dynamics-linear-probe": run_record("linear-probe", (1.0,), drift=0.0),
    }
    table = drift_table(records)
    assert {r["run"] for r in table} == {"gradient descent", "gradient descent, α = 100"}
    plain = [r for r in table if (r["run"], r["method"]) == ("gradient descent", "lora")]
    assert [(r["step"], r["median"], r["seeds"]) for r in plain] == [(1, 0.2, 2), (10, 0.4, 2)]
    figure, _ = drift_figure(records)
    assert len(figure.axes) == 2
    assert figure.axes[0].get_yticklabels()[0].get_text() == "0"
    with pytest.raises(InputError, match="no record holds a drift"):
        drift_table({"x": Record("dynamics", {}, {}, [{"cell": "a"}])})


def bound(method, name, value, measured, seed, vacuous=False):
    return {
        "kind": "bound", "method": method, "name": name, "value": value, "measured": measured,
        "vacuous": vacuous, "seed": seed, "task": "t", "samples": 8,
    }  # fmt: skip


def test_bounds_stand_beside_measured_gaps():
    rows = [bound("lora", "rademacher-monte-carlo", 3.0, m, s) for s, m in enumerate((1.0, 2.0))]
    rows += [bound("lora", "rademacher-trace", 4.0 + s, 1.0, s) for s in (0, 1)]
    rows += [bound("lora", "fit-risk", 9.0, 0.5, 0, vacuous=True)]
    rows += [bound("lora", "arora-2019", None, None, 0, vacuous=True)]
    runs = [
        {"method": "lora", "settings": s, "gap": gap, "accuracy_gap": -0.1, "seed": 0, "samples": 9}
        for s, gap in (("matched", 0.2), ("released", 7.0))
    ]
    records = {
        "bounds": Record("bounds", {"samples": 8}, {}, rows),
        "pairs-table1": Record("pair", {"seeds": [0]}, {}, runs),
    }
    table = {r["quantity"]: r for r in generalization_table(records)}
    assert table["measured"]["median"] == 1.5
    assert table["(18) trace"]["median"] == 4.5
    assert table["gap of loss,\nmeasured"]["median"] == 0.2  # matched settings alone
    assert table["clipped risk,\n(20) fit"]["vacuous"]
    assert not table["clipped risk,\nmeasured"]["vacuous"]
    figure, _ = generalization_figure(records)
    right = figure.axes[1]
    hollow = next(line for line in right.lines if list(np.atleast_1d(line.get_xdata())) == [9.0])
    assert hollow.get_markerfacecolor() == "white"
    said = [text.get_text() for text in right.texts]
    assert "none has a value" in said  # arora, and the gap of accuracy, which is negative
    assert "an arrow at a whisker" not in generalization_caption(records)
    runs += [run | {"gap": -3 * run["gap"], "seed": 1} for run in runs]
    runs += [run | {"seed": run["seed"] + 2} for run in runs[:2]]  # median above zero, not its end
    assert "an arrow at a whisker" in generalization_caption(records)


def test_bounds_without_training_leave_gaps_out():
    rows = [bound("lora", "rademacher-trace", 4.0, 1.0, 0)]
    table = generalization_table({"bounds": Record("bounds", {"samples": 8}, {}, rows)})
    assert {r["quantity"] for r in table} == {"(18) trace"}


def test_the_map_of_shapes_is_the_planners():
    table = shapes_table()
    every = [row for row in table if row["panel"] == "all shapes"]
    released = [row for row in every if row["released"]]
    assert [(r["parameters"], r["effective_width"]) for r in released] == [(1140, 64)]
    for row in every[::50]:  # counted again from the shape itself
        outs = tuple(map(int, row["out_dims"].split("x")))
        ranks = tuple(map(int, row["tt_ranks"].split(",")))
        shape = TTShape((1, 2, 2, 1), outs, ranks)
        assert shape.out_size == 1024 * 514
        assert shape.parameters == row["parameters"]
        assert min(shape.effective_width(1024), 512) == row["effective_width"]
        assert row["collapsed"] == (row["effective_width"] < 512)
    figure, _ = shapes_figure()
    texts = {text.get_text() for text in figure.axes[1].texts}
    assert "64\n(1140)" in texts


def test_the_networks_show_every_tensor_of_the_adapters():
    table = architecture_table()
    trained = {}
    for row in table:
        trained[row["method"]] = trained.get(row["method"], 0) + row["entries"] * row["trained"]
    assert trained == {
        "lora": 2056, "tt-delta": 296, "tera": 26, "tt-lora": 1764, "tensorguide": 1140
    }  # fmt: skip
    figure, _ = architecture_figure()
    (axes,) = figure.axes
    words = {text.get_text() for text in axes.texts}
    assert {"$A$", "$B$", "257", "1140 trained entries", "$d$ = 512", "$C$ = 2"} <= words
    # circles: A, B; 4 cores of TT-Delta; 3 + 2 of TT-LoRA; 4 of TensorGuide
    from matplotlib.patches import Circle

    circles = [patch for patch in axes.patches if isinstance(patch, Circle)]
    assert len(circles) == 2 + 4 + 5 + 4
    colours = {method_style(m).colour for m in ("lora", "tt-delta", "tt-lora", "tensorguide")}
    from matplotlib.colors import to_hex

    assert {to_hex(patch.get_facecolor()).upper() for patch in circles} == colours


def test_captions_of_training_count_the_certificate():
    rows = [
        {"settings": "matched", "task": "t", "samples": 9, "loss": "cross-entropy", "seed": s}
        | {"optimizer": "adam", "ntk_regime": s == 0}
        for s in (0, 1)
    ]
    caption = curves_caption(Record("pair", {"seeds": [0, 1]}, {}, rows))
    assert "N = 9 samples" in caption
    assert "NTK regime: yes for 1 of 2 runs" in caption


def language_row(variant, params, perplexity, *, head="add", seed=0, purpose="measure"):
    return {
        "variant": variant, "method": variant.split()[0], "params": params, "head": head,
        "seed": seed, "purpose": purpose, "test_perplexity": perplexity, "model": "m",
        "test_tokens": 10, "baseline_perplexity": 4.0,
    }  # fmt: skip


def test_perplexity_is_drawn_for_heads_added_to_the_projection_alone():
    rows = [
        language_row("lora r=1", 5, 9.0, purpose="search"),
        language_row("lora r=1", 5, 1.0),
        language_row("lora r=1", 5, 3.0, seed=1),
        language_row("replace: lora r=1", 5, 70.0, head="replace"),
        language_row("truncated r=1", 0, 80.0),
        language_row("frozen", 0, 4.0),
    ]
    record = Record("train", {}, {}, rows)
    figure, table = perplexity_figure(record)
    assert [(row["variant"], row["test_perplexity"]) for row in table] == [
        ("frozen", 4.0),
        ("lora r=1", 2.0),
    ]
    half = 12.706204736 * 2**0.5 / 2**0.5  # Student's t at one degree of freedom, s = √2
    assert table[1]["test_perplexity_low"] == pytest.approx(2.0 - half)
    assert [text.get_text() for text in figure.axes[0].get_legend().texts] == ["LoRA"]
    assert "frozen model, 4.00; lowest: 2.00 (lora r=1, 5 parameters)" in perplexity_caption(record)
    with pytest.raises(InputError, match="no trained heads beside the frozen model"):
        perplexity_figure(Record("train", {}, {}, rows[:-1]))
