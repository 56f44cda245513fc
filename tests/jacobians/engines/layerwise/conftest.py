"""Explicit loops beside the layerwise engine: rows and kernels, in one block and in several."""

import pytest
import torch

from ntklab.jacobians.engines.layerwise import Layerwise
from ntklab.jacobians.engines.layerwise.plan import plan_of
from ntklab.jacobians.functional import Functional
from ntklab.jacobians.inputs import count_samples, take


def _explicit_rows(model, x, names):
    """J (N, C, P) by one `autograd.grad` an output on the live parameters."""
    params = dict(model.named_parameters())
    leaves, rows = [params[name] for name in names], []
    for n in range(count_samples(x)):
        part = take(x, n, n + 1)
        out = model(**part) if isinstance(part, dict) else model(part)
        for value in getattr(out, "logits", out).reshape(-1):
            grads = torch.autograd.grad(
                value, leaves, retain_graph=True, allow_unused=True, materialize_grads=True
            )
            rows.append(torch.cat([grad.reshape(-1) for grad in grads]))
    return torch.stack(rows).detach().unflatten(0, (count_samples(x), -1))


def _explicit_kernels(one, two):
    outputs = one.shape[1]
    return {
        "full": one.flatten(0, 1) @ two.flatten(0, 1).T,
        "trace": torch.einsum("ncp,mcp->nm", one, two) / outputs,
        "pseudo": torch.einsum("ncp,mdp->nm", one, two) / outputs,
        "diagonal": torch.einsum("ncp,mcp->cnm", one, two),
    }


def _assert_equal(model, x, names=None, rules=None):
    model = model.double().eval()
    functional = Functional(model, x, names)
    engine, plan = Layerwise(functional), plan_of(functional, x)
    if rules is not None:
        assert {type(unit.rule).__name__ for unit in plan.units} == set(rules)
    wanted = _explicit_rows(model, x, functional.names)
    found = engine.rows(x)
    assert float((found - wanted).abs().max()) <= 1e-9 * float(wanted.abs().max())
    ones, few = wanted[:2], take(x, 0, 2)
    # All at once, symmetric; and with little more than what two blocks of one sample need.
    least = 2 * (2 * plan.kept_bytes(wanted.shape[1]) + plan.graph_bytes)
    for second, truth, memory in ((x, wanted, 1 << 30), (few, ones, least), (x, wanted, least)):
        for output, kernel in _explicit_kernels(wanted, truth).items():
            if memory == least and second is x and output != "full":
                continue
            given = engine.kernel(x, second, output, torch.float64, memory + 8 * kernel.numel())
            assert float((given - kernel).abs().max()) <= 1e-9 * float(kernel.abs().max())
    layers = engine.layer_kernels(x, "full", torch.float64, 1 << 30)
    full = _explicit_kernels(wanted, wanted)["full"]
    assert float((sum(layers.values()) - full).abs().max()) <= 1e-9 * float(full.abs().max())
    for module in model.modules():  # the model is left without hooks and with its parameters
        assert not module._forward_hooks
        for parameter in module._parameters.values():
            assert parameter is None or isinstance(parameter, torch.nn.Parameter)
    return plan


@pytest.fixture
def assert_layerwise():
    """Equal to explicit loops to 1e-9: rows, all kernels, by blocks of one sample, by layer."""
    return _assert_equal
