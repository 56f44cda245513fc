"""A call leaves the model, the random state and the modes around it as they were."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from ntklab import InputError, jacobian, ntk

GENERAL = ("auto", "loop", "jacrev", "vjp-jvp")


def double(*size):
    return torch.randn(*size, dtype=torch.float64)


class Counting(nn.Module):
    """Counts its calls, in place or by another tensor, and keeps what it saw last."""

    def __init__(self, how="in place"):
        super().__init__()
        self.layer, self.how = nn.Linear(3, 2, dtype=torch.float64), how
        self.register_buffer("calls", torch.zeros((), dtype=torch.float64))
        self.register_buffer("memory", torch.zeros(2, dtype=torch.float64))

    def forward(self, x):
        y = self.layer(x)
        if self.how == "in place":
            self.calls += 1
        elif self.how == "rebound":
            self.calls = self.calls + 1
        elif self.how == "remembers":
            y = y + self.memory
            self.memory.copy_(y[0].detach())
        elif self.how == "trains":
            with torch.no_grad():
                self.layer.weight.mul_(0.9)
        elif self.how == "attribute":
            self.seen = getattr(self, "seen", 0) + 1
            y = y * self.seen
        return y


def snapshot(model):
    return {
        "state": copy.deepcopy(model.state_dict()),
        "training": [m.training for m in model.modules()],
        "grads": [(p.requires_grad, p.grad) for p in model.parameters()],
        "tensors": [id(t) for t in (*model.parameters(), *model.buffers())],
        "hooks": [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()],
        "random": torch.get_rng_state(),
    }


def assert_same(model, before):
    after = snapshot(model)
    for name in ("training", "grads", "tensors", "hooks"):
        assert after[name] == before[name], name
    assert torch.equal(after["random"], before["random"])
    for name, value in before["state"].items():
        assert torch.equal(after["state"][name], value), name


@pytest.mark.parametrize("engine", GENERAL)
@pytest.mark.parametrize("how", ["in place", "rebound"])
def test_a_counter_counts_no_calls_of_ours(engine, how):
    model, x, v = Counting(how), double(4, 3), double(8)
    before = snapshot(model)
    J = jacobian(model, x, engine=engine)
    torch.testing.assert_close(J.gram(), ntk(model.layer, x))
    _ = J @ v
    assert_same(model, before)


@pytest.mark.parametrize("engine", GENERAL)
@pytest.mark.filterwarnings("ignore:engine 'jacrev' cannot run")
def test_every_kind_of_state_is_left(engine):
    model = nn.Sequential(
        nn.Conv1d(2, 3, 2), nn.BatchNorm1d(3), nn.InstanceNorm1d(3, track_running_stats=True)
    )
    model = model.double().eval()
    model.add_module("last", nn.Flatten().train())
    model[2].train()  # normalizes by the sample alone, and keeps statistics all the same
    x, before = double(4, 2, 5), snapshot(model)
    if engine == "jacrev":
        with pytest.raises(InputError, match=r"'jacrev' cannot run this model .*running_mean"):
            jacobian(model, x, engine=engine).gram()
    else:
        jacobian(model, x, engine=engine).gram()
    assert_same(model, before)


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (Counting("remembers"), "depend on its earlier calls, which change 'memory'"),
        (Counting("attribute"), "other outputs when it is called again"),
        (Counting("trains"), "changes its parameter 'layer.weight' whenever it runs"),
        (parametrizations.spectral_norm(nn.Linear(3, 2)), r"\(_SpectralNorm\) is in training mode"),
        (nn.utils.spectral_norm(nn.Linear(3, 2)), "this Linear is in training mode, .*earlier"),
        (nn.Sequential(nn.Linear(3, 2), nn.RReLU()), r"'1' \(RReLU\) is in training .*chance"),
        (nn.BatchNorm1d(3, track_running_stats=False).eval(), "no running statistics"),
        (nn.LSTM(3, 2, 2, dropout=0.5), "this LSTM is in training mode, .*chance"),
        (nn.MultiheadAttention(3, 1, dropout=0.5), "this MultiheadAttention is in training"),
        (nn.Embedding(4, 2, max_norm=1.0), "set max_norm = None"),
        (nn.Embedding(4, 2, scale_grad_by_freq=True), "set scale_grad_by_freq = False"),
    ],
)
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_models_that_are_no_function_of_a_sample(model, sentence):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    for engine in GENERAL:
        with pytest.raises(InputError, match=sentence):
            ntk(model.double(), double(4, 3), engine=engine)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name].to(value)), name


@pytest.mark.parametrize("engine", GENERAL)
def test_spectral_norm_in_evaluation_mode(engine):
    model, x = parametrizations.spectral_norm(nn.Linear(3, 2)).double().eval(), double(4, 3)
    first, second = ntk(model, x, engine=engine), ntk(model, x, engine=engine)
    torch.testing.assert_close(first, second, rtol=0, atol=0)


MODES = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "enable_grad": torch.enable_grad,
}


@pytest.mark.parametrize("engine", GENERAL)
@pytest.mark.parametrize("mode", MODES)
def test_modes_around_a_call_make_no_difference(engine, mode):
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    x, v, u = torch.randn(4, 3), torch.randn(26), torch.randn(8)
    plain = jacobian(model, x, engine=engine)
    with MODES[mode]():
        J = jacobian(model, x, engine=engine)
        for first, second in [
            (J.gram(), plain.gram()),
            (J.dense(), plain.dense()),
            (J @ v, plain @ v),
            (J.T @ u, plain.T @ u),
        ]:
            torch.testing.assert_close(first, second, rtol=1e-6, atol=1e-6)
            assert not first.requires_grad
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("engine", GENERAL)
def test_models_and_inputs_made_in_inference_mode(engine):
    with torch.inference_mode():
        model, x = nn.Linear(3, 2).double(), double(4, 3)
        inside = ntk(model, x, engine=engine)
    torch.testing.assert_close(inside, ntk(model, x, engine=engine))
    torch.testing.assert_close(inside, ntk(model, x.clone(), engine="loop"))


def test_inputs_with_a_graph_of_their_own():
    model, x = nn.Linear(3, 2).double(), double(4, 3).requires_grad_()
    for engine in GENERAL:
        assert not jacobian(model, x, engine=engine).dense().requires_grad
    assert x.grad is None


class Experts(nn.Module):
    """One of two layers, by the sign of a sample's sum; and one that no sample meets."""

    def __init__(self):
        super().__init__()
        self.positive, self.negative, self.idle = (nn.Linear(3, 2).double() for _ in range(3))

    def forward(self, x):
        return torch.stack([(self.positive if row.sum() > 0 else self.negative)(row) for row in x])


@pytest.mark.filterwarnings("ignore:engine 'jacrev' cannot run")
def test_parameters_that_reach_no_output_are_named():
    model, x = Experts(), torch.ones(9, 3).double()
    x[8] = -1.0
    with pytest.warns(UserWarning, match="zero there: 'idle.weight', 'idle.bias'") as caught:
        J = jacobian(model, x)
    assert caught[0].filename == __file__
    assert J.shape == (18, 24)
    with pytest.raises(InputError, match=r"none of the parameters asked for \('idle.weight'"):
        jacobian(model, x, params=["idle.*"])
    assert jacobian(model, x, params=["negative.*"]).dense().any()


def test_a_merged_adapter_of_peft_is_an_error():
    peft = pytest.importorskip("peft", reason="peft (extra hf) is not installed")
    config = peft.LoraConfig(r=2, target_modules=["0"], init_lora_weights=False)
    model = peft.get_peft_model(nn.Sequential(nn.Linear(3, 2)), config).double().eval()
    assert ntk(model, double(4, 3)).any()
    model.merge_adapter()
    with pytest.raises(InputError, match=r"reaches the outputs of 4 samples tried, .* merged"):
        ntk(model, double(4, 3))
