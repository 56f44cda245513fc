"""Everything derived from eigenvalues respects multiplicity and invents no numbers."""

import json
import math

import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ntklab.errors import InputError
from ntklab.spectra import Spectrum

VALUES = st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=6)


@settings(max_examples=40, deadline=None)
@given(VALUES, st.data())
def test_multiplicity_is_the_same_as_writing_eigenvalues_out(values, data):
    counts = data.draw(st.lists(st.integers(1, 9), min_size=len(values), max_size=len(values)))
    extra = data.draw(st.integers(0, 3))
    distinct, repeats = torch.tensor(values, dtype=torch.float64), torch.tensor(counts)
    size = int(repeats.sum()) + extra
    tolerance = 1e-9
    short = Spectrum.from_values(
        distinct, multiplicity=repeats, size=size, rank_tolerance=tolerance
    ).summary()
    long = Spectrum.from_values(
        distinct.repeat_interleave(repeats), size=size, rank_tolerance=tolerance
    ).summary()
    assert short.keys() == long.keys()
    for name, value in long.items():
        if isinstance(value, float):
            assert short[name] == pytest.approx(value, rel=1e-9, abs=1e-12), name
        else:
            assert short[name] == value, name


def test_a_zero_with_multiplicity_and_zeros_by_shape():
    s = Spectrum.from_values(torch.tensor([0.0, 2.0]), multiplicity=torch.tensor([3, 2]), size=5)
    assert (s.rank, s.lambda_min, s.trace, s.mean) == (2, 0.0, 4.0, 0.8)
    assert s.gap == 0.0
    assert s.lambda_min_error is None  # no errors were given
    forced = Spectrum.from_values(torch.tensor([2.0]), multiplicity=torch.tensor([2]), size=5)
    assert (forced.rank, forced.lambda_min, forced.lambda_min_error) == (2, 0.0, 0.0)
    assert forced.gap is None


def test_figures_by_hand():
    s = Spectrum.from_values(torch.tensor([1.0, 3.0], dtype=torch.float64), size=2)
    assert s.participation_ratio == pytest.approx(16 / 10)
    assert s.entropy == pytest.approx(-(0.75 * math.log(0.75) + 0.25 * math.log(0.25)))
    assert s.effective_dimension(1.0) == pytest.approx(0.75 + 0.5)
    assert s.effective_dimension(0.0) == 2
    flat = Spectrum.from_values(torch.full((7,), 1e-200, dtype=torch.float64), size=7)
    assert flat.participation_ratio == pytest.approx(7)
    assert flat.entropy == pytest.approx(math.log(7))
    with pytest.raises(InputError, match="ridge"):
        s.effective_dimension(-1.0)
    with pytest.raises(InputError, match="ridge"):
        s.effective_dimension(math.nan)


def test_decay_of_a_power_law_and_of_a_noisy_one():
    i = torch.arange(1, 201, dtype=torch.float64)
    exact = Spectrum.from_values(5 * i**-1.7, size=250).decay_exponent()
    assert (exact.first, exact.last) == (10, 100)
    assert exact.exponent == pytest.approx(1.7, abs=1e-12)
    assert exact.standard_error < 1e-12
    noise = torch.exp(0.2 * torch.randn(200, generator=torch.Generator().manual_seed(1)).double())
    noisy = (i**-1.7 * noise).sort(descending=True).values
    fit = Spectrum.from_values(noisy, size=200).decay_exponent(first=5, last=60)
    oracle = scipy.stats.linregress(i[4:60].log().numpy(), noisy[4:60].log().numpy())
    assert fit.exponent == pytest.approx(-oracle.slope, rel=1e-10)
    assert fit.standard_error == pytest.approx(oracle.stderr, rel=1e-10)


def test_decay_needs_three_eigenvalues_and_a_range_that_exists():
    s = Spectrum.from_values(torch.tensor([3.0, 1.0]), size=4)
    assert s.decay_exponent() is None
    with pytest.raises(InputError, match=r"within 1\.\.2"):
        s.decay_exponent(first=1, last=3)


def test_zeroed_values_count_towards_their_error():
    s = Spectrum.from_values(
        torch.tensor([1.0, 1e-3], dtype=torch.float64),
        size=2,
        rank_tolerance=1e-2,
        errors=torch.tensor([1e-5, 1e-5], dtype=torch.float64),
    )
    assert s.eigenvalue_errors.tolist() == [1e-5, 1e-3 + 1e-5]
    assert s.lambda_min_error == 1e-3 + 1e-5
    assert s.lambda_min_nonzero_error == 1e-5


def test_summary_is_plain_and_has_no_negative_zero():
    s = Spectrum.from_values(torch.tensor([2.0, -1e-17], dtype=torch.float64), size=3)
    row = json.loads(json.dumps(s.summary(), allow_nan=False))
    assert row["lambda_min"] == 0.0
    assert math.copysign(1, row["lambda_min"]) == 1.0
    assert all(math.copysign(1, v) == 1.0 for v in s.eigenvalues.tolist())
    assert row["effective_dimension_ridge"] == row["mean"] == pytest.approx(2 / 3)
    assert {"rank", "rank_tolerance", "lambda_max", "lambda_min_nonzero", "condition"} <= set(row)


@pytest.mark.parametrize(
    ("values", "options", "words"),
    [
        ([1.0, math.nan], {"size": 2}, "NaN"),
        ([], {"size": 2}, "non-empty"),
        ([1.0, 2.0], {"size": 1}, "size of the kernel"),
        ([1.0], {"size": 3, "multiplicity": torch.tensor([0])}, "at least 1"),
        ([1.0], {"size": 3, "multiplicity": torch.tensor([1, 1])}, "one length"),
    ],
)
def test_impossible_spectra_are_refused(values, options, words):
    with pytest.raises(InputError, match=words):
        Spectrum.from_values(torch.tensor(values), **options)
