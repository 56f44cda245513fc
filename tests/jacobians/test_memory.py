import warnings

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ntklab.errors import InputError
from ntklab.jacobians import default_memory, format_memory, parse_memory
from ntklab.jacobians.memory import MOST_BY_DEFAULT, chunk_size, shrinking, spans


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("4GiB", 4 * 2**30),
        ("4 gib", 4 * 2**30),
        ("512MB", 512 * 10**6),
        ("512M", 512 * 10**6),
        ("512MiB", 512 * 2**20),
        ("0.5KiB", 512),
        ("2T", 2 * 10**12),
        ("100", 100),
        ("100 B", 100),
        (100, 100),
    ],
)
def test_amounts(text, amount):
    assert parse_memory(text) == amount


@pytest.mark.parametrize("text", ["", "four", "4 XB", "-1GiB", "0", 0, -3, "1.2.3GB", "nan", "GiB"])
def test_what_is_no_amount_is_refused(text):
    with pytest.raises(InputError, match="is no amount: write it like 4GiB or 512MB"):
        parse_memory(text)


@given(st.integers(1, 2**50))
def test_an_amount_for_people_is_within_its_rounding(amount):
    assert abs(parse_memory(format_memory(amount)) - amount) <= 0.06 * amount


def test_the_default_is_a_share_of_what_is_free():
    assert 0 < default_memory() <= MOST_BY_DEFAULT


@given(st.integers(1, 200), st.integers(1, 300))
def test_spans_cover_everything_once(n, chunk):
    parts = list(spans(n, chunk))
    assert [i for start, stop in parts for i in range(start, stop)] == list(range(n))
    assert all(stop - start <= chunk for start, stop in parts)


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(1, 1000))
def test_chunks_hold_one_sample_or_fit(per_sample, memory, n):
    found = chunk_size(per_sample, memory, n)
    assert 1 <= found <= n
    assert found == 1 or found * per_sample <= memory


@given(st.integers(1, 40), st.integers(1, 60), st.integers(1, 9))
def test_shrinking_covers_everything_whatever_fits(n, chunk, limit):
    done = []

    def compute(start, stop):
        if stop - start > limit:
            raise torch.OutOfMemoryError("too many")
        done.extend(range(start, stop))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        used = shrinking(n, chunk, compute)
    assert done == list(range(n))
    # The chunk that never ran out, within one halving of the limit.
    assert used <= max(limit, 1) or chunk <= limit or n <= limit
