import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ntklab.records.values import fingerprint, plain, to_json, without_gaps

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(), st.floats(allow_nan=False, width=64)
)
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


@given(documents.filter(lambda d: "inf" not in repr(d)))
def test_json_text_gives_the_value_back_exactly(value):
    assert json.loads(to_json(value)) == value


@given(st.dictionaries(st.text(), scalars.filter(lambda v: v not in (math.inf, -math.inf))))
def test_text_and_fingerprint_do_not_depend_on_the_order_of_keys(value):
    backwards = dict(reversed(value.items()))
    assert to_json(backwards) == to_json(value)
    assert fingerprint(backwards) == fingerprint(value)


def test_numpy_and_torch_numbers_become_plain():
    value = {"a": np.float32(0.5), "b": torch.tensor(3), "c": np.bool_(True), "d": Path("x")}
    assert plain(value) == {"a": 0.5, "b": 3, "c": True, "d": "x"}
    assert [type(item) for item in plain(value).values()] == [float, int, bool, str]


def test_a_thing_that_json_cannot_hold_is_refused():
    with pytest.raises(TypeError, match="object"):
        plain({"a": object()})


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_no_nan_or_infinity_is_written(bad):
    with pytest.raises(ValueError, match="JSON compliant"):
        to_json({"a": [bad]})
    row = without_gaps({"a": np.float64(bad), "reason": "rank is zero"})
    assert row["a"] is None
    assert row["reason"].startswith("rank is zero; a is ")


def test_exact_zero_has_no_sign():
    assert math.copysign(1.0, plain(-0.0)) == 1.0
    assert to_json({"lambda_min": np.float64(-0.0)}) == '{\n  "lambda_min": 0.0\n}\n'
