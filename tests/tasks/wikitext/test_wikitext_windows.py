import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ntklab.errors import InputError
from ntklab.tasks.wikitext import cut_windows


@given(st.integers(2, 9), st.integers(1, 6), st.integers(0, 8))
def test_without_overlap_each_window_predicts_all_its_tokens_but_the_first(context, count, rest):
    windows = cut_windows(torch.arange(context * count + min(rest, context - 1)), context)
    assert windows.ids.shape == (count, context)
    assert windows.predictions == count * (context - 1)
    wanted = [t for t in range(context * count) if t % context]
    assert windows.labels().tolist() == wanted


@given(st.integers(2, 9), st.data())
def test_with_overlap_every_token_but_the_first_is_predicted_once(context, data):
    stride = data.draw(st.integers(1, context - 1))
    count = data.draw(st.integers(1, 5))
    length = context + (count - 1) * stride
    windows = cut_windows(torch.arange(length), context, stride=stride)
    assert windows.labels().tolist() == list(range(1, length))
    # A later window predicts only what it shows at least context − stride tokens before.
    columns = windows.counted[1:].nonzero()[:, 1]
    assert (columns >= context - stride - 1).all()


def test_random_windows_depend_on_the_seed_alone_and_stay_in_order():
    ids = torch.arange(1000)
    first, again = (cut_windows(ids, 10, count=7, seed=3).ids for _ in range(2))
    assert first.equal(again)
    assert not first.equal(cut_windows(ids, 10, count=7, seed=4).ids)
    starts = first[:, 0]
    assert (starts % 10 == 0).all()
    assert (starts.diff() > 0).all()
    assert first.equal(starts[:, None] + torch.arange(10))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"context": 1}, "at least 2 tokens"),
        ({"context": 4, "stride": 5}, "stride must be"),
        ({"context": 4, "stride": 0}, "stride must be"),
        ({"context": 4, "count": 4}, "4 windows of 4 tokens"),
        ({"context": 40}, "holds 0"),
        ({"context": 4, "stride": 2, "seed": 1}, "overlap"),
    ],
)
def test_windows_that_cannot_be_cut_are_refused(options, said):
    with pytest.raises(InputError, match=said):
        cut_windows(torch.arange(12), **options)
