"""Kernels of injected adapters against an explicit loop over samples, outputs and parameters."""

import pytest
import torch
from torch import nn

import ntklab
from ntklab.adapters import METHODS
from ntklab.adapters.inject import inject


class TwoWords(nn.Module):
    """Logits of two words at the last position."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids):
        return self.model(input_ids=input_ids).logits[:, -1, [3, 5]]


def explicit(model, ids):
    """∂f_c(x_n)/∂θ, one call of autograd each."""
    params = [p for p in model.parameters() if p.requires_grad]
    rows = []
    for sample in ids:
        for c in range(2):
            output = model(sample[None])[0, c]
            grads = torch.autograd.grad(output, params)
            rows.append(torch.cat([grad.flatten() for grad in grads]))
    return torch.stack(rows)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_kernels_equal_an_explicit_loop(build, architecture, targets, ids, method, sizes, scramble):
    model = inject(build(architecture), method, target_modules=targets, **sizes(method))
    scramble(model)
    model = TwoWords(model)
    rows = explicit(model, ids)
    for engine in ("auto", "loop"):
        found = ntklab.jacobian(model, {"input_ids": ids}, engine=engine).dense()
        torch.testing.assert_close(found, rows, rtol=1e-9, atol=1e-9 * float(rows.abs().max()))
    kernel = ntklab.ntk(model, {"input_ids": ids})
    expected = rows @ rows.T
    torch.testing.assert_close(kernel, expected, rtol=1e-9, atol=1e-9 * float(expected.max()))
