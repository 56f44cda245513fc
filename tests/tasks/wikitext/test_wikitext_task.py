import json

import pytest
import torch

from ntklab.errors import InputError
from ntklab.tasks import load_next_token, load_task

pytest.importorskip("transformers")


@pytest.fixture
def options(tiny_model, tiny_text):
    return {"model": tiny_model, "data": tiny_text, "context": 16, "cache": None}


def test_the_task_holds_states_and_next_tokens(options):
    task = load_task("wikitext", train_windows=5, test_windows=3, **options)
    assert task.train.features.shape == (75, 16)
    assert task.test.n_samples == 45
    assert task.train.features.dtype == torch.float64
    assert task.subset(9, seed=0).train.n_samples == 9
    json.dumps(task.source)


def test_the_frozen_projection_gives_the_baseline(options):
    found = load_next_token(train_windows=4, valid_windows=2, test_windows=2, **options)
    assert task_loss(found) == pytest.approx(found.baseline("test"), rel=1e-5)
    assert found.baseline("valid") == found.baseline("valid") != found.baseline("train")
    layer = found.projection()
    assert layer.weight.data_ptr() == found.weight.data_ptr()
    assert not layer.weight.requires_grad


def task_loss(found) -> float:
    logits = found.projection()(found.test.features)
    return torch.nn.functional.cross_entropy(logits, found.test.labels).exp().item()


def test_training_windows_follow_the_seed_and_test_windows_do_not(options):
    one, other = (
        load_next_token(train_windows=3, valid_windows=1, test_windows=2, data_seed=s, **options)
        for s in (0, 1)
    )
    assert not one.train.labels.equal(other.train.labels)
    assert one.test.labels.equal(other.test.labels)


def test_progress_counts_all_splits_together(options):
    seen = []
    load_next_token(
        train_windows=2,
        valid_windows=1,
        test_windows=1,
        progress=lambda done, total: seen.append((done, total)),
        **options,
    )
    assert seen[-1] == (64, 64)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_a_context_beyond_the_model_is_refused(options):
    with pytest.raises(InputError, match="longer than the 32 tokens"):
        load_task("wikitext", **(options | {"context": 64}))
