"""The trace kernel of all logits: by d passes exactly, by draws within their standard errors."""

import pytest
import torch
from torch import nn

from ntklab.errors import InputError
from ntklab.jacobians import ntk
from ntklab.jacobians.readout import TokenLogits
from ntklab.jacobians.vocabulary import vocabulary_kernel

WIDTH, VOCABULARY = 6, 40


class Language(nn.Module):
    """A small causal model that says which its last projection is."""

    def __init__(self, capped=False, tied=False):
        super().__init__()
        self.table = nn.Embedding(VOCABULARY, WIDTH)
        self.mix = nn.Linear(WIDTH, WIDTH)
        self.head = nn.Linear(WIDTH, VOCABULARY)
        self.capped = capped
        if tied:
            self.head.weight = self.table.weight

    def get_output_embeddings(self):
        return self.head

    def forward(self, input_ids, attention_mask=None):
        h = self.table(input_ids)
        seen = torch.tril(torch.ones(h.shape[1], h.shape[1], dtype=h.dtype, device=h.device))
        h = torch.tanh(self.mix(seen @ h / seen.sum(1, keepdim=True))) + h
        logits = self.head(h)
        return torch.tanh(logits) if self.capped else logits


PARAMS = ["mix.*"]


@pytest.fixture
def model():
    return Language().double().eval()


@pytest.fixture
def x():
    mask = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1], [0, 1, 1, 1]])
    return {"input_ids": torch.randint(VOCABULARY, (3, 4)), "attention_mask": mask}


def all_logits(model, x, centred=False):
    """The trace kernel by a backward pass for every token."""

    def last(result, x):
        place = (x["attention_mask"] * torch.arange(1, 5)).argmax(1)
        logits = torch.take_along_dim(result, place[:, None, None], 1).squeeze(1)
        return logits - logits.mean(1, keepdim=True) if centred else logits

    return ntk(model, x, output="trace", params=PARAMS, readout=last, engine="loop")


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("engine", ["auto", "layerwise", "jacrev", "loop"])
def test_d_passes_are_exact(model, x, centred, engine):
    found = vocabulary_kernel(
        model, x, params=PARAMS, passes="exact", centred=centred, engine=engine
    )
    assert (found.route, found.passes, found.outputs) == ("exact", WIDTH, VOCABULARY)
    assert found.standard_error is None
    assert found.interval() == (found.kernel, found.kernel)
    torch.testing.assert_close(found.kernel, all_logits(model, x, centred), rtol=1e-9, atol=1e-12)


def test_a_readout_of_every_token_is_the_whole_vocabulary(model, x):
    every = TokenLogits(tuple(range(VOCABULARY)))
    kernel = ntk(model, x, output="trace", params=PARAMS, readout=every)
    exact = vocabulary_kernel(model, x, params=PARAMS, passes="exact")
    torch.testing.assert_close(kernel, exact.kernel)


@pytest.mark.parametrize("centred", [False, True])
def test_draws_lie_within_their_standard_errors(model, x, centred):
    """Three standard errors cover every draw's kernel in at least 95 of 100, entry by entry."""
    exact = vocabulary_kernel(model, x, params=PARAMS, passes="exact", centred=centred).kernel
    covered = torch.zeros_like(exact)
    for seed in range(100):
        sketch = vocabulary_kernel(
            model, x, params=PARAMS, passes=24, centred=centred, seed=seed, check=False
        )
        assert (sketch.route, sketch.passes) == ("sketch", 24)
        covered += (sketch.kernel - exact).abs() <= 3 * sketch.standard_error
    assert float(covered.min()) >= 95


def test_student_intervals_cover_as_often_as_they_say(model, x):
    exact = vocabulary_kernel(model, x, params=PARAMS, passes="exact").kernel
    inside = torch.zeros_like(exact)
    for seed in range(100):
        sketch = vocabulary_kernel(model, x, params=PARAMS, passes=12, seed=seed, check=False)
        low, high = sketch.interval(0.9)
        inside += (low <= exact) & (exact <= high)
    # 100 draws of a probability of 0.9 fall below 80 once in a thousand.
    assert float(inside.min()) >= 80


def test_the_count_takes_the_fewer_passes(model, x):
    few = vocabulary_kernel(model, x, params=PARAMS, tolerance=10.0)
    assert (few.route, few.passes) == ("sketch", 16)
    many = vocabulary_kernel(model, x, params=PARAMS, tolerance=1e-3)
    assert (many.route, many.passes) == ("exact", WIDTH)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"passes": 1}, "passes = 1 must be 'exact', or at least 2 draws"),
        ({"passes": "all"}, "passes = all must be"),
        ({"params": ["head.weight"]}, "last projection that is not trained"),
    ],
)
def test_bad_requests(model, x, change, words):
    with pytest.raises(InputError, match=words):
        vocabulary_kernel(model, x, **{"params": PARAMS} | change)


def test_models_without_a_bare_projection(x):
    with pytest.raises(InputError, match="scaled or capped"):
        vocabulary_kernel(Language(capped=True).double(), x, params=PARAMS)
    with pytest.raises(InputError, match=r"get_output_embeddings\(\) is the linear layer"):
        vocabulary_kernel(nn.Linear(3, 2), torch.ones(2, 3))
    tied = Language(tied=True).double()
    with pytest.raises(InputError, match="not trained"):
        vocabulary_kernel(tied, x, params=["table.weight"])
