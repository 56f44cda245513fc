from dataclasses import replace

import torch

from ntklab.claims import Effort, Verdict
from ntklab.tensor_train import TTShape, tt_svd
from paper_checks.tt_lora.compression import CHECK, _boundary, _holding_ranks, row_of, summary


def test_smaller_but_not_for_every_update():
    measured = summary([row_of("small", 64, 64, 2, range(1))])
    finding = CHECK.judge(measured)
    assert finding.verdict is Verdict.REGIME
    assert measured.values["least_lost"] > 0.1


def test_at_full_ranks_a_train_compresses_nothing():
    assert CHECK.judge(summary([row_of("tiny", 4, 4, 4, (), length=4)])).verdict is Verdict.FALSE


def test_one_core_a_side_is_lora_and_a_smaller_train_that_holds_all_stands():
    measured = summary([row_of("two cores", 16, 16, 2, (), length=2)])
    assert measured.values["least_ratio"] == measured.values["least_holding_ratio"] == 1
    better = replace(
        measured,
        values={**measured.values, "smaller": 1, "least_ratio": 2.0, "least_holding_ratio": 1.5},
    )
    assert CHECK.judge(better).verdict is Verdict.OK


def test_holding_ranks_are_those_of_a_random_update():
    modes, d, rank = (4, 4, 2, 4), 16, 3
    ranks = _holding_ranks(modes, d, rank)
    generator = torch.Generator().manual_seed(0)
    update = torch.randn(16, rank, generator=generator, dtype=torch.float64) @ torch.randn(
        rank, 8, generator=generator, dtype=torch.float64
    )
    assert tt_svd(update.reshape(modes), ranks=ranks).error < 1e-12
    found = [int(torch.linalg.matrix_rank(update.reshape(rows, -1))) for rows in (4, 16, 32)]
    assert list(ranks[1:-1]) == found


def test_the_boundary_is_where_the_count_turns():
    modes, boundary = (4, 4, 4, 4), _boundary(16, 16, (4, 4, 4, 4))
    assert boundary is not None

    def train(rank):
        return TTShape.plain(modes, (1, min(rank, 4), rank, min(rank, 4), 1)).parameters

    assert train(boundary) >= 32 * boundary
    assert boundary == 1 or train(boundary - 1) < 32 * (boundary - 1)


def test_quick_form_names_all_layers():
    measured = CHECK.measure(Effort())
    assert len(set(measured.column("layer"))) == 4
