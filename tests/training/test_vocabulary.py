"""Vocabulary heads beside plain autograd on whole logits, in float64 and at small sizes."""

import importlib
import math
import signal
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from ntklab.adapters import build_adapter
from ntklab.errors import InputError
from ntklab.tasks import HiddenStates, NextToken
from ntklab.training.config import TrainConfig
from ntklab.training.seeds import Minibatches
from ntklab.training.vocabulary import Stopping, train_vocabulary_head
from ntklab.training.vocabulary_head import VocabularyHead

module = importlib.import_module("ntklab.training.vocabulary_head")

METHODS = {
    "tensorguide": {"width": 4},
    "tt-lora": {"rank": 4},
    "lora": {"rank": 2},
    "tt-delta": {"rank": 2},
    "tera": {"rank": 2},
    "linear-probe": {},
}
D, V = 6, 30


def next_token(seed=0, n=64, bias=False, dtype=torch.float64, d=D, v=V) -> NextToken:
    """Words drawn from a softmax that is not the frozen one: there is something to learn."""
    g = torch.Generator().manual_seed(seed)
    frozen = torch.randn(v, d, generator=g, dtype=dtype)
    shift = torch.randn(v, generator=g, dtype=dtype)
    first, second = (torch.randn(*s, generator=g, dtype=dtype) for s in ((d, 1), (1, v)))
    truth = frozen + 1.5 * (first @ second).T

    def split(count, name):
        phi = torch.randn(count, d, generator=g, dtype=dtype)
        labels = torch.softmax(phi @ truth.T, 1).multinomial(1, generator=g)[:, 0]
        return HiddenStates(phi, labels, f"{name} {seed} {count}")

    splits = [split(count, name) for count, name in ((n, "a"), (n // 2, "b"), (n // 2, "c"))]
    return NextToken(*splits, frozen, shift if bias else None, {})


def adapter_for(data, method="lora", seed=0, base=True, preset="ntk", **options):
    return build_adapter(
        method,
        data.width,
        data.vocabulary,
        base=data.projection() if base else None,
        preset=preset,
        generator=torch.Generator().manual_seed(seed),
        dtype=data.weight.dtype,
        **(options or METHODS[method]),
    )


def moved(head, seed=0, size=0.3):
    """The head away from its start, where centring no longer hides anything."""
    g = torch.Generator().manual_seed(seed)
    for p in head.adapter.parameters():
        if p.requires_grad:
            p.data.add_(torch.randn(p.shape, generator=g, dtype=torch.float64).to(p), alpha=size)
    return head


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("base", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_loss_and_gradients_are_those_of_whole_logits(method, base, bias, monkeypatch):
    monkeypatch.setattr(module, "BLOCK", 5 * V)  # 17 tokens in blocks of 5
    data = next_token(bias=bias)
    head = moved(VocabularyHead(adapter_for(data, method, base=base)))
    phi, y = data.train.features[:17], data.train.labels[:17]
    params = [p for p in head.parameters() if p.requires_grad]

    adapter, origin = head.adapter, head.origin
    logits = adapter(phi)  # base and adapted part by the adapter's own forward
    if base:
        assert origin is not None
        assert origin.base is None
        logits = logits - origin(phi).detach()
    wanted = F.cross_entropy(logits, y)
    gradients = torch.autograd.grad(wanted, params)

    torch.testing.assert_close(head(phi), logits)
    torch.testing.assert_close(head.loss(phi, y), wanted)
    torch.testing.assert_close(torch.autograd.grad(head.loss(phi, y), params), gradients)
    states = HiddenStates(phi, y, "")
    assert head.mean_loss(states, tokens=7) == pytest.approx(wanted.item(), rel=1e-12)


@given(st.integers(1, 40), st.integers(1, 12), st.integers(0, 3))
def test_the_loss_does_not_depend_on_the_blocks(n, rows, seed):
    data = next_token(seed)
    head = moved(VocabularyHead(adapter_for(data, "tensorguide", seed)), seed)
    phi, y = data.train.features[:n], data.train.labels[:n]
    params = [p for p in head.parameters() if p.requires_grad]
    whole = torch.autograd.grad(head.loss(phi, y), params)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", rows * V)
        torch.testing.assert_close(torch.autograd.grad(head.loss(phi, y), params), whole)


def test_huge_logits_overflow_nowhere():
    data = next_token()
    head = VocabularyHead(adapter_for(data))
    phi, y = 1e4 * data.train.features, data.train.labels
    loss = head.loss(phi, y)
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(p.grad).all() for p in head.parameters() if p.requires_grad)


@pytest.mark.parametrize("method", METHODS)
def test_a_centred_head_starts_at_the_base_and_keeps_its_kernel(method):
    data = next_token(bias=True)
    adapter = adapter_for(data, method)
    head = VocabularyHead(adapter)
    phi = data.train.features[:5]
    torch.testing.assert_close(head(phi), data.projection()(phi))
    params = [p for p in head.parameters() if p.requires_grad]
    through_head = torch.autograd.grad(head(phi).square().sum(), params, retain_graph=True)
    outer = 2 * head(phi).detach()
    plain = torch.autograd.grad((adapter(phi) * outer).sum(), params)
    torch.testing.assert_close(through_head, plain)


def test_the_base_is_held_once():
    data = next_token()
    adapter = adapter_for(data, "tensorguide")
    head = VocabularyHead(adapter)
    weights = [p for p in head.parameters() if p.shape == (V, D)]
    assert len(weights) == 1
    assert weights[0].data_ptr() == data.weight.data_ptr()
    assert sum(p.numel() for p in head.parameters() if p.requires_grad) == adapter.parameter_count


CONFIG = TrainConfig(lr=0.05, steps=24, batch=16, seed=3, schedule="cosine")
OFTEN = Stopping(every=4, patience=None)


@pytest.mark.parametrize("method", ["lora", "tensorguide"])
def test_training_is_adam_on_the_whole_logits(method):
    """The loop beside one that is written out: same batches, same parameters."""
    data = next_token()
    data = replace(data, valid=data.train)  # so that the last look is the best one
    run = train_vocabulary_head(
        adapter_for(data, method),
        data,
        CONFIG.with_(schedule="constant", steps=8, lr=0.002),
        stopping=Stopping(every=8),
    )
    slow = adapter_for(data, method)
    params = [p for p in slow.parameters() if p.requires_grad]
    with torch.no_grad():
        start = slow(data.train.features) - data.projection()(data.train.features)
    optimizer = torch.optim.Adam(params, lr=0.002)
    batches = Minibatches(64, 16, 3, torch.device("cpu"))
    for step in range(8):
        rows = batches.rows(step)
        optimizer.zero_grad()
        logits = slow(data.train.features[rows]) - start[rows]
        F.cross_entropy(logits, data.train.labels[rows]).backward()
        optimizer.step()
    assert run.best_step == 8
    trained = [p for p in run.head.adapter.parameters() if p.requires_grad]
    torch.testing.assert_close(trained, params, rtol=1e-8, atol=1e-10)


def test_training_beats_the_frozen_projection_and_says_so_truly():
    data = next_token(n=400)
    run = train_vocabulary_head(adapter_for(data), data, CONFIG.with_(steps=200), stopping=OFTEN)
    logits = run.head(data.test.features)
    wanted = F.cross_entropy(logits, data.test.labels).item()
    assert run.test_loss == pytest.approx(wanted, rel=1e-9)
    baseline = F.cross_entropy(data.projection()(data.test.features), data.test.labels).item()
    assert run.baseline_loss == pytest.approx(baseline, rel=1e-9)
    assert run.test_perplexity == pytest.approx(math.exp(wanted), rel=1e-9)
    assert run.test_loss < 0.95 * run.baseline_loss
    assert run.rows[0]["valid_loss"] == pytest.approx(math.log(data.baseline("valid")), rel=1e-9)
    assert run.tokens_per_second > 0


def test_equal_seeds_give_equal_runs_and_others_do_not():
    data = next_token()
    runs = [
        train_vocabulary_head(adapter_for(data), data, CONFIG.with_(seed=seed), stopping=OFTEN)
        for seed in (3, 3, 4)
    ]
    assert runs[0].rows == runs[1].rows
    assert runs[0].test_loss == runs[1].test_loss
    assert runs[0].rows[1:] != runs[2].rows[1:]


def test_patience_ends_a_run_and_the_best_parameters_are_kept():
    data = next_token(n=24)
    config = CONFIG.with_(lr=0.3, steps=400, schedule="constant")
    run = train_vocabulary_head(
        adapter_for(data), data, config, stopping=Stopping(every=2, patience=3)
    )
    losses = [row["valid_loss"] for row in run.rows]
    assert run.stopped
    assert run.steps < 400
    assert run.steps == run.best_step + 6
    assert run.best_step == 2 * losses.index(min(losses))
    assert run.head.mean_loss(data.valid) == pytest.approx(min(losses), rel=1e-12)


def test_no_improvement_leaves_the_frozen_projection():
    data = next_token(n=24)
    config = CONFIG.with_(lr=50.0, steps=40, schedule="constant")
    run = train_vocabulary_head(
        adapter_for(data), data, config, stopping=Stopping(every=1, patience=2)
    )
    assert run.best_step == 0
    assert run.test_loss == pytest.approx(run.baseline_loss, rel=1e-9)


@pytest.mark.parametrize("stop_at", [1, 6, 13, 20])
def test_an_interrupted_run_goes_on_bit_for_bit(stop_at, tmp_path):
    data = next_token()
    whole = train_vocabulary_head(adapter_for(data), data, CONFIG, stopping=OFTEN)

    def interrupt(done, _):
        if done == stop_at:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train_vocabulary_head(
            adapter_for(data), data, CONFIG, stopping=OFTEN, folder=tmp_path, progress=interrupt
        )
    seen = []
    resumed = train_vocabulary_head(
        adapter_for(data),
        data,
        CONFIG,
        stopping=OFTEN,
        folder=tmp_path,
        progress=lambda done, _: seen.append(done),
    )
    assert seen[0] == stop_at + 1
    assert resumed.rows == whole.rows
    assert resumed.test_loss == whole.test_loss
    assert resumed.best_step == whole.best_step


def test_a_finished_run_is_read_and_not_trained(tmp_path):
    data = next_token()
    first = train_vocabulary_head(adapter_for(data), data, CONFIG, stopping=OFTEN, folder=tmp_path)
    again = train_vocabulary_head(
        adapter_for(data),
        data,
        CONFIG,
        stopping=OFTEN,
        folder=tmp_path,
        progress=lambda *_: pytest.fail("trained again"),
    )
    assert again.rows == first.rows
    assert again.test_loss == first.test_loss


@pytest.mark.parametrize("change", ["config", "start", "data", "stopping", "centred"])
def test_another_run_in_the_folder_is_refused(change, tmp_path):
    data = next_token()
    train_vocabulary_head(adapter_for(data), data, CONFIG, stopping=OFTEN, folder=tmp_path)
    other = next_token(1) if change == "data" else data
    with pytest.raises(InputError, match="choose another folder"):
        train_vocabulary_head(
            adapter_for(other, seed=int(change == "start")),
            other,
            CONFIG.with_(lr=0.01) if change == "config" else CONFIG,
            stopping=Stopping(every=2) if change == "stopping" else OFTEN,
            centred=change != "centred",
            folder=tmp_path,
        )


def test_a_rank_below_the_width_cannot_replace_the_projection():
    """The softmax bottleneck: logits of rank 2 stay worse than the frozen ones of rank 6."""
    data = next_token(n=400)
    config = CONFIG.with_(steps=300)
    replaced = train_vocabulary_head(adapter_for(data, base=False), data, config, stopping=OFTEN)
    added = train_vocabulary_head(adapter_for(data), data, config, stopping=OFTEN)
    assert torch.linalg.matrix_rank(replaced.head(data.test.features)) <= 2
    assert added.test_loss < replaced.test_loss


def test_a_loss_that_is_no_number_ends_the_run():
    data = next_token()
    adapter = adapter_for(data)
    data.train.features[7] = torch.nan
    run = train_vocabulary_head(adapter, data, CONFIG, stopping=OFTEN)
    assert run.diverged is not None
    assert math.isnan(run.diverged[1])
    assert run.steps <= 4
    assert run.test_loss == pytest.approx(run.baseline_loss, rel=1e-9)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"loss": "squared"}, "mean cross-entropy"),
        ({"reduction": "sum"}, "mean cross-entropy"),
        ({"latent": "redrawn"}, "latent = fixed"),
    ],
)
def test_what_is_not_offered_is_refused(change, said):
    data = next_token()
    with pytest.raises(InputError, match=said):
        train_vocabulary_head(adapter_for(data), data, CONFIG.with_(**change))
    with pytest.raises(InputError, match="last projection maps 6 to 30"):
        train_vocabulary_head(build_adapter("lora", D, V + 1), data, CONFIG)


def test_float16_states_train_a_float32_head():
    data = next_token(dtype=torch.float32)
    halves = [
        HiddenStates(s.features.half(), s.labels, s.digest)
        for s in (data.train, data.valid, data.test)
    ]
    half = NextToken(*halves, data.weight, None, {})
    config = CONFIG.with_(steps=8)
    one = train_vocabulary_head(adapter_for(data), data, config, stopping=OFTEN)
    other = train_vocabulary_head(adapter_for(half), half, config, stopping=OFTEN)
    assert other.test_loss == pytest.approx(one.test_loss, rel=1e-2)
