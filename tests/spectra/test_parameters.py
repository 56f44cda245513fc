"""Spectra of the columns of every parameter tensor, against eigenvalues of their own kernels."""

import pytest
import torch

from ntklab.jacobians import jacobian
from ntklab.spectra import centre_kernel, parameter_spectra


@pytest.mark.parametrize("centred", [False, True])
def test_each_spectrum_is_that_of_its_columns(centred):
    g = torch.Generator().manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, generator=g)
    J = jacobian(model.double(), torch.randn(5, 3, generator=g, dtype=torch.float64))
    whole = J.gram()
    whole = centre_kernel(whole, 2) if centred else whole
    parts = parameter_spectra(J, float(whole.trace()), centred=centred)
    assert [count for count, _ in parts.values()] == [p.numel() for p in model.parameters()]
    assert sum(part.trace for _, part in parts.values()) == pytest.approx(float(whole.trace()))
    rows, start = J.dense(torch.float64), 0
    for count, part in parts.values():
        block = rows[:, start : start + count]
        kernel = block @ block.T
        kernel = centre_kernel(kernel, 2) if centred else kernel
        start += count
        assert part.lambda_max == pytest.approx(float(torch.linalg.eigvalsh(kernel)[-1]), rel=1e-10)
