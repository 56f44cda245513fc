"""Tables and sentences against records made by hand, where the answer is known."""

import pytest

from ntklab.adapters import build_adapter
from ntklab.errors import InputError
from ntklab.records import Record
from ntklab.sweeps.pair import CONV1
from ntklab.sweeps.pair_config import PairConfig, pair_methods
from ntklab.sweeps.tables import comparisons, evidence, evidence_sentences, pair_table, verdict
from ntklab.sweeps.variants import RANKS, WIDTHS, table_variants


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
    cells = table_variants(5, PairConfig(method="tensorguide"), [])
    assert len(cells) == len(RANKS)
    for cell, (r1, r2, r3) in zip(cells, RANKS, strict=True):
        head = build_adapter(
            *("tensorguide", 512, 2),
            width=cell.width,
            tt_ranks=cell.tt_ranks,
            in_dims=cell.in_dims,
            out_dims=cell.out_dims,
        )
        assert head.parameter_count == 16 * r1 + 16 * r1 * r2 + 514 * r2 * r3 + 16 * r3


def test_table_variants_refuse_what_they_decide():
    assert [c.width for c in table_variants(2, PairConfig(method="lora"), [])] == list(WIDTHS)
    with pytest.raises(InputError, match="decided by table 2"):
        table_variants(2, PairConfig(method="tensorguide", width=64), [])
    with pytest.raises(InputError, match="table 3"):
        table_variants(3, PairConfig(method="lora"), [])
    methods = pair_methods(["all"])
    assert [c.method for c in table_variants(1, PairConfig(method="lora"), methods)] == methods


def test_no_difference_is_said_where_the_interval_holds_zero():
    even = record(
        {
            ("matched", "tensorguide M=1024"): [0.8, 0.7, 0.75, 0.8],
            ("matched", "tensorguide M=2048"): [0.7, 0.8, 0.8, 0.75],
        }
    )
    (sentence,) = evidence_sentences(even)
    assert sentence.startswith("matched: no difference seen between tensorguide M=2048 and")
    assert "at 4 seeds" in sentence
    assert "no difference seen for 1" in verdict(even)


def test_a_clear_loss_is_said_as_one():
    worse = record({("released", "lora"): [0.6] * 6, ("released", "tensorguide"): [0.7] * 6})
    assert "lora is less accurate than tensorguide by 10.0 points" in evidence_sentences(worse)[0]
    flipped = record({("released", "lora"): [0.7] * 6, ("released", "tensorguide"): [0.6] * 6})
    assert "more accurate than 0 of 1 others, less than 1" in verdict(flipped)


def test_fewest_parameters_is_computed():
    accuracies = {("matched", "lora"): [0.6] * 3, ("matched", "tensorguide"): [0.7] * 3}
    assert "fewest parameters: no" in verdict(record(accuracies, {"tensorguide": 9}))
    assert "fewest parameters: yes" in verdict(record(accuracies, {"lora": 9}))


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
    table = pair_table(both, ["test_accuracy"])
    assert [row["test_accuracy"] for row in table] == pytest.approx([0.85, 0.55, 0.15, 0.55])
    assert {row["in_regime"] for row in table} == {"0 of 2"}


def test_one_seed_decides_nothing():
    single = record({("matched", "lora"): [0.9], ("matched", "tensorguide"): [0.5]})
    assert "one seed decides nothing" in evidence(comparisons(single, "tensorguide")[0])
    assert pair_table(single)[0]["reason"] == "one seed has no interval"
