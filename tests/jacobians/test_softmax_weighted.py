"""The softmax-weighted Jacobian beside its definition, sample by sample in float64."""

import importlib

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ntklab.adapters import build_adapter
from ntklab.errors import InputError
from ntklab.jacobians import jacobian
from ntklab.jacobians.softmax_weighted import SoftmaxWeightedJacobian, softmax_weighted_gram
from ntklab.spectra import spectrum, top_k

METHODS = {
    "tensorguide": {"width": 4},
    "tt-lora": {"rank": 4},
    "lora": {"rank": 2},
    "tt-delta": {"rank": 2},
    "tera": {"rank": 2},
    "linear-probe": {},
}


def head_at(method, d, outputs, seed, **options):
    generator = torch.Generator().manual_seed(seed)
    base = torch.nn.Linear(d, outputs, dtype=torch.float64)
    torch.nn.init.normal_(base.weight, generator=generator)
    torch.nn.init.normal_(base.bias, generator=generator)
    return build_adapter(
        method, d, outputs, base=base, generator=generator, dtype=torch.float64, **options
    )


def by_definition(head, x, p):
    """Σ_n J_nᵀ (diag p − ppᵀ) J_n from one autograd call an output."""
    J = jacobian(head, x, engine="loop").dense().reshape(*p.shape, -1)
    return sum(j.T @ (torch.diag(q) - q.outer(q)) @ j for j, q in zip(J, p, strict=True))


def problem(method, d, outputs, samples, seed, sharpness=1.0, **options):
    head = head_at(method, d, outputs, seed, **options)
    x = torch.randn(samples, d, generator=torch.Generator().manual_seed(seed)).double()
    return head, x, torch.softmax(sharpness * head(x).detach(), 1)


@pytest.mark.parametrize("engine", ["structured", "jacrev", "vjp-jvp"])
@pytest.mark.parametrize("method", METHODS)
def test_dual_gram_is_the_definition(method, engine):
    head, x, p = problem(method, 6, 10, 5, seed=1, **METHODS[method])
    weighted = SoftmaxWeightedJacobian(jacobian(head, x, engine=engine), p)
    torch.testing.assert_close(
        weighted.dual_gram(), by_definition(head, x, p), rtol=1e-9, atol=1e-9
    )


@given(
    st.sampled_from(["identity", "relu", "tanh"]),
    st.sampled_from([2, 4]),
    st.integers(1, 6),
    st.integers(0, 5),
    st.floats(0.1, 20.0),
)
def test_through_the_weights_for_every_activation(activation, width, samples, seed, sharpness):
    head, x, p = problem(
        "tensorguide", 6, 10, samples, seed, sharpness, width=width, activation=activation
    )
    gram = softmax_weighted_gram(head, x, p)
    J = jacobian(head, x, engine="loop").dense()
    # A confident softmax leaves little of diag p − ppᵀ: rounding is that of its larger part.
    size = float((p.flatten()[:, None] * J.square()).sum())
    torch.testing.assert_close(gram, by_definition(head, x, p), rtol=0, atol=1e-13 * size)


@pytest.mark.parametrize("block", [1, 300, 5000])
def test_blocks_change_nothing(block, monkeypatch):
    head, x, p = problem("tt-delta", 6, 10, 7, seed=3, rank=2)
    whole = softmax_weighted_gram(head, x, p)
    module = importlib.import_module("ntklab.jacobians.softmax_weighted")
    monkeypatch.setattr(module, "_BLOCK", block)
    torch.testing.assert_close(softmax_weighted_gram(head, x, p), whole)


def test_rows_products_and_both_grams_agree():
    head, x, p = problem("tensorguide", 6, 5, 4, seed=2, width=4)
    weighted = SoftmaxWeightedJacobian(jacobian(head, x), p)
    dense = weighted.dense()
    v, u = torch.randn(weighted.shape[1], 3).double(), torch.randn(weighted.shape[0]).double()
    torch.testing.assert_close(weighted @ v, dense @ v)
    torch.testing.assert_close(weighted @ v[:, 0], dense @ v[:, 0])
    torch.testing.assert_close(weighted.T @ u, dense.T @ u)
    torch.testing.assert_close(weighted.rows(1, 3).flatten(0, 1), dense[5:15])
    torch.testing.assert_close(weighted.gram(), dense @ dense.T)
    torch.testing.assert_close(weighted.dual_gram(), dense.T @ dense)


def test_what_the_outputs_share_is_gone():
    head, x, p = problem("tensorguide", 6, 5, 4, seed=2, width=4)
    weighted = SoftmaxWeightedJacobian(jacobian(head, x), p)
    ones = p.sqrt().reshape(-1)  # √p spans the null space of H's square root from the left
    per_sample = (ones[:, None] * weighted.dense()).reshape(4, 5, -1).sum(1)
    torch.testing.assert_close(per_sample, torch.zeros_like(per_sample), rtol=0, atol=1e-12)


def test_uniform_probabilities_are_the_centred_kernel_over_the_outputs():
    head, x, _ = problem("lora", 6, 5, 4, seed=4, rank=2)
    J = jacobian(head, x)
    weighted = spectrum(SoftmaxWeightedJacobian(J, torch.full((4, 5), 0.2).double()))
    centred = spectrum(J, centred=True, route="gram")
    torch.testing.assert_close(weighted.eigenvalues[:16], centred.eigenvalues / 5)


def test_every_route_of_the_spectrum_takes_it():
    head, x, p = problem("tensorguide", 6, 9, 8, seed=5, width=4)
    weighted = SoftmaxWeightedJacobian(jacobian(head, x), p)
    results = [spectrum(weighted, route=route) for route in ("svd", "gram", "dual")]
    assert {result.rank for result in results} == {results[0].rank}
    rank = results[0].rank
    for result in results[1:]:
        torch.testing.assert_close(
            result.eigenvalues[:rank], results[0].eigenvalues[:rank], rtol=1e-6, atol=1e-14
        )


def test_many_parameters_and_outputs_go_matrix_free():
    head, x, p = problem("lora", 12, 400, 6, seed=6, rank=3)
    # One sample's rows (400 × 1236 float64) are more than is allowed: products need none.
    J = jacobian(head, x, engine="vjp-jvp", memory="1MiB")
    top = top_k(SoftmaxWeightedJacobian(J, p), 3)
    wanted = torch.linalg.eigvalsh(by_definition(head, x, p)).flip(0)[:3]
    torch.testing.assert_close(top, wanted, rtol=1e-6, atol=0)


def test_a_matrix_beyond_the_memory_is_refused():
    head, x, p = problem("lora", 12, 40, 6, seed=6, rank=3)
    weighted = SoftmaxWeightedJacobian(jacobian(head, x, memory="100KiB"), p)
    with pytest.raises(InputError, match="vjp-jvp"):
        weighted.dual_gram()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda p: p[:-1], "one row a sample"),
        (lambda p: 2 * p, "sum to 1"),
        (lambda p: torch.cat([p[:, :1] - 1, p[:, 1:-1], p[:, -1:] + 1], 1), "at least 0"),
        (lambda p: p * torch.nan, "sum to 1"),
    ],
)
def test_what_is_no_softmax_is_refused(change, said):
    head, x, p = problem("lora", 6, 5, 4, seed=0, rank=2)
    with pytest.raises(InputError, match=said):
        SoftmaxWeightedJacobian(jacobian(head, x), change(p))
