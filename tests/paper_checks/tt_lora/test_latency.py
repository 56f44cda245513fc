import time

import pytest
import torch

from ntklab.claims import Verdict
from paper_checks.tt_lora.latency import CHECK, passes, row_of, summary


def planted(**seconds):
    """Passes that sleep, so that which one is faster is known; multiply-adds as they are."""

    def of(d, C, tokens):
        def sleeping(name, run):
            def slow():
                time.sleep(seconds[name])
                return run()

            return slow

        return {name: sleeping(name, run) for name, run in passes(d, C, tokens).items()}

    return of


def world(*cases):
    return summary([row_of(8, 8, 2, 3, planted(**case)) for case in cases])


SLOW = {"lora": 0.001, "formed": 0.03, "cores": 0.03, "merged_lora": 0.001, "merged": 0.001}
FAST = {**SLOW, "lora": 0.03, "cores": 0.001}


def test_slower_everywhere_is_found_out():
    assert CHECK.judge(world(SLOW)).verdict is Verdict.FALSE


def test_faster_everywhere_stands():
    assert CHECK.judge(world(FAST)).verdict is Verdict.OK


def test_faster_here_and_slower_there_is_a_regime():
    assert CHECK.judge(world(FAST, SLOW)).verdict is Verdict.REGIME


@pytest.mark.parametrize("sizes", [(8, 8, 3), (12, 30, 1)])
def test_passes_of_one_method_agree(sizes):
    runs = {name: run() for name, run in passes(*sizes).items()}
    for name, other in (("formed", "cores"), ("formed", "merged"), ("lora", "merged_lora")):
        assert torch.allclose(runs[name], runs[other], atol=1e-4)


def test_lora_and_merged_counts_as_by_hand():
    row = row_of(16, 8, 4, 1)
    assert row["lora_macs"] == 16 * 8 + 8 * (16 + 8)  # frozen weight, then rank 8
    assert row["merged_macs"] == row["merged_lora_macs"] == 16 * 8
