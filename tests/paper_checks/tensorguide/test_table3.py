import pytest
import torch

from ntklab.claims import Effort, Verdict
from ntklab.records import Record
from paper_checks.tensorguide.table3 import CHECK, bottlenecks, collect, least_loss, shapes

SMALL = {width: bottlenecks(width, range(2)) for width in (1, 4)}


@pytest.fixture(scope="module")
def plans():
    return shapes()


@pytest.fixture
def judged(plans):
    def judge(guides, loras, seeds=4, **changed):
        """Perplexities of TensorGuides and of LoRAs with more parameters."""
        rows = [
            {
                **{"task": "wikitext", "method": method, "variant": f"{method} {i}"},
                **{"head": "add", "seed": seed, "purpose": "measure", "reason": None},
                **{"params": params + i, "baseline_perplexity": 24.0, "lr": 1e-3},
                **{"test_loss": 3.0, "valid_perplexity": 20.0},
                "test_perplexity": value + 0.01 * (seed % 3) * (1 + i + (method == "lora")),
            }
            for method, params, values in (("tensorguide", 300, guides), ("lora", 51025, loras))
            for i, value in enumerate(values)
            for seed in range(seeds)
        ]
        record = Record("train", {}, {"device": "cpu"}, rows)
        return CHECK.judge(collect(record, [one | changed for one in plans], SMALL))

    return judge


def test_perplexities_decide(judged):
    assert judged([20.0, 20.5], [22.0]).verdict is Verdict.OK
    assert judged([23.0, 23.5], [22.0]).verdict is Verdict.FALSE
    found = judged([20.0, 23.0], [22.0])
    assert found.verdict is Verdict.REGIME
    assert found.mended
    assert judged([22.0], [22.0]).verdict is Verdict.DATA


def test_one_seed_decides_nothing(judged):
    assert judged([20.0], [22.0], seeds=1).verdict is Verdict.DATA


def test_a_wrong_count_or_shape_is_found_out(judged):
    assert judged([20.0], [22.0], lora_params=1).verdict is Verdict.FALSE
    assert judged([20.0], [22.0], fits=False).verdict is Verdict.FALSE


def test_without_a_record_it_says_so():
    measured = CHECK.measure(Effort())
    found = CHECK.judge(measured)
    assert found.verdict is Verdict.DATA
    assert "not there yet" in found.because
    assert measured.values["lora_params"] == 51025


def test_in_place_of_the_projection_the_rank_is_lost_and_with_it_perplexity():
    assert SMALL[1]["rank_replaced"] <= 1
    assert SMALL[4]["rank_replaced"] <= 4 < SMALL[4]["rank_added"]
    assert SMALL[4]["start_added"] == pytest.approx(1, abs=1e-9)
    assert SMALL[1]["replaced"] > SMALL[4]["replaced"] > 1.05


def test_a_map_of_full_rank_loses_nothing():
    g = torch.Generator().manual_seed(1)
    features, weight = (
        torch.randn(*s, generator=g, dtype=torch.float64) for s in ((40, 5), (9, 5))
    )
    likely = (features @ weight.T).softmax(1)
    entropy = float(-(likely * likely.log()).sum(1).mean())
    assert least_loss(features, weight, likely, 5) == pytest.approx(entropy, rel=1e-9)
    assert least_loss(features, weight, likely, 2) > entropy + 1e-3
