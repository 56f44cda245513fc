"""Kernels at the start against one autograd call a sentence."""

import copy

import pytest
import torch

from ntklab.experiments.training.prompt import kernels as module
from ntklab.experiments.training.prompt.cell import prompt_task
from ntklab.experiments.training.prompt.config import PEFT_PANEL
from ntklab.experiments.training.prompt.kernels import (
    difference,
    kernels_at_start,
    start_outputs,
    train_kernel,
)
from ntklab.experiments.training.prompt.methods import build_model
from ntklab.jacobians import whole_float64
from ntklab.tasks.prompt.rows import PromptRows, RowModel


def case(config):
    task = prompt_task(config)
    prompts = PromptRows([task.train, task.valid, task.test])
    return build_model(config, task.model), prompts, len(task.train)


def rows_by_loop(model, prompts, count=None):
    """∇f of every sentence by itself, without padding."""
    trained = [p for p in model.parameters() if p.requires_grad]
    dtype = trained[0].dtype
    rows = []
    for number in range(count or len(prompts)):
        f = difference(model(**prompts.inputs([number], dtype)))[0, 0]
        parts = torch.autograd.grad(f, trained)
        rows.append(torch.cat([part.reshape(-1) for part in parts]))
    return torch.stack(rows).double()


@pytest.mark.parametrize("architecture", ["gpt2", "llama", "bert"])
@pytest.mark.parametrize("most", [1_000_000, 0])
@pytest.mark.parametrize("method", ["lora", "full", "linear-probe", "peft:ia3"])
def test_kernels_are_those_of_single_sentences(config, architecture, method, most, monkeypatch):
    if method.startswith("peft"):
        pytest.importorskip("peft")
    monkeypatch.setattr(module, "MOST_PARAMETERS", most)
    model, prompts, shots = case(config(architecture, method=method, dtype="float64"))
    made, rows = kernels_at_start(model, prompts, shots), rows_by_loop(model, prompts)
    options = {"rtol": 1e-9, "atol": 1e-12 * float(rows.square().sum(1).max())}
    with whole_float64():  # norms, and angles of positions, would else be rounded to float32
        exact = rows_by_loop(copy.deepcopy(model).double(), prompts)[:shots]
    torch.testing.assert_close(made.train, exact @ exact.T, **options)
    torch.testing.assert_close(made.cross, rows[shots:] @ rows[:shots].T, **options)
    assert made.params == rows.shape[1]
    assert (made.sign is None) == (most == 0)


@pytest.mark.parametrize("name", sorted({*PEFT_PANEL} - {"ia3"}))
def test_every_method_of_the_panel_has_a_kernel_in_float64(config, name):
    """From a float32 model, as the panel has it; a method whose kernel fails would end the run."""
    pytest.importorskip("peft")
    small = {"rank": 2} if name == "shira" else {}  # the default's 4 is too much for 8 columns
    model, prompts, _ = case(config(method=f"peft:{name}", **small))
    made, _ = train_kernel(model, prompts, 3)
    with whole_float64():
        rows = rows_by_loop(copy.deepcopy(model).double(), prompts, 3)
    torch.testing.assert_close(made, rows @ rows.T, rtol=1e-9, atol=1e-12 * float(made.trace()))


def test_the_sign_kernel(config):
    model, prompts, shots = case(config(method="lora", start="ntk", dtype="float64"))
    made, rows = kernels_at_start(model, prompts, shots), rows_by_loop(model, prompts)
    torch.testing.assert_close(made.sign, rows @ rows[:shots].sign().T, rtol=1e-9, atol=1e-9)


def test_outputs_stand_in_the_order_of_the_numbers(config):
    one = config(dtype="float64")
    model, prompts, _ = case(one)
    task = prompt_task(one)
    wanted = torch.cat([task.outputs(part) for part in (task.train, task.valid, task.test)])
    torch.testing.assert_close(start_outputs(model, prompts), difference(wanted))
    numbers = torch.tensor([7, 0, 12, 3])
    rows = RowModel(model, prompts, group=2)(numbers)
    torch.testing.assert_close(rows, wanted[numbers], rtol=1e-10, atol=1e-10)
