import inspect

import pytest
import torch

from ntklab.errors import InputError
from ntklab.experiments.spectrum import SpectrumConfig, sampled_task
from ntklab.tasks import TASKS, DataSpec, load_data


def config_of(task, **options):
    return SpectrumConfig.of(method="lora", **{"task": task, "samples": 4} | options)


@pytest.mark.parametrize("task", TASKS)
def test_a_task_has_conditions_if_its_function_takes_one(task):
    spec = DataSpec(task)
    assert spec.has_conditions == ("condition" in inspect.signature(TASKS[task]).parameters)
    assert (spec.condition is None) == (not spec.has_conditions)


def test_what_a_task_has_no_use_for_is_refused():
    with pytest.raises(InputError, match="task 'synthetic' has no backbone weights"):
        sampled_task(config_of("synthetic", backbone_weights="x.safetensors"))
    with pytest.raises(InputError, match="task 'synthetic' has no images"):
        sampled_task(config_of("synthetic", images=30))


def test_the_backbone_of_a_language_task_is_its_model(monkeypatch):
    seen = {}
    task = sampled_task(config_of("synthetic"))

    def fake(*, model="gpt2", data_seed=0, dtype=None, device="cpu"):
        seen["model"] = model
        return task

    monkeypatch.setitem(TASKS, "wikitext", fake)
    sampled_task(config_of("wikitext", backbone="somewhere/model"))
    assert seen == {"model": "somewhere/model"}


def test_cells_share_one_task_in_memory():
    spec = config_of("synthetic", seed=1).data
    loaded = [load_data(spec, samples=4, dtype=torch.float64) for _ in range(2)]
    assert loaded[0] is loaded[1]


def test_dtype_and_data_seed_reach_the_task():
    config = config_of("synthetic", dtype="float32", data_seed=3)
    task = sampled_task(config)
    assert task.train.features.dtype == torch.float32
    assert not torch.equal(
        task.train.features, sampled_task(config_of("synthetic", dtype="float32")).train.features
    )
