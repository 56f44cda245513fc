import pytest

from ntklab.adapters import LoRA, TensorGuide, build_adapter
from ntklab.bench import counted
from ntklab.claims import Effort, Measured, Verdict
from ntklab.tensor_train import TTShape
from paper_checks.tensorguide.table4 import (
    CHECK,
    row_of,
    summary,
    table_formula,
    ways,
)


def world(heads):
    return summary([row_of(name, head, 8) for name, head in heads.items()], heads, Effort())


def uniform_head(**how):
    """Two cores with modes of 4 and rank 1: the table's formula is exact, and D = 16 is small."""
    return TensorGuide(
        3, 1, 4, shape=TTShape.plain((4, 4), (1, 1, 1)), activation="identity", **how
    )


def test_a_wide_head_costs_more_than_its_parameters():
    heads = {
        "LoRA": LoRA(16, 2, 1),
        "TensorGuide": build_adapter("tensorguide", 16, 2, width=256, activation="identity"),
    }
    finding = CHECK.judge(world(heads))
    assert finding.verdict is Verdict.FALSE
    assert "Merged" in finding.because


def test_a_narrow_uniform_head_is_as_the_table_says():
    heads = {"LoRA": LoRA(3, 1, 1), "TensorGuide": uniform_head()}
    measured = world(heads)
    assert measured.values["least_ratio"] == measured.values["largest_ratio"] == 1
    assert CHECK.judge(measured).verdict is Verdict.OK


def test_unequal_modes_need_the_sum():
    shape = TTShape.plain((2, 8), (1, 1, 1))
    heads = {
        "LoRA": LoRA(3, 1, 1),
        "TensorGuide": TensorGuide(3, 1, 4, shape=shape, activation="identity"),
    }
    assert CHECK.judge(world(heads)).verdict is Verdict.MEND


def test_all_ways_agree():
    for way in (both := ways(uniform_head(), 8)):
        assert both[way]().sub(both["formed"]()).abs().max() < 1e-5


def test_multiply_adds_of_lora_are_its_parameters():
    head = LoRA(12, 3, 2)
    assert counted(ways(head, 5)["formed"]).multiply_adds == 5 * head.parameter_count
    assert table_formula(head) == head.parameter_count


def test_released_counts_are_those_of_the_paper():
    measured = CHECK.measure(Effort())
    assert measured.column("parameters") == [2056, 1764, 1140, 1156, 1220]
    assert measured.column("head_macs")[2] == 526_336


@pytest.mark.parametrize("excess", [11.0, 1e4])
def test_verdict_turns_where_the_order_does(excess):
    base = world({"LoRA": LoRA(3, 1, 1), "TensorGuide": uniform_head()})
    far = Measured({**base.values, "worst_excess": excess, "lora_excess": 1.0}, base.rows)
    assert CHECK.judge(far).verdict is Verdict.FALSE


def test_a_slower_clock_changes_no_word():
    base = world({"LoRA": LoRA(3, 1, 1), "TensorGuide": uniform_head()})
    slow = [
        row | {name: 1e3 * row[name] for name in row if name.endswith("_us")} for row in base.rows
    ]
    assert any(row["formed_us"] for row in slow)
    assert CHECK.judge(Measured(base.values, slow)) == CHECK.judge(base)
