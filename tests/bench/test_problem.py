"""A problem is its data: drawn again it is the same, in every dtype and process."""

import json

import pytest
import torch

from ntklab.adapters import METHODS
from ntklab.bench.contender import written_out
from ntklab.bench.contenders import REFERENCE, all_contenders, ours, stated_bytes, tutorial
from ntklab.bench.peak import tiny_problem
from ntklab.bench.problem import MLP, Problem

HEADS = [Problem(method, 6, 16, 2) for method in METHODS]
HEADS.append(Problem(MLP, 6, 16, 2, {"width": 8}))


def name_of(problem):
    return problem.method


@pytest.mark.parametrize("problem", HEADS, ids=name_of)
def test_the_weights_are_the_same_whatever_the_dtype(problem):
    single, double = (problem.model(dtype) for dtype in (torch.float32, torch.float64))
    for one, other in zip(single.parameters(), double.parameters(), strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-6, atol=1e-7)
    x = problem.features(torch.float64)
    torch.testing.assert_close(x.float(), problem.features(torch.float32))
    assert x.shape == (6, 16)
    assert not single.training


@pytest.mark.parametrize("problem", HEADS, ids=name_of)
def test_a_problem_is_json_data(problem):
    again = Problem(**json.loads(json.dumps(problem.to_dict())))
    assert again.to_dict() == problem.to_dict()
    assert torch.equal(again.features(), problem.features())


@pytest.mark.parametrize("problem", HEADS, ids=name_of)
def test_written_out_is_the_same_function_of_the_same_parameters(problem):
    model, x = problem.model(torch.float64), problem.features(torch.float64)
    other = written_out(model)
    torch.testing.assert_close(other(x), model(x), rtol=1e-12, atol=1e-12)
    assert [p.data_ptr() for p in other.parameters()] == [p.data_ptr() for p in model.parameters()]


@pytest.mark.parametrize("problem", HEADS, ids=name_of)
def test_a_tiny_problem_is_of_the_same_kind_and_small(problem):
    tiny = tiny_problem(problem.with_samples(1000))
    assert tiny.method == problem.method
    assert tiny.samples > tiny.in_features
    assert sum(p.numel() for p in tiny.model().parameters()) < 10_000


def test_contenders_have_names_of_their_own_and_the_reference_is_among_them():
    names = [one.name for one in (*ours(), *tutorial())]
    assert len(set(names)) == len(names)
    assert list(all_contenders()) == names
    assert REFERENCE in names
    assert {one.growth for one in tutorial()} == {1, 2}  # rows, and pairs of samples


def test_only_adapters_are_for_the_structured_engine():
    takes = {one.name: one.takes for one in ours()}
    network = HEADS[-1].model()
    assert not takes["structured"](network)
    assert not takes["structured-f64"](network)
    assert takes["structured"](HEADS[0].model())
    assert takes["loop"](network)


@pytest.mark.parametrize("method", ["lora", "tensorguide"])
def test_an_engine_states_the_bytes_of_its_kernel_and_features(method):
    problem = Problem(method, 6, 16, 2)
    model, x = problem.model(), problem.features()
    single, double = (stated_bytes(name, model, x) for name in ("structured", "structured-f64"))
    assert single["features_bytes"] == 6 * 16 * 4
    assert single["kernel_bytes"] == (6 * 2) ** 2 * 4
    assert double["kernel_bytes"] == 2 * single["kernel_bytes"]
    assert stated_bytes(REFERENCE, model, x) == {}
