import math

import numpy as np
import pytest
import tensorly
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ntklab.errors import InputError
from ntklab.tensor_train.decomposition import (
    orthogonalize,
    reconstruct,
    tt_round,
    tt_svd,
    unfolding_spectra,
    unfolding_tails,
)

torch.set_num_threads(1)
modest = settings(max_examples=25, deadline=None)
mode_lists = st.lists(st.integers(1, 6), min_size=1, max_size=4)
seeds = st.integers(0, 2**31 - 1)


def gaussian(shape, seed):
    return torch.randn(
        tuple(shape), dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
    )


def random_train(modes, rank, seed, latent=False):
    ranks = [1, *([rank] * (len(modes) - 1)), 1]
    inner = [(2, m) if latent else (m,) for m in modes]
    return [
        gaussian((ranks[k], *inner[k], ranks[k + 1]), seed + k) / rank for k in range(len(modes))
    ]


def decaying(modes, seed):
    """A tensor whose unfoldings have spread-out spectra: truncation is not all or nothing."""
    grids = torch.meshgrid(*[torch.arange(m, dtype=torch.float64) for m in modes], indexing="ij")
    return gaussian(modes, seed) * torch.exp(-sum(grids) / 2)


@modest
@given(
    modes=st.lists(st.integers(1, 6), min_size=2, max_size=4), rank=st.integers(1, 5), seed=seeds
)
def test_errors_equal_tensorly(modes, rank, seed):
    tensor = decaying(modes, seed)
    ours = tt_svd(tensor, ranks=rank)
    theirs = tensorly.decomposition.tensor_train(tensor.numpy(), [1, *[rank] * (len(modes) - 1), 1])
    their_error = np.linalg.norm(tensorly.tt_to_tensor(theirs) - tensor.numpy())
    our_error = float((reconstruct(ours.cores) - tensor).norm())
    assert our_error == pytest.approx(their_error, abs=1e-10)
    assert ours.error == pytest.approx(our_error, abs=1e-10)
    assert [core.shape[1] for core in ours.cores] == modes


@modest
@given(modes=st.lists(st.integers(2, 6), min_size=2, max_size=4), seed=seeds)
def test_two_sided_bound_with_random_ranks(modes, seed):
    rng = np.random.default_rng(seed)
    ranks = [1, *(int(r) for r in rng.integers(1, 5, len(modes) - 1)), 1]
    tensor = decaying(modes, seed)
    tails = unfolding_tails(tensor, ranks)
    squared = tt_svd(tensor, ranks=ranks).error ** 2
    slack = 1e-12 * float(tensor.norm()) ** 2
    assert max(tails) - slack <= squared <= sum(tails) + slack


def test_tails_against_the_definition():
    tensor = decaying((3, 4, 5), 0)
    tails = unfolding_tails(tensor, (1, 2, 3, 1))
    for k, (rows, rank) in enumerate([(3, 2), (12, 3)]):
        values = np.linalg.svd(tensor.numpy().reshape(rows, -1), compute_uv=False)
        assert tails[k] == pytest.approx(np.sum(values[rank:] ** 2), rel=1e-12)


@modest
@given(modes=mode_lists, seed=seeds, tolerance=st.floats(0, 1))
def test_tolerance_is_kept_and_lossless_without_one(modes, seed, tolerance):
    tensor = decaying(modes, seed)
    norm = float(tensor.norm())
    kept = tt_svd(tensor, tolerance=tolerance)
    assert float((reconstruct(kept.cores) - tensor).norm()) <= tolerance * norm + 1e-12 * norm
    lossless = tt_svd(tensor)
    assert torch.allclose(reconstruct(lossless.cores), tensor, atol=1e-12 * norm, rtol=0)


def test_ranks_cap_a_tolerance():
    tensor = gaussian((4, 5, 6), 1)
    assert max(tt_svd(tensor, ranks=2, tolerance=1e-9).ranks) == 2


@modest
@given(modes=st.lists(st.integers(4, 6), min_size=3, max_size=4), seed=seeds)
def test_exact_rank_is_recovered(modes, seed):
    tensor = reconstruct(random_train(modes, 2, seed))
    found = tt_svd(tensor)
    assert found.ranks == (1, *[2] * (len(modes) - 1), 1)
    assert found.error <= 1e-12 * float(tensor.norm())


def test_tt_svd_cores_are_left_orthogonal():
    cores = tt_svd(gaussian((4, 5, 6), 2), ranks=3).cores
    for core in cores[:-1]:
        matrix = core.reshape(-1, core.shape[-1])
        assert torch.allclose(matrix.T @ matrix, torch.eye(matrix.shape[1]).double(), atol=1e-13)


@modest
@given(modes=mode_lists, rank=st.integers(1, 4), seed=seeds, latent=st.booleans(), data=st.data())
def test_orthogonalize(modes, rank, seed, latent, data):
    cores = random_train(modes, rank, seed, latent)
    centre = data.draw(st.integers(0, len(modes) - 1))
    result = orthogonalize(cores, centre)
    assert torch.allclose(reconstruct(result), reconstruct(cores), atol=1e-12)
    for k, core in enumerate(result):
        assert core.shape[1:-1] == cores[k].shape[1:-1]
        if k == centre:
            assert float(core.norm()) == pytest.approx(float(reconstruct(cores).norm()), rel=1e-12)
            continue
        flat = core.reshape(-1, core.shape[-1]) if k < centre else core.reshape(len(core), -1).T
        assert torch.allclose(flat.T @ flat, torch.eye(flat.shape[1]).double(), atol=1e-12)


@modest
@given(modes=mode_lists, rank=st.integers(1, 4), seed=seeds, latent=st.booleans())
def test_rounding_equals_tt_svd_and_is_idempotent(modes, rank, seed, latent):
    cores = random_train(modes, 4, seed, latent)
    dense = reconstruct(cores)
    pairs = [(2 * m if latent else m) for m in modes]
    rounded = tt_round(cores, ranks=rank)
    again = tt_round(rounded.cores, ranks=rank)
    direct = tt_svd(dense.reshape(pairs), ranks=rank)
    assert float((reconstruct(rounded.cores) - dense).norm()) == pytest.approx(
        direct.error, abs=1e-10
    )
    assert rounded.ranks == direct.ranks == again.ranks
    assert torch.allclose(reconstruct(again.cores), reconstruct(rounded.cores), atol=1e-12)
    assert again.error <= 1e-12 * max(1.0, float(dense.norm()))


def test_rounding_finds_the_ranks_of_a_doubled_train():
    cores = random_train((4, 5, 4), 2, 3)
    doubled = [
        torch.cat([cores[0], cores[0]], dim=2),
        torch.zeros(4, 5, 4, dtype=torch.float64),
        torch.cat([cores[2], cores[2]], dim=0),
    ]
    doubled[1][:2, :, :2] = cores[1]
    doubled[1][2:, :, 2:] = cores[1]
    rounded = tt_round(doubled)
    assert rounded.ranks == (1, 2, 2, 1)
    assert torch.allclose(reconstruct(rounded.cores), 2 * reconstruct(cores), atol=1e-12)


def test_rounding_keeps_its_tolerance():
    cores = random_train((5, 6, 5), 5, 4)
    dense = reconstruct(cores)
    rounded = tt_round(cores, tolerance=0.3)
    assert float((reconstruct(rounded.cores) - dense).norm()) <= 0.3 * float(dense.norm())
    assert sum(core.numel() for core in rounded.cores) < sum(core.numel() for core in cores)


@modest
@given(modes=st.lists(st.integers(1, 5), min_size=2, max_size=4), seed=seeds)
def test_unfolding_spectra_against_dense_svd(modes, seed):
    cores = random_train(modes, 3, seed)
    dense = reconstruct(cores)
    for k, values in enumerate(unfolding_spectra(cores), start=1):
        slow = torch.linalg.svdvals(dense.reshape(math.prod(modes[:k]), -1))
        assert torch.allclose(values[: len(slow)], slow[: len(values)], atol=1e-12)
        assert float(slow[len(values) :].norm()) <= 1e-12


def test_zero_tensor_and_single_mode():
    zero = tt_svd(torch.zeros(3, 4, 5))
    assert zero.ranks == (1, 1, 1, 1)
    assert zero.error == 0
    vector = torch.arange(4.0)
    assert torch.equal(reconstruct(tt_svd(vector, ranks=1).cores), vector)


def test_float32_stays_float32():
    train = tt_svd(torch.randn(4, 5, 6), ranks=2)
    assert {core.dtype for core in train.cores} == {torch.float32}


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: tt_svd(torch.tensor(1.0)), "at least one mode"),
        (lambda: tt_svd(torch.zeros(2, 0)), "one entry"),
        (lambda: tt_svd(torch.ones(2, 2, dtype=torch.long)), "int64"),
        (lambda: tt_svd(torch.ones(2, 2), ranks=(1, 2, 2, 1)), "2 modes"),
        (lambda: tt_svd(torch.ones(2, 2), ranks=(2, 2, 1)), "begin and end with 1"),
        (lambda: tt_svd(torch.ones(2, 2), ranks=0), "at least 1"),
        (lambda: tt_svd(torch.ones(2, 2), tolerance=-0.1), "-0.1"),
        (lambda: tt_svd(torch.ones(2, 2), tolerance=float("nan")), "nan"),
        (lambda: unfolding_tails(torch.ones(2, 2), (1, 1)), "3 ranks"),
        (lambda: reconstruct([torch.ones(1, 2, 3), torch.ones(2, 2, 1)]), "do not form a train"),
        (lambda: reconstruct([]), "do not form a train"),
        (lambda: tt_round([torch.ones(2, 2, 1)]), "both ends must be 1"),
        (lambda: orthogonalize([torch.ones(1, 2, 1)], 1), "centre 1"),
    ],
)
def test_errors_name_the_value(call, words):
    with pytest.raises(InputError, match=words):
        call()
