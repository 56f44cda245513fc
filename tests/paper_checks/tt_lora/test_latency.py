import pytest
import torch

from ntklab.bench import Counts
from ntklab.claims import Effort, Measured, Verdict
from paper_checks.tt_lora.latency import CHECK, passes, row_of, summary

PLAIN = Counts(100, 1000, 5)
MORE, LESS = Counts(200, 2000, 9), Counts(50, 900, 4)
FEWER_BYTES = Counts(200, 900, 9)
FEWER_MULTIPLY_ADDS = Counts(50, 2000, 9)


def world(*cases):
    """Layers whose passes count what is planted: of the formed train, and core by core."""

    def row(formed, cores):
        planted = {"formed": formed, "cores": cores}
        return row_of(8, 8, 2, 1, lambda name, run: planted.get(name, PLAIN))

    return summary([row(*case) for case in cases])


@pytest.mark.parametrize(
    ("cases", "verdict"),
    [
        ([(MORE, LESS)], Verdict.OK),
        ([(MORE, LESS), (MORE, LESS)], Verdict.OK),
        ([(MORE, MORE)], Verdict.FALSE),
        ([(MORE, FEWER_BYTES)], Verdict.FALSE),
        ([(MORE, FEWER_MULTIPLY_ADDS)], Verdict.REGIME),
        ([(MORE, LESS), (MORE, MORE)], Verdict.REGIME),
    ],
)
def test_counts_decide(cases, verdict):
    assert CHECK.judge(world(*cases)).verdict is verdict


def test_no_time_enters_a_verdict_or_its_reason():
    measured = CHECK.measure(Effort())
    times = ("lora_us", "formed_time", "cores_time", "merged_time")
    other = [row | {name: 1e3 * row[name] for name in times} for row in measured.rows]
    assert CHECK.judge(Measured(measured.values, other)) == CHECK.judge(measured)
    assert not any(name in measured.values for name in times)
    assert CHECK.judge(measured).verdict is Verdict.FALSE


@pytest.mark.parametrize("sizes", [(8, 8, 3), (12, 30, 1)])
def test_passes_of_one_method_agree(sizes):
    runs = {name: run() for name, run in passes(*sizes).items()}
    for name, other in (("formed", "cores"), ("formed", "merged"), ("lora", "merged_lora")):
        assert torch.allclose(runs[name], runs[other], atol=1e-4)


def test_lora_and_merged_counts_as_by_hand():
    row = row_of(16, 8, 4, 1)
    assert row["lora_multiply_adds"] == 4 * (16 * 8 + 8 * (16 + 8))  # frozen weight, then rank 8
    assert row["merged_multiply_adds"] == row["merged_lora_multiply_adds"] == 4 * 16 * 8
    assert row["merged_bytes"] == 4 * (4 * 16 + 16 * 8 + 4 * 8)
    assert row["merged_operations"] == 1
