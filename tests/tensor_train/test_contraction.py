"""Contraction and its derivative beside plain loops, einsum, autograd and tensorly."""

from itertools import product
from math import prod

import numpy as np
import pytest
import tensorly
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ntklab.errors import InputError
from ntklab.tensor_train.contraction import contract, shape_of, tangent_map
from ntklab.tensor_train.shape import TTShape

seeds = st.integers(0, 2**31 - 1)


@st.composite
def problems(draw, latent=True, max_length=4):
    """Cores and a latent of any shape: several entangled in-modes, or none."""
    length = draw(st.integers(1, max_length))
    ins = tuple(draw(st.integers(1, 3)) if latent else 1 for _ in range(length))
    outs = tuple(draw(st.integers(1, 4)) for _ in range(length))
    ranks = (1, *(draw(st.integers(1, 3)) for _ in range(length - 1)), 1)
    shape = TTShape(ins, outs, ranks)
    generator = torch.Generator().manual_seed(draw(seeds))
    cores = [
        torch.randn(*size, dtype=torch.float64, generator=generator) for size in shape.core_shapes
    ]
    return shape, cores, torch.randn(shape.in_size, dtype=torch.float64, generator=generator)


def by_loops(shape, cores, latent):
    """eq 3, entry by entry: a product of matrices for every (n, m), summed over n."""
    z = latent.reshape(shape.in_dims)
    weights = torch.zeros(shape.out_dims, dtype=torch.float64)
    for m in product(*map(range, shape.out_dims)):
        for n in product(*map(range, shape.in_dims)):
            matrix = torch.eye(1, dtype=torch.float64)
            for k, core in enumerate(cores):
                matrix = matrix @ core[:, n[k], m[k], :]
            weights[m] += z[n] * matrix[0, 0]
    return weights.reshape(-1)


@settings(max_examples=30, deadline=None)
@given(problems(max_length=3))
def test_contraction_equals_loops(problem):
    torch.testing.assert_close(contract(*problem[1:]), by_loops(*problem), rtol=1e-12, atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(problems())
def test_contraction_equals_one_einsum_without_a_path(problem):
    shape, cores, latent = problem
    bonds, ins, outs = "abcde", "fghi", "lmno"
    count = shape.length
    terms = [bonds[k] + ins[k] + outs[k] + bonds[k + 1] for k in range(count)]
    wanted = np.einsum(
        f"{ins[:count]},{','.join(terms)}->{outs[:count]}",
        latent.reshape(shape.in_dims).numpy(),
        *[core.numpy() for core in cores],
        optimize=False,
    )
    found = contract(cores, latent).numpy()
    np.testing.assert_allclose(found, wanted.reshape(-1), rtol=1e-11, atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(problems(latent=False))
def test_plain_trains_equal_tensorly(problem):
    shape, cores, _ = problem
    wanted = tensorly.tt_to_tensor([core.squeeze(1).numpy() for core in cores])
    found = contract(cores, torch.ones(1, dtype=torch.float64)).reshape(shape.out_dims)
    np.testing.assert_allclose(
        found.numpy(), wanted.reshape(shape.out_dims), rtol=1e-12, atol=1e-12
    )


@settings(max_examples=20, deadline=None)
@given(problems())
def test_the_tangent_map_is_the_jacobian(problem):
    shape, cores, latent = problem

    def weights(*parts):
        return contract(list(parts), latent)

    blocks = torch.autograd.functional.jacobian(weights, tuple(cores))
    wanted = torch.cat([block.reshape(shape.out_size, -1) for block in blocks], dim=1)
    found = tangent_map(cores, latent)
    assert found.shape == (shape.out_size, shape.parameters)
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(problems())
def test_weights_are_linear_in_every_core_and_in_the_latent(problem):
    _, cores, latent = problem
    weights, tangent = contract(cores, latent), tangent_map(cores, latent)
    start = 0
    for core in cores:
        block = tangent[:, start : start + core.numel()]
        torch.testing.assert_close(block @ core.reshape(-1), weights, rtol=1e-10, atol=1e-10)
        start += core.numel()
    torch.testing.assert_close(contract(cores, 3 * latent), 3 * weights, rtol=1e-12, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(problems(), st.data())
def test_the_tangent_map_of_some_neighbours(problem, data):
    """Open bonds and latent modes are indices of what the cores generate: front, back, back."""
    shape, cores, latent = problem
    start = data.draw(st.integers(0, shape.length - 1))
    stop = data.draw(st.integers(start + 1, shape.length))
    leaves = [core.clone().requires_grad_() for core in cores[start:stop]]
    modes, beyond = prod(shape.in_dims[start:stop]), prod(shape.in_dims[stop:])
    part = latent.new_ones(modes * beyond) * torch.arange(1, modes * beyond + 1)
    whole = part.reshape(1, 1, -1).expand(shape.ranks[start], -1, -1)
    whole = torch.eye(shape.ranks[start], dtype=part.dtype)[:, :, None] * whole
    for core in leaves:  # row by row: (front and modes so far, bond, latent modes left)
        open_modes = whole.unflatten(2, (core.shape[1], -1))
        whole = torch.einsum("lanv,anmb->lmbv", open_modes, core).flatten(0, 1)
    entries = whole.reshape(-1)
    wanted = torch.stack(
        [
            torch.cat([g.reshape(-1) for g in torch.autograd.grad(e, leaves, retain_graph=True)])
            for e in entries
        ]
    )
    found = tangent_map(cores[start:stop], part)
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)


def test_contraction_composes_with_torch_func():
    shape = TTShape((2, 1), (3, 4), (1, 2, 1))
    cores = tuple(torch.randn(*size, dtype=torch.float64) for size in shape.core_shapes)
    latents = torch.randn(5, 2, dtype=torch.float64)
    batched = torch.func.vmap(lambda z: contract(cores, z))(latents)
    torch.testing.assert_close(batched, torch.stack([contract(cores, z) for z in latents]))
    assert torch.autograd.gradcheck(
        lambda *parts: contract(parts, latents[0]), [c.clone().requires_grad_() for c in cores]
    )


def test_the_dtype_is_kept():
    for dtype in (torch.float32, torch.float64, torch.complex128):
        cores = [torch.ones(1, 2, 3, 1, dtype=dtype)]
        latent = torch.ones(2, dtype=dtype)
        assert contract(cores, latent).dtype == tangent_map(cores, latent).dtype == dtype


@given(problems())
def test_the_shape_is_read_off_the_cores(problem):
    shape, cores, _ = problem
    assert shape_of(cores) == shape


def test_cores_of_another_form_are_refused():
    with pytest.raises(InputError, match=r"cores must have shape \(r, n, m, r'\)"):
        shape_of([torch.ones(1, 3, 1)])
