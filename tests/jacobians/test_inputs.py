"""Inputs and models as people have them: each works, or is one sentence that says what to do."""

import numpy as np
import pytest
import torch
from torch import nn

from ntklab import InputError, build_adapter, jacobian, ntk
from ntklab.jacobians.inputs import as_inputs, gather, sample_axes

GENERAL = ("auto", "loop", "jacrev", "vjp-jvp")


def double(*size):
    return torch.randn(*size, dtype=torch.float64)


def network():
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()


class Two(nn.Module):
    """Two positional tensors and a flag."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2, dtype=torch.float64)

    def forward(self, first, second, squared=False):
        product = self.layer(first) * second
        return product.square() if squared else product


@pytest.mark.parametrize("engine", GENERAL)
@pytest.mark.parametrize("container", [tuple, list])
@pytest.mark.parametrize("squared", [(), (True,), (None,)])
def test_several_positional_arguments(engine, container, squared):
    model, first, second = Two(), double(4, 3), double(4, 2)
    rows = jacobian(model, container([first, second, *squared]), engine=engine).dense()
    leaves = list(model.parameters())
    for n in range(4):
        outputs = model(first[n : n + 1], second[n : n + 1], *squared).reshape(-1)
        for c in range(2):
            grads = torch.autograd.grad(outputs[c], leaves, retain_graph=True)
            wanted = torch.cat([grad.reshape(-1) for grad in grads])
            torch.testing.assert_close(rows[2 * n + c], wanted)
    named = {"second": second, "first": first, "squared": squared[0] if squared else False}
    torch.testing.assert_close(jacobian(model, named, engine=engine).dense(), rows)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_numpy_arrays_take_the_models_dtype(dtype):
    array = np.arange(12.0).reshape(4, 3).astype(dtype)
    for model in (network(), network().float()):
        x = torch.as_tensor(array).to(next(model.parameters()).dtype)
        torch.testing.assert_close(ntk(model, array), ntk(model, x))
        torch.testing.assert_close(ntk(model, array[::-1]), ntk(model, x.flip(0)))
    array.flags.writeable = False
    before = array.copy()
    ntk(network(), array)
    assert np.array_equal(array, before)


def test_numpy_arrays_of_tokens_stay_whole_numbers():
    model = nn.Sequential(nn.Embedding(5, 2), nn.Flatten()).double()
    tokens = np.array([[0, 1], [4, 2]])
    torch.testing.assert_close(ntk(model, tokens), ntk(model, torch.as_tensor(tokens)))
    head = build_adapter("lora", 3, 2, dtype=torch.float64)
    assert jacobian(head, np.ones((4, 3))).engine.name == "structured"


def test_products_with_numpy_vectors():
    J = jacobian(network(), double(4, 3))
    v, u = np.arange(26.0), np.arange(8.0)
    torch.testing.assert_close(J @ v, J.dense() @ torch.as_tensor(v))
    torch.testing.assert_close(J.T @ u, J.dense().T @ torch.as_tensor(u))


@pytest.mark.parametrize(
    ("x", "sentence"),
    [
        ([[1.0, 2.0, 3.0]], "inputs are a list of float: give a tensor"),
        (3.0, "inputs are of type float: give a tensor"),
        (None, "inputs are of type NoneType"),
        ("text", "inputs are of type str"),
        (np.array(["a"]), "a numpy array of <U1 holds no numbers: give numbers"),
        ((), "inputs hold no tensor"),
        (torch.ones(4, 3).to("meta"), "on the meta device: give one with values"),
        (torch.ones(4, 3).to_sparse(), r"stored as torch.sparse_coo: give a dense one"),
        (torch.nested.nested_tensor([torch.ones(3)]), "nested tensor: give a dense one"),
        (
            torch.ones(4, 7).double(),
            r"fails on a sample of shape \(1, 7\) \(mat1 and mat2 .*samples",
        ),
        (torch.ones(4, 3), r"inputs are torch.float32 and the model's parameters torch.float64"),
        ({"y": torch.ones(4, 3)}, "unexpected keyword argument 'y'"),
        ((torch.ones(4, 3), torch.ones(5, 3)), "inputs hold 4 and 5 samples"),
    ],
)
def test_inputs_that_cannot_be_taken(x, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        ntk(network(), x)
    assert "\n" not in str(caught.value)


def test_second_inputs_of_another_kind():
    head = build_adapter("lora", 3, 2, dtype=torch.float64)
    for model in (network(), head):
        with pytest.raises(InputError, match=r"fails on a sample of shape \(1, 7\)"):
            ntk(model, double(4, 3), double(4, 7))
    longer = nn.Embedding(5, 2).double()
    with pytest.raises(InputError, match="gives 8 for the first inputs and 10 for the second"):
        ntk(longer, torch.zeros(3, 4).long(), torch.zeros(3, 5).long())


@pytest.mark.parametrize("wrap", [nn.DataParallel, torch.compile])
def test_shells_are_taken_off(wrap):
    model, x = network(), double(4, 3)
    J = jacobian(wrap(model), x, params=["2.*"])
    assert J.engine.functional.names == ["2.weight", "2.bias"]
    torch.testing.assert_close(J.dense(), jacobian(model, x, params=["2.*"]).dense())


class Complex(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 2, dtype=torch.complex128))
        self.bias = nn.Parameter(double(2))

    def forward(self, x):
        return (x.to(self.weight.dtype) @ self.weight).abs() + self.bias


class Wrapped(nn.Module):
    """A layer, and what happens to its outputs."""

    def __init__(self, change):
        super().__init__()
        self.layer, self.change = nn.Linear(3, 2, dtype=torch.float64), change

    def forward(self, x):
        return self.change(self.layer(x))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: torch.sin, "the model is of type builtin_function_or_method: give an nn.Module"),
        (lambda: nn.Linear, "the model is the class Linear: give an instance"),
        (lambda: torch.jit.script(network()), "since it was scripted or traced: give the module"),
        (lambda: torch.jit.trace(network(), double(2, 3)), "since it was scripted or traced"),
        (
            lambda: nn.Sequential(torch.jit.trace(network(), double(2, 3)), nn.Tanh()),
            "since its part '0' was scripted or traced",
        ),
        (Complex, "parameter 'weight' is torch.complex128: kernels are of real parameters"),
        (lambda: network().to("meta"), "parameter '0.weight' is on the meta device"),
        (lambda: nn.LazyLinear(2), "parameter 'weight' has no shape yet: run the model once"),
        (lambda: Wrapped(lambda y: y.argmax(-1)), "outputs are torch.int64, .* real numbers"),
        (lambda: Wrapped(lambda y: torch.complex(y, y)), "outputs are torch.complex128"),
        (lambda: Wrapped(lambda y: y.detach()), r"none of the parameters .* \('layer.weight'"),
        (lambda: Wrapped(lambda y: y / 0 if len(y) > 9 else {}["no"]), r"fails on a sample .*'no'"),
    ],
)
def test_models_that_cannot_be_taken(build, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        ntk(build(), double(4, 3))
    assert "\n" not in str(caught.value)


def test_real_parameters_beside_complex_ones():
    x = double(4, 3)
    J = jacobian(Complex(), x, params=["bias"])
    torch.testing.assert_close(J.dense(), torch.eye(2).double().repeat(4, 1))


def test_an_engine_by_name_that_torch_cannot_run_is_a_sentence():
    model, x = (
        nn.TransformerEncoderLayer(4, 2, 5, batch_first=True).double().eval(),
        double(3, 2, 4),
    )
    sentence = r"engine 'vjp-jvp' cannot run this model \(.*\): use engine='auto' or 'loop'.$"
    with pytest.raises(InputError, match=sentence):
        jacobian(model, x, engine="vjp-jvp").dense()
    rows = jacobian(model, x).dense()
    torch.testing.assert_close(rows, jacobian(model, x, engine="loop").dense())


@pytest.mark.parametrize("engine", GENERAL)
def test_parameters_of_two_dtypes(engine):
    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(3, 4), nn.Linear(4, 2).double()

        def forward(self, x):
            return self.second(self.first(x).double())

    model, x = Mixed(), torch.randn(4, 3)
    rows = jacobian(model, x, engine=engine).dense()
    exact = jacobian(model.double().first, x.double(), engine="loop")
    assert rows.shape == (8, 26)
    assert exact.shape[1] == 16
    torch.testing.assert_close(rows[::2, 24:], torch.tensor([[1.0, 0.0]]).double().expand(4, -1))


def test_leaves_that_are_no_tensors_stay():
    x = as_inputs([np.zeros((3, 2)), None, {"a": [torch.ones(3)]}], network())
    assert sample_axes(x) == (0, None, {"a": [0]})
    assert gather(x, [2, 0])[2]["a"][0].shape == (2,)
    assert gather(x, [1])[1] is None
