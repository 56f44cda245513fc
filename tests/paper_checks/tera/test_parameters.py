import torch

from ntklab.adapters import TeRA
from ntklab.claims import Effort, Verdict
from paper_checks.tera.parameters import CHECK, row_of, summary

CUT = ("cut", (4, 4, 4), (4, 4, 4))  # 24 against 65
WIDE = ("wide", (64, 2), (2, 2))  # 70 against 5


def verdict(*cases):
    return CHECK.judge(summary([row_of(*case) for case in cases])).verdict


def test_small_modes_train_no_more_and_large_ones_do():
    assert verdict(CUT) is Verdict.OK
    assert verdict(WIDE) is Verdict.FALSE
    assert verdict(CUT, WIDE) is Verdict.REGIME


def test_an_uncut_layer_is_no_case_of_the_claim():
    assert verdict(("uncut", (64,), (64,))) is Verdict.FALSE
    assert verdict(CUT, ("uncut", (64,), (64,))) is Verdict.OK


def test_counts_are_those_of_the_librarys_adapter():
    adapter = TeRA(16, 12, dims=(4, 4, 3, 4), ranks=(4, 4, 3, 4), dtype=torch.float64)
    row = row_of("small", (4, 4), (3, 4))
    assert row["tera"] == adapter.parameter_count
    assert row["frozen"] == sum(one.numel() for one in adapter.buffers())


def test_real_layers_stand():
    measured = CHECK.measure(Effort())
    assert CHECK.judge(measured).verdict is Verdict.OK
    assert measured.values["cut"] == 6
