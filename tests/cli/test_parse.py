import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntklab.cli.parse import parse_numbers, parse_seeds
from ntklab.errors import InputError


@given(st.integers(0, 1000), st.integers(1, 50))
def test_a_range_is_python_s(first, count):
    assert parse_seeds(f"{first}:{first + count}") == list(range(first, first + count))


@given(st.lists(st.integers(0, 1000), min_size=1, unique=True))
def test_a_list_is_kept_in_order(seeds):
    assert parse_seeds(",".join(map(str, seeds))) == seeds


def test_ranges_and_single_seeds_mix():
    assert parse_seeds("0:2, 7,9:11") == [0, 1, 7, 9, 10]


@pytest.mark.parametrize("bad", ["", "a", "1:", ":3", "-1", "1.5", "5:2", "1,,2", "0:2,1"])
def test_what_is_no_seed_is_refused(bad):
    with pytest.raises(InputError, match="seeds"):
        parse_seeds(bad)


@given(st.lists(st.integers(1, 300), min_size=1))
def test_numbers_with_and_without_brackets(numbers):
    assert parse_numbers("tt-ranks", ",".join(map(str, numbers))) == tuple(numbers)
    assert parse_numbers("tt-ranks", str(numbers)) == tuple(numbers)
    assert parse_numbers("tt-ranks", None) is None


@pytest.mark.parametrize("bad", ["", "1,,2", "0", "1,-2", "2.5", "one"])
def test_what_is_no_list_of_numbers_is_refused(bad):
    with pytest.raises(InputError, match="--in-dims"):
        parse_numbers("in-dims", bad)
