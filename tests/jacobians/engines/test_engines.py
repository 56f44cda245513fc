"""Every engine beside explicit loops in float64, over models, parameters and inputs."""

import warnings
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ntklab.adapters import METHODS, build_adapter
from ntklab.errors import InputError
from ntklab.jacobians import ENGINES, jacobian
from ntklab.jacobians.functional import Functional

GENERAL = ("loop", "jacrev", "vjp-jvp")
seeds = st.integers(0, 2**31 - 1)


def explicit_rows(model, x, names=None):
    """J by one backward pass an output on the live parameters: nothing of ntklab in it."""
    params = dict(model.named_parameters())
    if names is None:
        names = [name for name, p in params.items() if p.requires_grad]
    leaves = [params[name] for name in names]
    count = len(next(iter(x.values()))) if isinstance(x, dict) else len(x)
    rows = []
    for n in range(count):
        if isinstance(x, dict):
            out = model(**{key: value[n : n + 1] for key, value in x.items()})
        else:
            out = model(x[n : n + 1])
        for value in getattr(out, "logits", out).reshape(-1):
            grads = torch.autograd.grad(
                value, leaves, retain_graph=True, allow_unused=True, materialize_grads=True
            )
            rows.append(torch.cat([grad.reshape(-1) for grad in grads]))
    return torch.stack(rows).detach()


def assert_engines_equal(model, x, names=None, engines=GENERAL):
    wanted = explicit_rows(model, x, names)
    scale = float(wanted.abs().max())
    for engine in engines:
        found = jacobian(model, x, params=names, engine=engine).dense()
        assert found.shape == wanted.shape, engine
        assert float((found - wanted).abs().max()) <= 1e-12 * scale, engine


@st.composite
def perceptrons(draw):
    sizes = draw(st.lists(st.integers(1, 6), min_size=2, max_size=4))
    sigma = draw(st.sampled_from([nn.Tanh, nn.ReLU, nn.GELU, nn.Softplus, nn.Sigmoid]))
    bias = draw(st.booleans())
    layers = []
    for before, after in pairwise(sizes):
        layers += [nn.Linear(before, after, bias=bias), sigma()]
    return nn.Sequential(*layers[:-1]).double(), sizes[0]


@settings(max_examples=20, deadline=None)
@given(drawn=perceptrons(), n=st.integers(1, 4), seed=seeds, data=st.data())
def test_perceptrons_and_subsets_of_their_parameters(drawn, n, seed, data):
    model, inputs = drawn
    generator = torch.Generator().manual_seed(seed)
    for p in model.parameters():
        p.data.normal_(generator=generator)
    x = torch.randn(n, inputs, dtype=torch.float64, generator=generator)
    assert_engines_equal(model, x)
    everything = [name for name, _ in model.named_parameters()]
    subset = data.draw(st.lists(st.sampled_from(everything), min_size=1, unique=True))
    assert_engines_equal(model, x, [name for name in everything if name in subset])


@settings(max_examples=8, deadline=None)
@given(
    channels=st.integers(1, 3),
    size=st.integers(4, 6),
    stride=st.integers(1, 2),
    seed=seeds,
    pooled=st.booleans(),
)
def test_convolutions_with_outputs_of_more_dimensions(channels, size, stride, seed, pooled):
    torch.manual_seed(seed)
    tail = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 2)] if pooled else []
    model = nn.Sequential(
        nn.Conv2d(1, channels, 3, stride=stride),
        nn.BatchNorm2d(channels),
        nn.Tanh(),
        *tail,
    )
    model = model.double().eval()
    x = torch.randn(2, 1, size, size, dtype=torch.float64)
    assert_engines_equal(model, x)
    f = Functional(model, x)
    assert f.n_outputs == model(x)[0].numel()
    assert len(f.output_shape) == (1 if pooled else 3)


@settings(max_examples=20, deadline=None)
@given(
    method=st.sampled_from(sorted(METHODS)),
    preset=st.sampled_from(["ntk", "released", "paper"]),
    d=st.integers(2, 9),
    outputs=st.integers(1, 4),
    n=st.integers(1, 12),
    seed=seeds,
    data=st.data(),
)
def test_adapters_by_every_engine(method, preset, d, outputs, n, seed, data):
    sizes = {
        "lora": {"rank": st.integers(1, 4)},
        "tt-lora": {"rank": st.integers(1, 5)},
        "tensorguide": {"width": st.integers(1, 16), "activation": st.sampled_from([None, "gelu"])},
        "tt-delta": {"rank": st.integers(1, 3)},
        "tera": {"rank": st.integers(1, 3)},
    }.get(method, {})
    given_sizes = {name: data.draw(strategy) for name, strategy in sizes.items()}
    generator = torch.Generator().manual_seed(seed)
    model = build_adapter(
        method,
        d,
        outputs,
        preset=preset,
        generator=generator,
        dtype=torch.float64,
        **given_sizes,
    )
    for p in model.parameters():
        if p.requires_grad:  # as released, entries of J differ by many orders
            p.data.normal_(generator=generator)
    x = torch.randn(n, d, dtype=torch.float64, generator=generator)
    assert_engines_equal(model, x, engines=tuple(ENGINES))


class Keyword(nn.Module):
    """Takes its inputs by name and returns one number a sample."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(7, 3, dtype=torch.float64)
        self.mix = nn.Linear(3, 1, dtype=torch.float64)

    def forward(self, *, ids, weights):
        return self.mix(torch.tanh(self.table(ids) * weights.unsqueeze(-1)).sum(1)).squeeze(-1)


def test_inputs_by_name_and_outputs_without_a_dimension():
    x = {"ids": torch.randint(7, (4, 5)), "weights": torch.randn(4, 5, dtype=torch.float64)}
    model = Keyword()
    assert jacobian(model, x).shape == (4, 21 + 4)
    assert_engines_equal(model, x)


class Tied(nn.Module):
    """One matrix used twice, as language models tie embedding and head."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 3, bias=False, dtype=torch.float64)
        self.second = nn.Linear(3, 3, bias=False, dtype=torch.float64)
        self.second.weight = self.first.weight

    def forward(self, x):
        return self.second(torch.tanh(self.first(x)))


def test_tied_parameters_are_one():
    model, x = Tied(), torch.randn(3, 3, dtype=torch.float64)
    assert jacobian(model, x).shape == (9, 9)
    assert_engines_equal(model, x)


class Idle(nn.Module):
    """A parameter that reaches no output, or one output only."""

    def __init__(self):
        super().__init__()
        self.used = nn.Parameter(torch.ones(2, dtype=torch.float64))
        self.idle = nn.Parameter(torch.ones(3, dtype=torch.float64))

    def forward(self, x):
        return torch.stack([x.sum(1), x[:, 0] * self.used[0]], dim=1)


@pytest.mark.parametrize("names", [None, ["used"]])
@pytest.mark.parametrize("engine", GENERAL)
@pytest.mark.filterwarnings("ignore:these parameters reach no output")
def test_what_reaches_no_output_has_zero_columns(names, engine):
    x = torch.randn(3, 2, dtype=torch.float64)
    found = jacobian(Idle(), x, params=names, engine=engine).dense()
    wanted = torch.zeros(6, 5, dtype=torch.float64)
    wanted[1::2, 0] = x[:, 0]
    assert torch.equal(found, wanted if names is None else wanted[:, :2])


class Control(nn.Module):
    """Python control flow on values, which torch.func cannot trace."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2, dtype=torch.float64)

    def forward(self, x):
        return torch.stack([self.layer(row) * (2.0 if row.sum().item() > 0 else 1.0) for row in x])


def test_auto_falls_back_to_loop_and_says_so():
    model, x = Control(), torch.randn(4, 3, dtype=torch.float64)
    with pytest.warns(UserWarning, match=r"'jacrev' cannot run this model .*'loop'") as caught:
        J = jacobian(model, x)
    assert caught[0].filename == __file__
    assert J.engine.name == "loop"
    torch.testing.assert_close(J.dense(), explicit_rows(model, x))


@pytest.mark.parametrize(
    ("build", "engine"),
    [
        (lambda: build_adapter("lora", 3, 2, dtype=torch.float64), "structured"),
        (lambda: nn.Linear(3, 2, dtype=torch.float64), "jacrev"),
    ],
)
def test_auto_takes_the_engine_of_its_rule(build, engine):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert jacobian(build(), torch.randn(2, 3, dtype=torch.float64)).engine.name == engine


def test_part_of_an_adapter_is_any_module():
    model, x = build_adapter("lora", 3, 2, dtype=torch.float64), torch.randn(2, 3).double()
    assert jacobian(model, x, params=["A"]).engine.name == "jacrev"
    assert_engines_equal(model, x, ["A"])
    with pytest.raises(InputError, match=r"'structured' needs an adapter .* not LoRA with 1"):
        jacobian(model, x, params=["A"], engine="structured")
    with pytest.raises(InputError, match=r"'structured' needs an adapter .* not Linear with 2"):
        jacobian(nn.Linear(3, 2), x.float(), engine="structured")


@pytest.mark.parametrize(
    ("method", "frozen"),
    [("lora", "A"), ("lora", "B"), ("tensorguide", "cores.0"), ("tt-lora", "cores2.1")],
)
def test_closed_forms_do_not_count_a_frozen_factor(method, frozen):
    """LoRA with one factor frozen is a method of its own; its kernel has one term."""
    sizes = {"width": 8} if method == "tensorguide" else {"rank": 3}
    model = build_adapter(method, 6, 2, dtype=torch.float64, **sizes)
    model.get_parameter(frozen).requires_grad_(False)
    x = torch.randn(7, 6, dtype=torch.float64)
    rows = explicit_rows(model, x)
    J = jacobian(model, x)
    torch.testing.assert_close(J.dense(), rows)
    torch.testing.assert_close(J.gram(), rows @ rows.T)
    torch.testing.assert_close(J.dual_gram(), rows.T @ rows)


def test_unknown_engine_and_chunk():
    model, x = nn.Linear(3, 2), torch.randn(2, 3)
    with pytest.raises(InputError, match="unknown engine 'jacref': did you mean 'jacrev'"):
        jacobian(model, x, engine="jacref")
    for chunk in (0, -3):
        with pytest.raises(InputError, match=f"chunk = {chunk} must be at least 1"):
            jacobian(model, x, chunk=chunk)


def test_saved_bytes_grow_with_what_a_pass_keeps():
    def saved(width):
        model = nn.Sequential(nn.Linear(5, width), nn.Tanh(), nn.Linear(width, 1)).double()
        return Functional(model, torch.randn(2, 5, dtype=torch.float64)).saved_bytes

    widths = [saved(w) for w in (4, 8, 16, 64)]
    assert widths == sorted(set(widths))
    # tanh keeps its output, the second layer its input: one storage, counted once, beside the
    # input of the first layer. The second's weight is kept too, but once for all samples.
    assert saved(16) == 8 * (16 + 5)


def test_weights_are_no_samples_memory():
    """A large frozen layer does not make the batches of the engine small."""

    def needed(hidden):
        model = nn.Sequential(nn.Linear(4, hidden), nn.Linear(hidden, 4), nn.Linear(4, 1))
        model[:2].requires_grad_(False)
        model[0].weight.requires_grad_(True)
        return Functional(model, torch.randn(2, 4)).saved_bytes

    assert needed(4096) - needed(2048) < 4 * 2048 * 4 / 2


@pytest.mark.parametrize("engine", GENERAL)
def test_bytes_per_sample_grow_with_the_model(engine):
    def needed(width, outputs):
        model = nn.Sequential(nn.Linear(5, width), nn.Tanh(), nn.Linear(width, outputs))
        return jacobian(model, torch.randn(2, 5), engine=engine).bytes_per_sample

    assert 0 < needed(4, 1) < needed(16, 1) < needed(16, 6)


def test_products_by_every_engine():
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    x = torch.randn(5, 3, dtype=torch.float64)
    dense = explicit_rows(model, x)
    v, u = torch.randn(26, 3, dtype=torch.float64), torch.randn(10, 3, dtype=torch.float64)
    for engine in GENERAL:
        J = jacobian(model, x, engine=engine, chunk=2)
        torch.testing.assert_close(J @ v, dense @ v)
        torch.testing.assert_close(J @ v[:, 0], dense @ v[:, 0])
        torch.testing.assert_close(J.T @ u, dense.T @ u)
        torch.testing.assert_close(J.T @ u[:, 0], dense.T @ u[:, 0])


@pytest.mark.parametrize("engine", GENERAL)
def test_float32_models_are_as_good_as_float32(engine):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2))
    x = torch.randn(4, 3)
    J = jacobian(model, x, engine=engine)
    assert (J.dtype, J.dense().dtype, J.gram().dtype) == (torch.float32, *[torch.float64] * 2)
    exact = explicit_rows(model.double(), x.double())
    torch.testing.assert_close(J.dense(), exact, rtol=1e-5, atol=1e-6)
