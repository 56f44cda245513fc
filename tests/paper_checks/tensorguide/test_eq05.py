import torch

from ntklab.claims import Measured, Verdict
from paper_checks.tensorguide.eq05 import CHECK, cross_entropy, head_gaps, slopes


def world(loss, gaps=((0.1, 0.2),)):
    rows = [slopes(classes, 2000, loss) for classes in (2, 5)]
    values = {
        "lipschitz": 2**0.5,
        "draws": 4000,
        "largest_slope": max(max(row["random"], row["extreme"]) for row in rows),
        "above_one": max(row["above_one"] for row in rows),
        "heads": len(gaps),
        "heads_hold": all(gap <= bound for gap, bound in gaps),
        "least_slack": min(bound / gap for gap, bound in gaps),
        "largest_slack": max(bound / gap for gap, bound in gaps),
    }
    return Measured(values, rows)


def squared(logits, labels):
    return (logits - torch.nn.functional.one_hot(labels, logits.shape[1])).square().sum(1)


def test_holds_for_cross_entropy_and_for_heads():
    finding = CHECK.judge(world(cross_entropy, head_gaps(0)))
    assert finding.verdict is Verdict.OK
    assert "cannot be lowered" in finding.because


def test_a_loss_without_a_lipschitz_constant_is_found_out():
    assert CHECK.judge(world(squared)).verdict is Verdict.FALSE


def test_a_gentler_loss_does_not_reach_the_constant():
    finding = CHECK.judge(world(lambda f, y: 0.5 * cross_entropy(f, y)))
    assert finding.verdict is Verdict.OK
    assert "cannot be lowered" not in finding.because


def test_a_head_beyond_the_bound_is_found_out():
    assert CHECK.judge(world(cross_entropy, [(0.5, 0.2)])).verdict is Verdict.FALSE


def test_extreme_pair_needs_no_luck():
    assert abs(slopes(3, 10, cross_entropy)["extreme"] - 2**0.5) < 1e-12
