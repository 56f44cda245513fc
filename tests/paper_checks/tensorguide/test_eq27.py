import pytest
import torch

from ntklab.claims import Effort, Verdict
from paper_checks.tensorguide.eq27 import CHECK, C, D, collect, trial


@pytest.fixture(scope="module")
def measured():
    return CHECK.measure(Effort())


def test_the_nonlinearity_and_the_number_of_samples_decide(measured):
    found = CHECK.judge(measured)
    assert found.verdict is Verdict.REGIME
    assert measured.values["rank_lora"] == measured.values["rank_identity"] == C * D
    assert measured.values["rank_relu"] > C * D
    assert measured.values["identity_many_rank_wins"] == 0
    CHECK.draw(measured).savefig("/dev/null", format="svg")


def test_features_of_low_rank_leave_only_relu():
    """With rank Φ = 4 the linear heads are singular at every N: ReLU alone is ever larger."""
    generator = torch.Generator().manual_seed(5)
    left, right = (
        torch.randn(*s, generator=generator, dtype=torch.float64) for s in ((12, 4), (4, D))
    )
    rows = collect(trial(0, 12, features=left @ right)).values
    assert rows["identity_few_wins"] == 0
    assert rows["relu_few_wins"] == rows["relu_few_pairs"] == 1


def test_without_the_nonlinearity_it_is_false():
    """Two worlds that are linear: the second head is given the first one's numbers."""
    rows = trial(0, 36)
    linear = next(row for row in rows if row["method"].endswith("identity"))
    rows = [
        linear | {"method": row["method"]} if row["method"].endswith("relu") else row
        for row in rows
    ]
    assert CHECK.judge(collect(rows)).verdict is Verdict.FALSE


def test_winning_everywhere_is_as_claimed():
    rows = [
        row | {"over_mean": 0.0 if row["method"] == "LoRA" else 0.5}
        for N in (12, 36)
        for row in trial(0, N)
    ]
    found = CHECK.judge(collect(rows))
    assert found.verdict is Verdict.OK
