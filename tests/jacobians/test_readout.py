"""Readouts beside what they say, by every engine and with the inputs that hold labels."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ntklab.adapters import build_adapter
from ntklab.errors import InputError
from ntklab.jacobians import ENGINES, Loss, Margin, TokenLogits, jacobian, ntk, readout_named
from ntklab.jacobians.readout import as_readout

ENGINES_OF_ALL = ["auto", *(name for name in ENGINES if name != "structured")]


def double(*shape):
    return torch.randn(*shape, dtype=torch.float64)


class Words(nn.Module):
    """A causal model in small; with `said` it says which its last projection is."""

    def __init__(self, said):
        super().__init__()
        self.table = nn.Embedding(12, 5)
        self.mix, self.head = nn.Linear(5, 5), nn.Linear(5, 12, bias=False)
        self.said, self.seen = said, []

    def get_output_embeddings(self):
        return self.head if self.said else None

    def forward(self, input_ids, attention_mask=None):
        h = self.table(input_ids).cumsum(1)
        logits = self.head(torch.tanh(self.mix(h)))
        self.seen.append(tuple(logits.shape[-2:]))
        return {"logits": logits}


@pytest.fixture
def x():
    mask = torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1], [0, 0, 1, 1]])
    return {"input_ids": torch.randint(12, (3, 4)), "attention_mask": mask}


LAST = (1, 3, 3)


def explicit(model, x, of):
    """J by loops; `of` gives sample n's numbers from its own output."""
    leaves, rows = list(model.parameters()), []
    for n in range(3):
        logits = model(x["input_ids"][n : n + 1])["logits"][0]
        for value in of(logits, n).reshape(-1):
            rows.append(torch.cat([g.reshape(-1) for g in torch.autograd.grad(
                value, leaves, retain_graph=True, materialize_grads=True, allow_unused=True
            )]))  # fmt: skip
    return torch.stack(rows)


@pytest.mark.parametrize("engine", ENGINES_OF_ALL)
@pytest.mark.parametrize("said", [True, False])
def test_logits_of_tokens_at_the_last_real_position(x, engine, said):
    model = Words(said).double()
    J = jacobian(model, x, readout=TokenLogits((7, 2)), engine=engine)
    wanted = explicit(model, x, lambda logits, n: logits[LAST[n], [7, 2]])
    torch.testing.assert_close(J.dense(), wanted)
    torch.testing.assert_close(J.gram(), wanted @ wanted.T)
    assert J.n_outputs == 2
    assert J.engine.functional.readout.describe() == "tokens:7,2"


def test_the_projection_sees_one_position_where_the_model_says_which_it_is(x):
    model = Words(said=True).double()
    jacobian(model, x, readout=TokenLogits((7, 2))).gram()
    assert set(model.seen) == {(1, 12)}
    assert not model.head._forward_pre_hooks


def test_logits_at_a_masked_token(x):
    model = Words(said=False).double()
    ids = x["input_ids"].clamp_max(10)
    place = (2, 0, 1)
    ids[torch.arange(3), place] = 11
    J = jacobian(model, {"input_ids": ids}, readout=TokenLogits((3,), at=11))
    wanted = explicit(model, {"input_ids": ids}, lambda logits, n: logits[place[n], 3])
    torch.testing.assert_close(J.dense(), wanted)


@pytest.mark.parametrize("engine", ENGINES_OF_ALL)
def test_losses_of_next_tokens(x, engine):
    labels = torch.randint(12, (3, 4))
    labels[0, 2:], labels[2, :3] = -100, -100
    model = Words(said=True).double()
    J = jacobian(model, x | {"labels": labels}, readout="loss", engine=engine)

    def loss(logits, n):
        kept = labels[n, 1:] != -100
        return F.cross_entropy(logits[:-1][kept], labels[n, 1:][kept])

    torch.testing.assert_close(J.dense(), explicit(model, x, loss))
    wanted = explicit(model, x, lambda logits, n: F.cross_entropy(logits[2], labels[n, 2]))
    same = Loss(shift=False)
    alone = torch.full_like(labels, -100)
    alone[:, 2] = labels[:, 2].clamp_min(0)
    J = jacobian(model, x | {"labels": alone}, readout=same, engine=engine)
    wanted = explicit(model, x, lambda logits, n: F.cross_entropy(logits[2], alone[n, 2]))
    torch.testing.assert_close(J.dense(), wanted)


@pytest.mark.parametrize("engine", ENGINES_OF_ALL)
def test_losses_and_margins_of_classifiers_with_labels_last(engine):
    model, x = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).double(), double(4, 4)
    labels = torch.tensor([2, 0, 1, 1])
    for readout in ("loss", "margin"):
        kernel = ntk(model, (x, labels), readout=readout, engine=engine)
        leaves, rows = list(model.parameters()), []
        for n in range(4):
            logits = model(x[n])
            log_odds = torch.logit(torch.softmax(logits, 0)[labels[n]])
            value = F.cross_entropy(logits, labels[n]) if readout == "loss" else log_odds
            grads = torch.autograd.grad(value, leaves)
            rows.append(torch.cat([grad.reshape(-1) for grad in grads]))
        wanted = torch.stack(rows) @ torch.stack(rows).T
        torch.testing.assert_close(kernel, wanted)
        few = ntk(model, (x, labels), (x[:2], labels[:2]), readout=readout, engine=engine)
        torch.testing.assert_close(few, wanted[:, :2])


def test_margins_of_label_words(x):
    model, labels = Words(said=True).double(), torch.tensor([1, 0, 1])
    J = jacobian(model, x | {"labels": labels}, readout=readout_named("margin:7,2"))
    tokens = (7, 2)

    def margin(logits, n):
        own, other = tokens[labels[n]], tokens[1 - labels[n]]
        return logits[LAST[n], own] - logits[LAST[n], other]

    torch.testing.assert_close(J.dense(), explicit(model, x, margin))


def test_a_function_of_ones_own(x):
    model = Words(said=False).double()

    def spread(result, inputs):
        assert inputs["input_ids"].shape[1] == 4
        return result["logits"].std(dim=(1, 2))

    J = jacobian(model, x, readout=spread)
    torch.testing.assert_close(J.dense(), explicit(model, x, lambda logits, n: logits.std()))
    assert J.engine.functional.readout.describe() == "spread"


class Tokenizer:
    """Knows words with and without a space before them."""

    known = {" great": [4], " bad": [5], "bad": [6], "yes": [7], " yes": [1, 7]}  # noqa: RUF012

    def __call__(self, text, add_special_tokens):
        assert not add_special_tokens
        return {"input_ids": self.known.get(text, [1, 2, 3])}


def test_label_words_are_single_tokens():
    named = readout_named("tokens:great,bad,yes", Tokenizer())
    assert named == TokenLogits((4, 5, 7))
    assert readout_named("loss:great,bad", Tokenizer()) == Loss(TokenLogits((4, 5)))
    assert readout_named("margin") == Margin()
    with pytest.raises(InputError, match="the label word 'awful' is 3 tokens"):
        readout_named("tokens:great,awful", Tokenizer())
    with pytest.raises(InputError, match="need a tokenizer"):
        readout_named("tokens:great,bad")
    with pytest.raises(InputError, match=r"unknown readout 'los': did you mean 'loss'"):
        readout_named("los")
    with pytest.raises(InputError, match="readout is int"):
        as_readout(3)


@pytest.mark.parametrize(
    ("readout", "inputs", "words"),
    [
        ("loss", lambda x: x, "needs labels with the inputs"),
        ("tokens:99", lambda x: x, r"tokens \[99\] are not among the 12"),
        ("margin", lambda x: x | {"labels": torch.tensor([1, 0, 1])}, "a margin needs logits"),
        ("loss", lambda x: x | {"labels": torch.tensor([1, 0, 1])}, "do not fit logits"),
        (TokenLogits((1,), at=3), lambda x: x["input_ids"], "`input_ids`: give a mapping"),
    ],
)
def test_what_cannot_be_read(x, readout, inputs, words):
    with pytest.raises(InputError, match=words):
        jacobian(Words(said=False).double(), inputs(x), readout=readout)


@pytest.mark.parametrize("method", ["lora", "tensorguide", "tt-delta", "linear-probe"])
def test_an_adapter_s_own_rows_are_those_of_all_outputs_alone(method):
    """Its tangent map knows no readout: another one goes to an engine that does."""
    head = build_adapter(method, 6, 3, dtype=torch.float64)
    x = torch.randn(5, 6, dtype=torch.float64)
    plain = jacobian(head, x)
    assert plain.engine.name == "structured"
    rows = plain.dense().reshape(5, 3, -1)
    twice = jacobian(head, x, readout=lambda result, _: 2 * result)
    assert torch.allclose(twice.dense().reshape(5, 3, -1), 2 * rows)
    two = jacobian(head, x, readout=TokenLogits((0, 2)))
    slow = jacobian(head, x, readout=TokenLogits((0, 2)), engine="loop")
    assert torch.allclose(two.gram(), slow.gram())
    assert torch.allclose(two.dense().reshape(5, 2, -1), rows[:, [0, 2]])
    with pytest.raises(InputError, match="engine 'structured' needs"):
        jacobian(head, x, readout=TokenLogits((0, 2)), engine="structured")
