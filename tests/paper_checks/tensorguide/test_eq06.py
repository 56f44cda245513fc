import torch

from ntklab.claims import Effort, Measured, Verdict
from paper_checks.tensorguide.eq06 import CHECK, NORMS, broken_by_two_networks, slack, triples_of


def world(norms):
    triples = triples_of(0)
    rows = [{"norm": name, **slack(distance, triples)} for name, distance in norms.items()]
    values = {"triples": len(triples), "two_networks": 0, "two_networks_of": 1}
    return Measured({**values, "squared_violations": 0}, rows)


def test_holds_in_every_norm():
    finding = CHECK.judge(CHECK.measure(Effort()))
    assert finding.verdict is Verdict.OK
    assert "squared" in finding.because
    assert "narrow" in finding.because


def test_what_is_no_norm_breaks_it():
    def root(f, g):
        return float((f - g).square().mean()) ** 2

    assert CHECK.judge(world(NORMS)).verdict is Verdict.OK
    finding = CHECK.judge(world({"fourth power": root}))
    assert finding.verdict is Verdict.FALSE
    assert "fourth power" in finding.because


def test_slack_is_counted_as_by_hand():
    h, f, g = torch.zeros(1), torch.ones(1), torch.full((1,), 3.0)
    row = slack(NORMS["largest"], [(h, f, g), (f, h, g)])
    assert row["least_slack"] == 0.0  # 3 ≤ 1 + 2
    assert row["mean_slack"] == 0.25  # 2 ≤ 1 + 3


def test_nothing_is_said_of_what_did_not_happen():
    because = CHECK.judge(world(NORMS)).because
    assert "squared" not in because
    assert "narrow" not in because


def test_a_wide_and_a_narrow_network_break_it():
    assert broken_by_two_networks(0)
