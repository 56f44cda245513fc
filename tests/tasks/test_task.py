import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ntklab.errors import InputError
from ntklab.tasks.task import Split, Task


def make_task(rows: int = 10, width: int = 3) -> Task:
    features = torch.arange(rows * width, dtype=torch.float64).reshape(rows, width)
    split = Split(features, torch.arange(rows) % 2)
    return Task("toy", split, split, n_classes=2, source={"made": "here"})


@given(
    rows=st.integers(1, 20),
    seed=st.integers(0, 2**31),
    samples=st.tuples(*[st.integers(1, 20)] * 2),
)
@settings(max_examples=25, deadline=None)
def test_subsets_of_one_seed_are_nested_and_keep_rows_with_their_labels(rows, seed, samples):
    task = make_task(rows)
    small, large = sorted(min(s, rows) for s in samples)
    a, b = task.subset(small, seed), task.subset(large, seed)
    torch.testing.assert_close(a.train.features, b.train.features[:small], rtol=0, atol=0)
    original = (b.train.features[:, 0] / 3).long()  # row i begins with 3 i
    assert len(set(original.tolist())) == large
    torch.testing.assert_close(b.train.labels, original % 2)


def test_a_subset_keeps_the_test_rows_and_says_what_it_is():
    task = make_task()
    part = task.subset(4, seed=7)
    assert part.test is task.test
    assert part.source == {"made": "here", "subset_samples": 4, "subset_seed": 7}
    assert task.source == {"made": "here"}
    assert part.n_features == 3


def test_subsets_of_different_seeds_differ():
    task = make_task(50)
    one, two = (task.subset(50, seed).train.features for seed in (0, 1))
    assert not torch.equal(one, two)


@pytest.mark.parametrize("samples", [0, -1, 11])
def test_a_subset_that_cannot_be_is_refused_with_both_numbers(samples):
    with pytest.raises(InputError, match=rf"{samples} samples .* 10 training samples"):
        make_task().subset(samples, seed=0)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_features_that_are_not_finite_are_refused_with_count_and_place(value):
    features = torch.zeros(5, 4)
    features[3, 1] = features[4, 0] = value
    with pytest.raises(InputError, match=r"2 values that are NaN or infinite.* row 3, column 1"):
        Split(features, torch.zeros(5, dtype=torch.int64))


@pytest.mark.parametrize(
    ("features", "labels", "words"),
    [
        (torch.zeros(3), torch.zeros(3, dtype=torch.int64), r"shape \(N, d\)"),
        (torch.zeros(3, 2, dtype=torch.int64), torch.zeros(3, dtype=torch.int64), "floating"),
        (torch.zeros(3, 2), torch.zeros(2, dtype=torch.int64), r"shape \(3,\)"),
        (torch.zeros(3, 2), torch.zeros(3), "int64"),
        (torch.zeros(0, 2), torch.zeros(0, dtype=torch.int64), "empty"),
    ],
)
def test_a_split_of_wrong_shape_or_dtype_is_refused(features, labels, words):
    with pytest.raises(InputError, match=words):
        Split(features, labels)


def test_a_task_refuses_labels_out_of_range_and_splits_of_different_width():
    split = Split(torch.zeros(2, 3), torch.tensor([0, 2]))
    with pytest.raises(InputError, match="labels run from 0 to 2"):
        Task("toy", split, split, n_classes=2, source={})
    wider = Split(torch.zeros(2, 4), torch.tensor([0, 1]))
    with pytest.raises(InputError, match="train has 3 features and test has 4"):
        Task("toy", split, wider, n_classes=3, source={})


def test_printing_says_sizes_and_no_numbers():
    split = Split(torch.eye(4), torch.tensor([0, 1, 0, 1]))
    text = repr(Task("toy", split, split, n_classes=2, source={}))
    assert text == "Task 'toy': d = 4, C = 2, 4 training and 4 test samples"
    assert repr(split) == "Split of 4 rows of 4, torch.float32"
