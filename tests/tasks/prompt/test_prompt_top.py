"""The trained upper part by itself gives what the whole model gives."""

import pytest
import torch

import ntklab
from ntklab.tasks.prompt import head_name, top_of
from ntklab.tasks.prompt.rows import PromptRows, RowModel


@pytest.mark.parametrize("first", [0, -2])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_outputs_are_those_of_the_whole_model(load, architecture, first, dtype):
    task = load(architecture, first=first, dtype=dtype)
    top = top_of(task.model)
    tolerance = 1e-10 if dtype == torch.float64 else 1e-5
    torch.testing.assert_close(
        top(**task.test.inputs), task.outputs(task.test), rtol=tolerance, atol=tolerance
    )
    assert not any(p.requires_grad for p in top.parameters())


class Mixing(torch.nn.Module):
    """An MLP that looks one place back."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, states):
        return self.inner(states + states.roll(1, dims=1))


@pytest.mark.parametrize("first", [0, -2])
def test_the_last_mlp_sees_one_place_where_that_changes_nothing(load, architecture, first):
    task = load(architecture, first=first, dtype=torch.float64)
    top = top_of(task.model)
    if architecture == "bert":  # its layer has no MLP of its own
        assert top.narrowed is None
        return
    shapes = []
    layer = top.model.get_submodule(top.narrowed)
    layer.register_forward_hook(lambda module, args, output: shapes.append(tuple(output.shape)))
    top(**task.test.inputs)
    assert shapes == [(len(task.test), 1, 8)]

    blocks = task.model.model.get_submodule(task.model.blocks_name)
    blocks[-1].mlp = Mixing(blocks[-1].mlp)
    mixed = top_of(task.model)
    assert mixed.narrowed is None
    torch.testing.assert_close(
        mixed(**task.test.inputs), task.outputs(task.test), rtol=1e-10, atol=1e-10
    )


def test_the_copy_shares_nothing_and_leaves_the_lower_part_out(load, architecture):
    task = load(architecture, first=-1)
    whole, top = task.model.model, top_of(task.model)
    before = {name: value.clone() for name, value in whole.state_dict().items()}
    with torch.no_grad():
        for parameter in top.parameters():
            parameter.add_(1.0)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, before[name]), name
    count = sum(p.numel() for p in top.parameters())
    assert count < 0.7 * sum(p.numel() for p in whole.parameters())
    assert top.model.get_submodule(head_name(top)).out_features == 2


def test_rows_of_the_upper_part_are_rows_of_the_whole_model(load, architecture):
    targets = {"gpt2": ["c_attn"], "llama": ["q_proj", "v_proj"], "bert": ["query", "value"]}
    task = load(architecture, first=-2, dtype=torch.float64)
    top = top_of(task.model)
    rows = []
    for model in (top, task.model):  # adapters are drawn from the layers' names, which are equal
        ntklab.inject(
            model.model, "lora", target_modules=targets[architecture], layers="-2:", rank=2
        )
        rows.append(ntklab.jacobian(model, task.train.inputs).dense())
    torch.testing.assert_close(*rows, rtol=1e-10, atol=1e-10)


def test_prompts_by_number(load, architecture):
    task = load(architecture, first=-2, dtype=torch.float64)
    prompts = PromptRows([task.train, task.test])
    wanted = torch.cat([task.outputs(task.train), task.outputs(task.test)])
    order = torch.randperm(len(prompts))
    model = RowModel(top_of(task.model), prompts, group=3)
    torch.testing.assert_close(model(order), wanted[order], rtol=1e-10, atol=1e-10)
    model.one = True
    torch.testing.assert_close(model(order)[:, 0], wanted[order, 1] - wanted[order, 0])
    assert not list(model.state_dict()) or all("prompts" not in n for n in model.state_dict())


def test_like_lengths_stand_together(load):
    prompts = PromptRows([load("llama").train])
    groups = prompts.groups(range(len(prompts)), 2)
    longest = [int(prompts.lengths[group].max()) for group in groups]
    assert longest == sorted(longest)
    assert sorted(k for group in groups for k in group) == list(range(len(prompts)))
