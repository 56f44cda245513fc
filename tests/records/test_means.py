import pytest
import torch

from ntklab.errors import InputError
from ntklab.records import mean_interval


def test_student_intervals_cover_as_they_say():
    """1000 draws of 3 normal values: 95 % of the intervals hold the mean (a bootstrap's do not)."""
    draws = torch.randn(1000, 3, generator=torch.Generator().manual_seed(0)).tolist()
    inside = sum(found.low <= 0 <= found.high for found in map(mean_interval, draws))
    assert 930 <= inside <= 970


def test_no_values_have_no_mean():
    with pytest.raises(InputError, match="at least one seed"):
        mean_interval([])
