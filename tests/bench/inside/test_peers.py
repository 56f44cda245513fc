"""Other ways to the kernels inside models: each on a tiny model, beside our own kernel."""

import subprocess
import sys
from types import ModuleType

import pytest
import torch
from torch import nn

from ntklab import ntk
from ntklab.bench.inside.models import _said
from ntklab.bench.inside.peers import NARROWED, ReadOut, absent, model_peers, peer_run
from ntklab.jacobians.readout import TokenLogits


@pytest.fixture
def network():
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))
    model[0].bias.requires_grad_(False)
    return model, torch.randn(11, 4)


class OnlyLogits(nn.Module):
    """A language model that returns logits for every token."""

    def __init__(self):
        super().__init__()
        self.table, self.head = nn.Embedding(9, 5), nn.Linear(5, 9)

    def forward(self, input_ids, use_cache=None):
        return self.head(torch.tanh(self.table(input_ids)))


class LanguageModel(OnlyLogits):
    """One that says which layer its logits come from."""

    def get_output_embeddings(self):
        return self.head


class Computer:
    """TRAK's `FunctionalGradientComputer`, as its version 0.3.2 computes gradients a sample."""

    def __init__(self, model, task, grad_dim, dtype, device, grad_wrt=None):
        self.model, self.modelout_fn = model, task
        self.func_weights = dict(model.named_parameters())
        self.func_buffers = dict(model.named_buffers())

    def compute_per_sample_grad(self, batch):
        grad = torch.func.grad(self.modelout_fn.get_output, argnums=1)
        places = (None, None, None, *([0] * len(batch)))
        mapped = torch.func.vmap(grad, in_dims=places, randomness="different")
        return mapped(self.model, self.func_weights, self.func_buffers, *batch)


@pytest.fixture
def trak(monkeypatch):
    computers, outputs = (
        ModuleType("trak.gradient_computers"),
        ModuleType("trak.modelout_functions"),
    )
    computers.FunctionalGradientComputer, outputs.AbstractModelOutput = Computer, object
    for module in (ModuleType("trak"), computers, outputs):
        monkeypatch.setitem(sys.modules, module.__name__, module)


@pytest.mark.parametrize("name", ["tutorial", "TRAK"])
def test_a_peer_gives_our_kernel(network, trak, name):
    model, x = network
    found = peer_run(name, model, x, None)()
    torch.testing.assert_close(found.double(), ntk(model, x, engine="loop"), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["tutorial", NARROWED, "TRAK"])
def test_a_peer_reads_the_tokens_of_a_language_model(trak, name):
    model, x = OnlyLogits(), {"input_ids": torch.randint(9, (5, 3))}
    found = peer_run(name, model, x, TokenLogits((2, 7)))()
    wanted = ntk(model, x, readout=TokenLogits((2, 7)), engine="loop")
    torch.testing.assert_close(found.double(), wanted, rtol=1e-4, atol=1e-5)


def test_a_readout_and_its_model_are_one_module(network):
    model, x = network
    torch.testing.assert_close(ReadOut(model, None)(x), model(x))


@pytest.mark.parametrize("narrowed", [False, True])
def test_only_our_readout_narrows_the_last_projection(narrowed):
    model, ids = LanguageModel(), torch.randint(9, (5, 3))
    seen = []
    model.head.register_forward_hook(lambda layer, args, output: seen.append(tuple(output.shape)))
    outputs = ReadOut(model, TokenLogits((2, 7)), narrowed=narrowed)(ids)
    torch.testing.assert_close(outputs, model(ids)[:, -1, [2, 7]])
    assert seen[0] == ((5, 1, 9) if narrowed else (5, 3, 9))


def test_peers_say_what_they_need(monkeypatch):
    monkeypatch.setattr("ntklab.bench.peers.find_spec", lambda name: None)
    assert {name: absent(name) for name in model_peers()} == {
        "tutorial": None,
        NARROWED: None,
        "TRAK": "trak is not installed",
        "nngeometry": "nngeometry is not installed",
    }


def test_beyond_its_limit_a_process_gets_no_memory():
    code = (
        "import torch; from ntklab.bench.inside.peers import limit_memory\n"
        "limit_memory(64 << 20)\n"
        "torch.ones(1 << 22); print('small')\n"
        "torch.ones(1 << 28); print('large')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if sys.platform.startswith("linux"):
        assert done.stdout == "small\n"
        last = done.stderr.strip().splitlines()[-1]
        assert _said(last, "64MiB") == "takes more than 64MiB: 1.0 GiB were asked for at once"


def test_other_failures_are_said_as_they_are():
    assert _said("TypeError: a layer", "1GiB") == "within 1GiB: TypeError: a layer"
    assert _said("TypeError: a layer", None) == "memory: TypeError: a layer"
