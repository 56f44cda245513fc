import pickle

import pytest
import torch
from torch import nn

from ntklab.distributed import Packed, Recipe, packed, with_state
from ntklab.errors import InputError


def linear(**sizes):
    return Recipe("torch.nn:Linear", {"in_features": 3, "out_features": 2, **sizes})


def test_a_recipe_travels_as_words_and_builds_the_same_numbers_elsewhere():
    layer = nn.Linear(3, 2)
    layer.bias.requires_grad_(False)
    recipe = with_state(linear(), layer.eval())
    sent = pickle.dumps(recipe)
    assert b"nn.modules" not in sent  # no module is pickled
    made = pickle.loads(sent).build()
    assert torch.equal(made.weight, layer.weight)
    assert not made.bias.requires_grad
    assert not made.training


def test_what_only_pickle_could_carry_is_refused():
    with pytest.raises(InputError, match="argument model is a Linear"):
        Recipe("a.module:function", {"model": nn.Linear(1, 1)})
    with pytest.raises(InputError, match=r"argument x\[1\] is a Tensor"):
        Recipe("a.module:function", {"x": [1, torch.ones(2)]})
    with pytest.raises(InputError, match="is no function's name"):
        Recipe("torch.nn.Linear")
    with pytest.raises(InputError, match="cannot hold a set"):
        _ = Recipe("a.module:function", {"x": {1, 2}}).fingerprint


def test_a_builder_that_is_not_here_is_a_sentence():
    with pytest.raises(InputError, match=r"'no\.such:model' is not here"):
        Recipe("no.such:model").build()
    with pytest.raises(InputError, match="is not here"):
        Recipe("torch.nn:NoSuchLayer").build()


def test_fingerprints_tell_recipes_apart_and_equal_ones_together():
    x = torch.randn(3)
    same = [Recipe("a:b", {"x": packed(x), "n": [1, {"k": 2}]}).fingerprint for _ in range(2)]
    others = [
        Recipe("a:c", {"x": packed(x), "n": [1, {"k": 2}]}),
        Recipe("a:b", {"x": packed(x + 1), "n": [1, {"k": 2}]}),
        Recipe("a:b", {"x": packed(x), "n": [1, {"k": 3}]}),
        Recipe("a:b", {"x": linear(), "n": [1, {"k": 2}]}),
        Recipe("a:b", {"x": linear(bias=False), "n": [1, {"k": 2}]}),
    ]
    assert same[0] == same[1]
    assert len({same[0], *(one.fingerprint for one in others)}) == 1 + len(others)


def test_a_process_builds_once():
    recipe = linear(bias=False)
    assert recipe.built() is pickle.loads(pickle.dumps(recipe)).built()
    assert recipe.build() is not recipe.built()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.int64, torch.bool])
def test_tensors_come_back_bit_for_bit(dtype):
    tensor = (10 * torch.randn(4, 3)).to(dtype).T  # not contiguous
    assert torch.equal(Packed.of(tensor).build(), tensor)
    assert Packed.of(tensor).build().dtype == dtype
