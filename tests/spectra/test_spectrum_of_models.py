"""The protocol is what ntklab's own Jacobian offers: spectra of a small network by every route."""

import pytest
import torch

from ntklab.jacobians import jacobian
from ntklab.spectra import DenseJacobian, JacobianLike, enclose, spectral_density, spectrum, top_k


@pytest.fixture(params=[4, 60], ids=["wide", "tall"])
def network(request):
    model = torch.nn.Sequential(
        torch.nn.Linear(5, 7), torch.nn.Tanh(), torch.nn.Linear(7, 3)
    ).double()
    return jacobian(model, torch.randn(request.param, 5, dtype=torch.float64))


@pytest.mark.parametrize("centred", [False, True])
def test_routes_agree_on_a_network(network, centred):
    assert isinstance(network, JacobianLike)
    held = spectrum(DenseJacobian(network.dense(), 3), centred=centred)
    for route in ("auto", "svd", "gram", "dual"):
        computed = spectrum(network, route=route, centred=centred, vectors=route == "dual")
        assert (computed.rank, computed.size, computed.parameters) == (held.rank, held.size, 66)
        # 66 parameters, of which the softmax-visible contrasts miss 7 + 1: the output's own mean.
        assert computed.rank == min(computed.size, 58 if centred else 66)
        torch.testing.assert_close(computed.eigenvalues, held.eigenvalues, rtol=1e-8, atol=1e-10)


def test_iterative_tools_and_enclosure_take_the_network(network):
    dense = spectrum(network)
    torch.testing.assert_close(top_k(network, 2), dense.eigenvalues[:2])
    density = spectral_density(network, probes=30, steps=10)
    estimate, error = density.mean_of(lambda v: v)
    assert abs(estimate - dense.mean) < 4 * error
    enclosure = enclose(network)
    assert enclosure.lower <= dense.lambda_min <= enclosure.upper
