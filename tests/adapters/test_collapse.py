"""The width written out as two C × C matrices, against the heads themselves."""

import pytest
import torch

from ntklab.adapters import build_adapter
from ntklab.adapters.collapse import match_width, transplant, width_matrices
from ntklab.errors import InputError
from ntklab.tensor_train import contract


def head(width, activation="relu", seed=0, d=14, C=2, dims=(4, 8, 2), last=4):
    """[vec W1; vec W2] of d + C = 16 rows by a train of rank 1 at its last bond."""
    return build_adapter(
        *("tensorguide", d, C),
        width=width,
        in_dims=(1, 1, 1, 1),
        out_dims=(*dims, last),
        tt_ranks=(1, 2, 2, 1, 1),
        activation=activation,
        generator=torch.Generator().manual_seed(seed),
        dtype=torch.float64,
    )


@pytest.mark.parametrize("activation", ["identity", "relu"])
@pytest.mark.parametrize("seed", range(3))
def test_the_two_matrices_give_the_head(activation, seed):
    one = head(16, activation, seed)
    assert one.collapsed
    outer = contract(list(one.cores)[:-1], one.latent)
    d, C, inner = 14, 2, 4
    U, V = outer[: d * inner].reshape(d, inner), outer[d * inner :].reshape(inner, C)
    plus, minus = width_matrices(one.cores[-1].flatten(), C)
    phi = torch.randn(6, d, dtype=torch.float64)
    sigma = one.activation.function
    written = one.scale * (sigma(phi @ U) @ V @ plus + sigma(-phi @ U) @ V @ minus)
    torch.testing.assert_close(written, one(phi), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("activation", ["identity", "relu"])
@pytest.mark.parametrize("widths", [(64, 128), (128, 64)])
def test_another_width_takes_over_the_function(activation, widths):
    first, second = (head(M, activation, seed=M, last=M // 4) for M in widths)
    phi = torch.randn(20, 14, dtype=torch.float64)
    wanted = first(phi).detach()
    assert (second(phi) - wanted).norm() > 0.1 * wanted.norm()
    assert transplant(first, second) < 1e-11
    torch.testing.assert_close(second(phi).detach(), wanted, rtol=1e-8, atol=1e-9)


def test_a_core_too_short_is_told_by_its_error():
    generator = torch.Generator().manual_seed(3)
    wanted = width_matrices(torch.randn(12, generator=generator, dtype=torch.float64), 2)
    assert match_width(wanted, 12, linear=False)[1] < 1e-11
    assert match_width(wanted, 2, linear=False, starts=3)[1] > 1e-3


def test_other_families_are_refused():
    with pytest.raises(InputError, match="not one collapsed family"):
        transplant(head(16), head(16, dims=(8, 4, 2)))
    with pytest.raises(InputError, match="not one collapsed family"):
        transplant(head(16, "gelu"), head(16, "gelu"))
    with pytest.raises(InputError, match="zero"):
        match_width((torch.zeros(2, 2), torch.zeros(2, 2)), 4, linear=True)
