"""Every method of peft on a tiny Llama in float64: kernels against an explicit loop, or refused."""

import copy
import warnings

import pytest
import torch
from torch import nn

import ntklab
from ntklab.errors import InputError
from ntklab.jacobians.guards.derivative import check_derivative

peft = pytest.importorskip("peft")

from ntklab.adapters.inject.peft import REFUSED, inject_peft, peft_methods  # noqa: E402

WIDTH = 16


class TwoWords(nn.Module):
    """Logits of two words at the last position."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, **inputs):
        return self.model(**inputs).logits[:, -1, [3, 5]]


@pytest.fixture
def model():
    """Llama whose norms do not round to float32 inside, so that differences mean something."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=23,
        hidden_size=WIDTH,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=32,
        initializer_range=0.3,
    )
    built = transformers.LlamaForCausalLM(config).double().eval()
    for name, module in list(built.named_modules()):
        if type(module).__name__ == "LlamaRMSNorm":
            parent, _, leaf = name.rpartition(".")
            setattr(built.get_submodule(parent), leaf, nn.RMSNorm(WIDTH, 1e-6).double())
    return built


def inputs(method):
    ids = torch.randint(0, 5, (2, 5), generator=torch.Generator().manual_seed(0))
    tasks = method in ("poly", "multitask-prompt-tuning")
    return {"input_ids": ids} | ({"task_ids": torch.zeros(2, dtype=torch.long)} if tasks else {})


def explicit(model, x):
    params = [p for p in model.parameters() if p.requires_grad]
    for parameter in params:
        (parameter._backward_hooks or {}).clear()  # OSF's, which rows are without
    rows = []
    for n in range(2):
        for c in range(2):
            output = model(**{name: value[n : n + 1] for name, value in x.items()})[0, c]
            grads = torch.autograd.grad(output, params, materialize_grads=True)
            rows.append(torch.cat([grad.flatten() for grad in grads]))
    return torch.stack(rows)


def needs_a_package(error):
    return "needs another package" in str(error)


@pytest.fixture
def wrapped(model, request):
    method = request.param
    try:
        built = inject_peft(model, method, target_modules=["q_proj", "v_proj"])
    except InputError as error:
        if needs_a_package(error):
            pytest.skip(str(error))
        raise
    generator = torch.Generator().manual_seed(7)
    for parameter in built.parameters():
        if parameter.requires_grad:
            draw = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.data.add_(0.1 * draw)
    return method, TwoWords(built)


# Rounded to float32 inside, whatever the model's dtype.
SINGLE_INSIDE = {"deft"}
# Measured with peft 0.21: training does not follow the derivative of the outputs.
OTHER_DERIVATIVE = {"dora", "c3a", "cpt", "osf"}


@pytest.mark.parametrize("wrapped", peft_methods(), indirect=True)
def test_kernels_equal_an_explicit_loop(wrapped):
    method, model = wrapped
    x = inputs(method)
    wanted = explicit(model, x)
    tolerance = 1e-6 if method in SINGLE_INSIDE else 1e-9
    for engine in ("loop", "auto"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # auto says that it took `loop`
            found = ntklab.jacobian(model, x, engine=engine).dense()
        torch.testing.assert_close(
            found, wanted, rtol=0, atol=tolerance * float(wanted.abs().max())
        )
    assert wanted.abs().max() > 0
    assert model(**x).requires_grad, "the model can be trained afterwards"


@pytest.mark.parametrize("wrapped", peft_methods(), indirect=True)
def test_autograd_is_the_derivative_or_is_reported(wrapped):
    method, model = wrapped
    if method in SINGLE_INSIDE:
        pytest.skip("differences of outputs that are rounded to float32 inside decide nothing")
    check = check_derivative(model, inputs(method))
    assert check.exact == (method not in OTHER_DERIVATIVE), check


def test_at_least_25_methods():
    assert len(peft_methods()) >= 25


@pytest.mark.parametrize("method", sorted(REFUSED))
def test_refused_in_one_sentence(model, method):
    with pytest.raises(InputError, match=f"peft's method '{method}' ") as caught:
        inject_peft(model, method, target_modules=["q_proj"])
    assert "\n" not in str(caught.value)


def test_sentences(model):
    with pytest.raises(InputError, match="unknown peft method 'dorra': did you mean 'dora'"):
        inject_peft(model, "peft:dorra", target_modules=["q_proj"])
    with pytest.raises(InputError, match=r"peft's method 'lora' refuses: .*rank|r"):
        inject_peft(model, "lora", target_modules=["q_proj"], r=-1)


def test_layers_and_seeds(model):
    from copy import deepcopy

    other = deepcopy(model)
    one = inject_peft(model, "lora", target_modules=["q_proj"], layers="-1:", seed=1)
    two = inject_peft(other, "lora", target_modules=["q_proj"], layers="-1:", seed=1)
    names = [name for name, p in one.named_parameters() if p.requires_grad]
    assert len(names) == 2
    assert all(".layers.1.self_attn.q_proj." in name for name in names)
    pairs = zip(one.parameters(), two.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert {p.dtype for p in one.parameters()} == {torch.float64}
    assert not one.training


def test_single_precision_inside_a_double_model_is_told(model):
    configuration = peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=2)
    wrapped = TwoWords(peft.get_peft_model(model, configuration).eval())
    with pytest.warns(UserWarning, match=r"are torch.float32 inside a model of torch.float64"):
        ntklab.jacobian(wrapped, inputs("prompt-tuning"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ntklab.jacobian(wrapped.double(), inputs("prompt-tuning"))
    assert not [w for w in caught if "inside a model of" in str(w.message)]


def test_adapters_finer_than_the_model_are_no_reason_to_warn():
    two = nn.Sequential(nn.Linear(3, 3).bfloat16(), nn.Identity())
    two[1].extra = nn.Parameter(torch.zeros(1))
    from ntklab.jacobians.model import warn_of_single_precision

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_single_precision(dict(two.named_parameters()), ["1.extra"])


@pytest.mark.parametrize("method", ["vera", "fourierft", "waveft", "shira", "randlora"])
def test_a_seed_draws_what_a_method_freezes(model, method):
    """peft takes it from keys of its own: equal for all seeds unless they are set."""

    def outputs(seed):
        built = inject_peft(copy.deepcopy(model), method, target_modules=["q_proj"], seed=seed)
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for value in (p for p in built.parameters() if p.requires_grad):
                value.copy_(torch.rand(value.shape, generator=generator))
            return built(**inputs(method)).logits

    torch.testing.assert_close(outputs(3), outputs(3))
    assert float((outputs(3) - outputs(4)).abs().max()) > 1e-6
