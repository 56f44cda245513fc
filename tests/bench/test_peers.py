"""Peers are optional: absent ones are named with a reason, present ones agree with us."""

import sys

import pytest
import torch

from ntklab.adapters import build_adapter
from ntklab.bench import KernelCase, Problem, Settings
from ntklab.bench.kernels import kernel_rows
from ntklab.bench.peers import layers_of, peers, why_absent
from ntklab.jacobians import ntk

HEADS = [Problem("lora", 9, 6, 3), Problem("mlp", 9, 6, 3, {"width": 4})]


@pytest.mark.parametrize("module", list(peers()))
@pytest.mark.parametrize("problem", HEADS, ids=lambda p: p.method)
def test_an_installed_peer_gives_our_kernel(module, problem):
    if (reason := why_absent(module)) is not None:
        pytest.skip(reason)
    model, x = problem.model(), problem.features()
    kernel = peers()[module].prepare(model, x)()
    truth = ntk(model, x, engine="loop")
    torch.testing.assert_close(kernel.double(), truth, rtol=1e-4, atol=1e-4 * truth.abs().max())


def test_absent_peers_are_rows_with_a_reason(monkeypatch):
    monkeypatch.setitem(sys.modules, "nngeometry", None)
    monkeypatch.setattr("ntklab.bench.peers.find_spec", lambda name: None)
    problem = Problem("lora", 3, 4, 2)
    settings = Settings(repeats=1, threads=1, peak=False, peers=True)
    rows = kernel_rows(KernelCase("tiny", problem, problem), settings)
    absent = {row["contender"]: row for row in rows if row["seconds"] is None}
    assert set(absent) == {"neural-tangents", "nngeometry", "curvlinops", "TRAK"}
    assert absent["nngeometry"]["reason"] == "nngeometry is not installed"


def test_lora_as_two_layers_is_the_same_function():
    head = build_adapter("lora", 5, 3, rank=2, preset="released").double()
    head.base = None
    layers, scale = layers_of(head)
    x = torch.randn(4, 5, dtype=torch.float64)
    torch.testing.assert_close(scale * layers(x), head(x))


def test_nothing_imports_a_peer_unasked():
    import subprocess

    code = "import sys, ntklab.bench; print([m for m in sys.modules if m in sys.argv[1:]])"
    names = [*peers(), "jax"]
    done = subprocess.run(
        [sys.executable, "-c", code, *names], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
