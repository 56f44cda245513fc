from dataclasses import replace

import torch

from ntklab.adapters import LoRA, TTDelta
from ntklab.claims import Effort, Verdict
from paper_checks.tt_lora.published_counts import CHECK, CLAIMED, MODELS, row_of, summary, train_of


def world(**changes):
    """The claimed model alone, changed."""
    rank = changes.pop("rank", 5)
    return summary([row_of(CLAIMED, replace(MODELS[CLAIMED], **changes), rank)])


def test_the_published_share_comes_out():
    measured = CHECK.measure(Effort())
    assert CHECK.judge(measured).verdict is Verdict.OK
    assert (measured.values["train"], measured.values["lora"]) == (33_920, 1_703_936)


def test_another_rank_has_another_share():
    assert CHECK.judge(world()).verdict is Verdict.OK
    assert CHECK.judge(world(rank=8)).verdict is Verdict.FALSE


def test_modes_that_do_not_hold_the_layer_are_found_out():
    found = CHECK.judge(world(query=(2048, 2048, (16, 8, 4, 4, 4, 4, 8, 8))))
    assert found.verdict is Verdict.FALSE
    assert "0 of 1 models" in found.because


def test_counts_are_those_of_the_librarys_layers():
    train = TTDelta(12, 8, shape=train_of((3, 4, 4, 2), 2), dtype=torch.float64)
    assert train.parameter_count == train_of((3, 4, 4, 2), 2).parameters
    assert LoRA(12, 8, 3).parameter_count == 3 * (12 + 8)
