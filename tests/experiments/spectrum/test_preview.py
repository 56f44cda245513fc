import pytest

from ntklab.adapters import METHODS
from ntklab.experiments.spectrum import SpectrumConfig, preview, previews, run_cell
from ntklab.experiments.spectrum.cell import adapter_for, jacobian_for, sampled_task
from ntklab.experiments.spectrum.planned import estimated_memory, feature_hashes


def config_of(method, **options):
    return SpectrumConfig.of(**{"method": method, "task": "synthetic", "samples": 12} | options)


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_the_preview_says_what_the_cell_will(method, centred):
    config = config_of(method, centred=centred)
    plan, row = preview(config), run_cell(config).row
    assert plan.parameters == row["params"]
    assert plan.outputs == row["outputs"]
    assert plan.rank_bound == row["rank_bound"]
    assert (plan.width, plan.effective_width) == (row["width"], row["effective_width"])
    assert plan.memory_bytes > 8 * row["params"] * row["outputs"]
    assert plan.seconds > 0


def test_the_estimate_stays_within_the_memory_allowed():
    config = config_of("tensorguide", samples=200, memory=4 << 20)
    task = sampled_task(config)
    J = jacobian_for(config, task, adapter_for(config, task))
    assert 8 * J.shape[0] * J.shape[1] < estimated_memory(J) <= 4 << 20


def test_one_preview_a_method_in_order():
    configs = [config_of(m, seed=s) for m in ("tera", "lora") for s in (0, 1)]
    assert [plan.adapter.method for plan in previews(configs)] == ["tera", "lora"]


def test_features_are_named_by_their_hash():
    same = [config_of("lora", task="quantum-dot", images=10, samples=4, seed=s) for s in (0, 1)]
    other = config_of("lora", task="quantum-dot", images=10, samples=4, data_condition="clean")
    hashes = feature_hashes([*same, other])
    assert list(hashes) == ["noisy", "clean"]
    assert len(set(hashes.values())) == 2
    assert feature_hashes([config_of("lora")]) == {"all": None}
