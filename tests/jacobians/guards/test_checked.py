"""Engines beside `loop` on the model at hand: wrong rules, failures, third parties."""

import warnings

import pytest
import torch
from torch import nn

from ntklab import InputError, jacobian, ntk, spectrum
from ntklab.adapters import LoRA, TensorGuide, build_adapter
from ntklab.jacobians import ENGINES
from ntklab.jacobians.choice import AUTO
from ntklab.jacobians.engines.jacrev import Jacrev
from ntklab.jacobians.engines.loop import Loop
from ntklab.jacobians.engines.vjp_jvp import VjpJvp
from ntklab.jacobians.guards.agreement import noise_floor, tolerance, worst_entry
from ntklab.jacobians.operator import Jacobian

CPU = torch.device("cpu")


def double(*size):
    return torch.randn(*size, dtype=torch.float64)


def network():
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()


@pytest.fixture
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize("size", [3, 4])
def test_a_wrong_batching_rule_is_found_and_said_once(size):
    """PReLU under vmap(jacrev), where batch and outputs are equally many (torch 2.13)."""
    model = nn.Sequential(nn.Linear(6, 3), nn.PReLU(), nn.Linear(3, size)).double()
    x = double(size, 6)
    truth = jacobian(model, x, engine="loop").dense()
    unchecked = jacobian(model, x, engine="jacrev", check=False).dense()
    if float((unchecked - truth).abs().max()) < 1e-9:
        pytest.skip("this torch has the rule right")
    J = jacobian(model, x)
    with pytest.warns(UserWarning, match="'jacrev' is wrong for this model, since ") as caught:
        torch.testing.assert_close(J.dense(), truth)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        torch.testing.assert_close(J.gram(), truth @ truth.T)
    with pytest.raises(InputError, match=r"is -?[\d.e-]+ by it and -?[\d.e-]+ by 'loop': use"):
        ntk(model, x, engine="jacrev")


class Off(Jacrev):
    """Right but for one sample in batches of one size."""

    name = "off"
    size, sample, entry, amount = 5, 0, 0, 1e-3

    def rows(self, x):
        rows = super().rows(x)
        if len(x) == self.size:
            rows[self.sample, -1, self.entry] += self.amount * rows.abs().max()
        return rows


@pytest.fixture
def off(monkeypatch):
    kind = type("Off", (Off,), {})
    monkeypatch.setitem(ENGINES, "off", kind)
    return kind


@pytest.mark.parametrize("sample", [0, -1])
@pytest.mark.parametrize("size", [5, 3])
def test_the_chunk_in_use_and_the_last_shorter_one_are_compared(off, size, sample):
    off.size, off.sample = size, sample
    J = jacobian(network(), double(13, 3), engine="off", chunk=5)
    with pytest.raises(InputError, match="engine 'off' is wrong for this model"):
        J.dense()


def test_chunks_of_one_are_compared_on_two_samples(off, monkeypatch):
    asked = []
    rows = Loop.rows

    def counting(self, x):
        asked.append(len(x))
        return rows(self, x)

    monkeypatch.setattr(Loop, "rows", counting)
    J = jacobian(network(), double(7, 3), engine="off", chunk=1)
    J.dense()
    assert asked == [1, 1]
    J.gram()
    J.dual_gram()
    assert asked == [1, 1]
    jacobian(network(), double(7, 3), engine="off", chunk=3, check=False).dense()
    assert asked == [1, 1]


def test_a_small_parameter_does_not_hide_behind_a_large_one(off):
    model = network()
    model[0].weight.data *= 1e-3
    x, amount = 1e4 * double(5, 3), 1e-12
    model[2].bias.requires_grad_(False)
    scale = jacobian(model, x, engine="loop").dense().abs().max()
    off.entry, off.amount = 12, amount  # the first entry of a bias, 1e-4 of the weights' gradients
    off.rows = lambda self, x: Jacrev.rows(self, x) + 1e-6 * (torch.arange(24) == 12)
    assert float(scale) > 1e2
    with pytest.raises(InputError, match=r"∂f_0/∂0.bias\[0\]"):
        jacobian(model, x, engine="off").dense()


def test_auto_goes_through_its_engines_in_order(off, monkeypatch):
    monkeypatch.setattr("ntklab.jacobians.choice.AUTO", (off, Jacrev, Loop))
    model, x = network(), double(5, 3)
    J = jacobian(model, x)
    assert J.engine.name == "off"
    with pytest.warns(UserWarning, match="'off' is wrong .* going on with 'jacrev'"):
        rows = J.dense()
    assert J.engine.name == "jacrev"
    torch.testing.assert_close(rows, jacobian(model, x, engine="loop").dense())
    assert AUTO[-1] is Loop


def test_an_engine_that_fails_in_mid_run_gives_way(monkeypatch):
    class Tired(Jacrev):
        name = "tired"

        def rows(self, x):
            if float(x[0, 0]) > 100:
                raise RuntimeError("no more\nof this")
            return super().rows(x)

    monkeypatch.setattr("ntklab.jacobians.choice.AUTO", (Tired, Loop))
    monkeypatch.setitem(ENGINES, "tired", Tired)
    model, x = network(), double(9, 3)
    x[6, 0] = 200.0
    J = jacobian(model, x, chunk=3)
    with pytest.warns(UserWarning, match=r"'tired' cannot run this model \(no more\)") as caught:
        rows = J.dense()
    assert len(caught) == 1
    torch.testing.assert_close(rows, jacobian(model, x, engine="loop").dense())
    with pytest.raises(InputError, match=r"'tired' cannot run this model \(no more\): use"):
        jacobian(model, x, chunk=3, engine="tired").dense()


class Skewed(VjpJvp):
    name = "skewed"

    def matvec(self, x, v):
        return super().matvec(x, v) * 1.001

    def rmatvec(self, x, u):
        return super().rmatvec(x, u) * (1.001 if len(x) == 2 else 1.0)


def test_products_are_compared_whatever_the_vector(monkeypatch):
    monkeypatch.setitem(ENGINES, "skewed", Skewed)
    model, x = network(), double(5, 3)
    J = jacobian(model, x, engine="skewed", chunk=3)
    for v in (torch.zeros(26, dtype=torch.float64), double(26, 2)):
        with pytest.raises(InputError, match=r"entry \d, \d of J v at sample"):
            _ = J @ v
    with pytest.raises(InputError, match="of Jᵀu by "):
        _ = J.T @ torch.zeros(10, dtype=torch.float64)
    J = jacobian(model, x, engine="skewed", check=False)
    assert float((J @ torch.zeros(26, dtype=torch.float64)).abs().max()) == 0


class Forgets(LoRA):
    """A third party's adapter, whose closed form forgets a factor."""

    def decoupled(self, features):
        parts = super().decoupled(features)
        return type(parts)(1.01 * parts.shared, parts.coupled, parts.factor, parts.n_outputs)


class WrongWidth(TensorGuide):
    """Another, whose tangents of the factors are off; its rows are right."""

    def factor_tangents(self):
        tangents = super().factor_tangents()
        tangents.by_second.mul_(1.01)
        return tangents


def test_closed_forms_of_third_parties_are_compared(quiet):
    x = double(4, 6)
    own = build_adapter("lora", 6, 3, rank=2, dtype=torch.float64)
    theirs = Forgets(6, 3, 2, dtype=torch.float64)
    theirs.load_state_dict(own.state_dict())
    truth = jacobian(own, x, engine="loop").dense()
    torch.testing.assert_close(ntk(theirs, x), truth @ truth.T)
    torch.testing.assert_close(ntk(theirs, x, x[:2], "trace"), ntk(own, x, x[:2], "trace"))
    value, wanted = (spectrum(jacobian(m, x)).lambda_max for m in (theirs, own))
    assert value == pytest.approx(wanted, rel=1e-12)
    with pytest.raises(InputError, match=r"entry .* of the kernel is .* by it and"):
        ntk(theirs, x, engine="structured")


def test_dual_forms_of_third_parties_are_compared(quiet):
    shape = build_adapter("tensorguide", 6, 900, width=4).shape
    theirs = WrongWidth(6, 900, 4, shape=shape, activation="identity", dtype=torch.float64)
    x = double(5, 6)
    rows = jacobian(theirs, x, engine="jacrev").dense()
    torch.testing.assert_close(jacobian(theirs, x).dual_gram(), rows.T @ rows)
    with pytest.raises(InputError, match=r"entry \d+, \d+ of JᵀJ"):
        jacobian(theirs, x, engine="structured").dual_gram()


def test_own_adapters_are_not_run_again_but_hooked_ones_are(monkeypatch):
    calls = []
    rows = Loop.rows
    monkeypatch.setattr(Loop, "rows", lambda self, x: calls.append(len(x)) or rows(self, x))
    head, x = build_adapter("tensorguide", 6, 2, width=8, dtype=torch.float64), double(4, 6)
    jacobian(head, x).gram()
    assert calls == []
    handle = head.register_forward_hook(lambda module, args, output: 2 * output)
    with pytest.warns(UserWarning, match="'structured' is wrong for this model"):
        doubled = jacobian(head, x).dense()
    handle.remove()
    torch.testing.assert_close(doubled, 2 * jacobian(head, x).dense())


def test_adapters_on_sequences_go_by_another_engine(quiet):
    head, x = build_adapter("lora", 6, 2, rank=2, dtype=torch.float64), double(3, 4, 6)
    J = jacobian(head, x)
    assert J.engine.name == "jacrev"
    torch.testing.assert_close(J.dense(), jacobian(head, x, engine="loop").dense())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_rounding_is_no_disagreement(dtype):
    """Deep networks in their own dtype, where engines sum in another order."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for seed in range(5):
            torch.manual_seed(seed)
            layers = [m for _ in range(6) for m in (nn.Linear(9, 9), nn.LayerNorm(9), nn.GELU())]
            model = nn.Sequential(*layers, nn.Linear(9, 2)).to(dtype)
            for engine in ("jacrev", "auto"):
                assert jacobian(model, torch.randn(5, 9).to(dtype), engine=engine).dense().any()


def test_tolerances_lie_between_rounding_and_wrong_rules():
    for dtype, rounding in [(torch.float64, 1e-12), (torch.float32, 1e-4)]:
        assert rounding < tolerance(dtype, CPU) < 0.01
        assert noise_floor(dtype, CPU) < tolerance(dtype, CPU)
    assert tolerance(torch.bfloat16, CPU) < 0.5


def test_numbers_that_are_none():
    nan, one = torch.tensor([float("nan")]), torch.ones(1)
    assert worst_entry(nan, nan, one, str) is None
    assert worst_entry(nan, one, one, str).wanted == 1
    assert worst_entry(one, nan, one, str).value == 1
    assert worst_entry(one / 0, one / 0, one, str) is None
    assert "shape" in str(worst_entry(one, torch.ones(2), one, str))


def test_an_engine_given_by_hand_is_compared_too(off):
    model, x = network(), double(5, 3)
    functional = jacobian(model, x).engine.functional
    with pytest.raises(InputError, match="'off' is wrong"):
        Jacobian(off(functional), x).dense()
