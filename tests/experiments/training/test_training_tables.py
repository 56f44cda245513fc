"""Tables and sentences against records made by hand, where the answer is known."""

import re
from pathlib import Path

import numpy as np
import pytest

from ntklab.adapters import build_adapter
from ntklab.claims import find_check
from ntklab.errors import InputError
from ntklab.experiments.training.bounds_table import bounds_markdown
from ntklab.experiments.training.curves import (
    curve_sentences,
    curves_markdown,
    with_mean_loss,
)
from ntklab.experiments.training.evidence import evidence, evidence_sentences, judged_by
from ntklab.experiments.training.heads.cell import CONV1
from ntklab.experiments.training.heads.config import PairConfig, pair_methods
from ntklab.experiments.training.markdown import (
    NOT_ON_GPU,
    end_to_end_markdown,
    on_gpu_markdown,
    table_markdown,
)
from ntklab.experiments.training.table import comparisons, training_table
from ntklab.experiments.training.variants import RANKS, WIDTHS, table_variants
from ntklab.records import Record

FIGURES = Path(__file__).parents[3] / "figures"


def record(accuracies, params=None):
    """Accuracies by (settings, variant): one a seed."""
    rows = [
        {
            "settings": settings,
            "variant": variant,
            "method": variant.split()[0],
            "params": (params or {}).get(variant, 1),
            "seed": seed,
            "test_accuracy": value,
            "ntk_regime": False,
        }
        for (settings, variant), values in accuracies.items()
        for seed, value in enumerate(values)
    ]
    return Record("pair", {}, {}, rows)


def test_released_parameter_counts_of_tables_1_and_2():
    counts = {
        ("lora", None): 5192,
        ("tt-lora", None): 4900,
        ("tensorguide", 1024): 4276,
        ("tensorguide", 2048): 4292,
        ("tensorguide", 4096): 4356,
    }
    for (method, width), count in counts.items():
        assert build_adapter(method, 512, 2, width=width).parameter_count + CONV1 == count


def test_table_5_counts_by_its_formula():
    cells = table_variants(5, PairConfig.of(method="tensorguide"), [])
    assert len(cells) == len(RANKS)
    for cell, (r1, r2, r3) in zip(cells, RANKS, strict=True):
        head = build_adapter(
            *("tensorguide", 512, 2),
            width=cell.adapter.width,
            tt_ranks=cell.adapter.tt_ranks,
            in_dims=cell.adapter.in_dims,
            out_dims=cell.adapter.out_dims,
        )
        assert head.parameter_count == 16 * r1 + 16 * r1 * r2 + 514 * r2 * r3 + 16 * r3


def test_table_variants_refuse_what_they_decide():
    cells = table_variants(2, PairConfig.of(method="lora"), [])
    assert [cell.adapter.width for cell in cells] == list(WIDTHS)
    with pytest.raises(InputError, match="decided by table 2"):
        table_variants(2, PairConfig.of(method="tensorguide", width=64), [])
    with pytest.raises(InputError, match="table 3"):
        table_variants(3, PairConfig.of(method="lora"), [])
    methods = pair_methods(["all"])
    assert [
        c.adapter.method for c in table_variants(1, PairConfig.of(method="lora"), methods)
    ] == methods


def test_no_difference_is_said_where_the_interval_holds_zero():
    even = record(
        {
            ("matched", "tensorguide M=1024"): [0.8, 0.7, 0.75, 0.8],
            ("matched", "tensorguide M=2048"): [0.7, 0.8, 0.8, 0.75],
        }
    )
    (sentence,) = evidence_sentences(even)
    assert sentence.startswith("matched: 4 seeds cannot decide between tensorguide M=2048 and")
    assert "smallest p that the test can give them is 0.12" in sentence
    assert "tensorguide M=2048 minus tensorguide M=1024 is +0.0 points" in sentence


def test_a_clear_loss_is_said_as_one():
    worse = record({("released", "lora"): [0.6] * 6, ("released", "tensorguide"): [0.7] * 6})
    assert "lora is less accurate than tensorguide by 10.0 points" in evidence_sentences(worse)[0]
    flipped = record({("released", "lora"): [0.7] * 6, ("released", "tensorguide"): [0.6] * 6})
    assert "lora is more accurate than tensorguide" in evidence_sentences(flipped)[0]


@pytest.mark.parametrize("table", [1, 2, 5])
def test_a_page_of_numbers_names_the_claim_that_judges_them(table):
    """One verdict on a claim: the claim exists, and the page computes none of its own."""
    assert judged_by(table) in (FIGURES / "tables-training.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"`ntklab check (\S+)`", judged_by(table))
    assert find_check(command)[1].claim.id == f"table{table}"


def test_of_many_comparisons_one_counts_only_if_holm_lets_it():
    noise = [0.05, -0.05, 0.04, -0.04, 0.03, -0.03]
    found = {("matched", "tensorguide"): [0.7] * 6, ("matched", "lora"): [0.6] * 6}
    (alone,) = comparisons(record(found), "tensorguide")
    assert alone["holm_p"] == alone["wilcoxon_p"] == pytest.approx(2 / 2**6)
    assert "less accurate" in evidence(alone)
    found |= {("matched", "tera"): [0.7 + x for x in noise]}
    found |= {
        ("released", name): [0.7 - 0.1 * (name == "lora")] * 6 for name in ("lora", "tensorguide")
    }
    among, tera, elsewhere = comparisons(record(found), "tensorguide")
    assert among["holm_p"] == pytest.approx(2 * among["wilcoxon_p"])
    assert "no difference seen" in evidence(among)
    assert "Wilcoxon p (Holm) = 0.062" in evidence(among)
    assert tera["holm_p"] == tera["wilcoxon_p"]
    assert "less accurate" in evidence(elsewhere)  # each setting is a family of its own


def test_settings_are_never_mixed():
    both = record(
        {
            ("matched", "lora"): [0.9, 0.8],
            ("matched", "tensorguide"): [0.5, 0.6],
            ("released", "lora"): [0.1, 0.2],
            ("released", "tensorguide"): [0.5, 0.6],
        }
    )
    means = {c["settings"]: c["mean"] for c in comparisons(both, "tensorguide")}
    assert means == pytest.approx({"matched": 0.3, "released": -0.4})
    table = training_table(both, ["test_accuracy"])
    assert [row["test_accuracy"] for row in table] == pytest.approx([0.85, 0.55, 0.15, 0.55])
    assert {row["in_regime"] for row in table} == {"0 of 2"}


def test_one_seed_decides_nothing():
    single = record({("matched", "lora"): [0.9], ("matched", "tensorguide"): [0.5]})
    assert "one seed decides nothing" in evidence(comparisons(single, "tensorguide")[0])
    assert training_table(single)[0]["reason"] == "one seed has no interval"


def with_curves(levels):
    """Losses that fall from 1 by a rate of their own: one a seed, by variant."""
    found = record({("matched", name): [0.5] * len(rates) for name, rates in levels.items()})
    epochs = np.array([0.0, 1.0, 4.0])
    for index, row in enumerate(found.results):
        row["cell"] = f"c{index}"
        rate = levels[row["variant"]][row["seed"]]
        found.arrays[f"c{index}.epoch"] = epochs
        found.arrays[f"c{index}.train_loss"] = np.exp(-rate * epochs)
    return found


def test_the_mean_loss_is_the_area_under_the_curve():
    one = with_mean_loss(with_curves({"lora": [0.5]})).results[0]
    ends = np.exp([0.0, -0.5, -2.0])
    area = 0.5 * (ends[0] + ends[1]) * 1 + 0.5 * (ends[1] + ends[2]) * 3
    assert one["mean_train_loss"] == pytest.approx(area / 4, rel=1e-12)


def test_whose_loss_falls_faster_is_told_with_its_evidence():
    rates = np.linspace(0.3, 0.5, 8)
    slower = with_curves({"tensorguide": rates, "lora": rates - 0.2, "tera": rates + 0.3})
    text = curves_markdown(slower)
    assert "Judged by `ntklab check tensorguide/fig4`" in text
    lora, tera = curve_sentences(with_mean_loss(slower))
    assert lora.startswith("matched: the loss of lora falls slower than that of tensorguide")
    assert "lower at 0, higher at 8" in lora
    assert "falls faster than" in tera
    same = with_curves({"tensorguide": rates, "lora": rates[::-1]})
    assert "is not told apart from" in curve_sentences(with_mean_loss(same))[0]


def test_a_diverged_run_has_no_mean_loss():
    broken = with_curves({"tensorguide": [0.1, 0.1], "lora": [0.1, 0.1]})
    broken.results[3]["diverged"] = True
    assert [row["mean_train_loss"] is None for row in with_mean_loss(broken).results] == [
        *(False, False, False, True)
    ]


def test_bounds_are_tabled_with_how_often_they_say_nothing():
    made = record({("released", "tensorguide"): [0.5] * 3, ("released", "lora"): [0.5] * 3})
    for row in made.results:
        vacuous = row["variant"] == "lora" or row["seed"] == 0
        row |= {"compression_bound": 0.5 + 0.1 * row["seed"], "compression_bound_vacuous": vacuous}
        row |= {"effective_parameters": 7, "compression_bits": 2, "compressed_train_error": 0.25}
    text = bounds_markdown(training_table(made))
    assert "| 7 × 2 | 0.6 (1 of 3 vacuous) | 25.0 % / – |" in text
    assert "(3 of 3 vacuous)" in text
    assert bounds_markdown(training_table(record({("matched", "lora"): [0.5]}))) == ""


def full(found):
    """Rows with all that a page asks of them."""
    for row in found.results:
        row |= {"task": "quantum-dot", "samples": 80, "data_condition": "noisy", "batch": 16}
        row |= {"params_with_conv1": 4276, "epochs": 2, "noisy_accuracy": row["test_accuracy"]}
        row |= {"scale_of_run": "smaller", "gpu": NOT_ON_GPU, "clean_accuracy": 0.5}
    found.provenance.update({"device": "cpu", "dtype": "float32", "versions": {"torch": "2"}})
    return found


def test_what_no_gpu_has_measured_says_so():
    one = full(record({("released", "lora"): [0.6], ("released", "tensorguide"): [0.7]}))
    assert table_markdown(one).count(NOT_ON_GPU) == 1
    assert end_to_end_markdown(None).count(NOT_ON_GPU) == 1
    assert end_to_end_markdown(one).count(NOT_ON_GPU) == 2
    assert "1 seed on cpu; no comparison is drawn" in end_to_end_markdown(one)


def test_several_seeds_through_the_backbone_are_compared():
    three = {("released", "lora"): [0.6, 0.5, 0.7], ("released", "tensorguide"): [0.7, 0.5, 0.6]}
    text = end_to_end_markdown(full(record(three)))
    assert "3 seeds on cpu" in text
    assert "60.0 % [50.0 %, 70.0 %]" in text
    assert "3 seeds cannot decide between lora and tensorguide" in text


def test_runs_on_prompts_have_the_same_table_with_columns_of_their_own():
    rows = [
        {"task": "prompt", "variant": v, "params": 3, "seed": s, "accuracy_adam": a + s / 10}
        for v, a in (("lora r=2", 0.6), ("full", 0.7))
        for s in range(3 if v != "full" else 1)
    ]
    lora, full = training_table(Record("pair", {}, {}, rows))
    assert (lora["variant"], lora["seeds"], lora["reason"]) == ("lora r=2", 3, None)
    assert lora["accuracy_adam"] == pytest.approx(0.7)
    assert lora["accuracy_adam_low"] == pytest.approx(0.6)
    assert full["reason"] == "one seed has no interval"
    assert "in_regime" not in lora


def test_what_gpu_records_measured_stands_below_with_its_device():
    one = full(record({("released", "lora"): [0.6, 0.7], ("released", "tensorguide"): [0.7, 0.6]}))
    assert NOT_ON_GPU not in table_markdown(one, on_gpu=True)
    other = full(record({("released", "tensorguide M=2048"): [0.8]}))
    other.provenance["device"] = "cuda:0"
    text = on_gpu_markdown([one, other])
    assert "| tensorguide M=2048 |" in text
    assert "| cuda:0 |" in text
    assert "| cpu |" in text  # a trial in small is not taken for a GPU's
    assert text.count("2 seeds cannot decide between lora and tensorguide") == 1
