from dataclasses import replace

import pytest
import torch

from ntklab.claims import Verdict
from ntklab.jacobians import ntk
from paper_checks.tensorguide.algorithm1 import (
    CHECK,
    data_of,
    differences,
    head_of,
    kernels,
    runs,
    summary,
)

SIZES = (4, 2, 16)


@pytest.fixture(scope="module")
def measured():
    data = data_of(0, SIZES[0], SIZES[1], 64)
    rows = [
        {"seed": seed, **kernels(seed, SIZES, 4, 4), **runs(seed, data, 2, SIZES[2], 20)}
        for seed in range(2)
    ]
    return summary(rows, differences(SIZES))


def planted(measured, differing=None, **columns):
    rows = [{**row, **columns} for row in measured.rows]
    return summary(rows, differences(SIZES) | (differing or {}))


def test_text_and_code_differ_in_four_places(measured):
    assert measured.values["differences"] == 4
    assert measured.values["latents"] == "redrawn / fixed"


def test_a_fresh_latent_that_costs_accuracy_mends_the_loop(measured):
    finding = CHECK.judge(planted(measured, fixed=0.9, fixed_fresh=0.6, redrawn=0.8, chance=0.5))
    assert finding.verdict is Verdict.MEND
    assert "0.90" in finding.because
    assert "0.60" in finding.because


def test_where_the_latent_does_not_matter_the_loop_stands(measured):
    same = {"differences": 0}
    world = planted(measured, same, fixed=0.9, fixed_fresh=0.9, redrawn=0.9, chance=0.5)
    assert CHECK.judge(world).verdict is Verdict.OK


def test_a_loop_that_learns_nothing_is_found_out(measured):
    world = planted(measured, redrawn=0.5, chance=0.5)
    assert CHECK.judge(world).verdict is Verdict.FALSE


def test_kernels_over_draws_as_by_hand():
    found = kernels(0, SIZES, draws=3, samples=4)
    assert found["trace_spread"] > 1
    assert -1 < found["cosine"] < 1
    head = head_of(0, SIZES)
    before = head.latent.clone()
    x = torch.randn(4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    traces = []
    for _ in range(3):
        head.resample_latent()
        traces.append(float(ntk(head, x).reshape(8, 8).trace()))
    assert max(traces) > min(traces)  # another kernel for every z
    assert not head.latent.equal(before)


def test_more_seeds_narrow_the_interval(measured):
    few = planted(measured)
    many = replace(few, rows=[*few.rows] * 10)
    again = summary(many.rows, differences(SIZES))
    assert again.values["loss_high"] - again.values["loss_low"] <= (
        few.values["loss_high"] - few.values["loss_low"]
    )
