import pytest
import torch

import ntklab
from ntklab.adapters import METHODS, SIZES, TensorGuide, TTDelta, build_adapter, method_named
from ntklab.adapters.activation import ACTIVATIONS, activation_named
from ntklab.errors import InputError
from ntklab.tensor_train import TTShape


def test_the_methods_are_those_of_the_design():
    assert set(METHODS) == {"lora", "tt-lora", "tensorguide", "tt-delta", "tera", "linear-probe"}
    for name, adapter in METHODS.items():
        assert adapter.method == name
        assert adapter.uses <= set(SIZES)
        assert method_named(name) is adapter
    assert ntklab.METHODS is METHODS


def test_an_unknown_method_names_the_nearest():
    with pytest.raises(InputError, match="did you mean 'tensorguide'"):
        build_adapter("tensorgide", 8, 2)


@pytest.mark.parametrize(
    ("method", "given", "sentence"),
    [
        ("lora", {"width": 8}, r"lora has no use for width: it is shaped by rank\."),
        ("linear-probe", {"rank": 8}, r"linear-probe has no use for rank: .* no sizes\."),
        ("tensorguide", {"rank": 2}, r"tensorguide has no use for rank"),
        ("tera", {"budget": 9, "width": 3}, r"tera has no use for budget, width"),
    ],
)
def test_a_size_without_use_is_refused(method, given, sentence):
    with pytest.raises(InputError, match=sentence):
        build_adapter(method, 8, 2, **given)


def test_sizes_reach_the_shapes():
    assert build_adapter("lora", 8, 2, rank=3).width == 3
    assert build_adapter("tt-lora", 8, 2, rank=3).width == 3
    head = build_adapter(
        "tensorguide", 6, 2, width=4, in_dims=[1, 2, 1], out_dims=[4, 4, 2], tt_ranks=[1, 2, 2, 1]
    )
    assert str(head.shapes["cores"]) == "in [1,2,1] out [4,4,2] ranks [1,2,2,1]"
    delta = build_adapter("tt-delta", 6, 2, out_dims=[3, 2, 2], tt_ranks=[1, 3, 2, 1])
    assert str(delta.shapes["cores"]) == "in [1,1,1] out [3,2,2] ranks [1,3,2,1]"
    assert build_adapter("tera", 6, 2, out_dims=[3, 4], tt_ranks=[2, 3]).ranks == (2, 3)
    assert build_adapter("tensorguide", 6, 2, width=4, activation="gelu").activation.name == "gelu"


@pytest.mark.parametrize("method", ["tensorguide", "tt-delta"])
@pytest.mark.parametrize("budget", [60, 200])
def test_a_budget_is_kept(method, budget):
    width = {"width": 16} if method == "tensorguide" else {}
    assert build_adapter(method, 30, 2, budget=budget, **width).parameter_count <= budget


def test_shapes_that_do_not_fit_name_both_numbers():
    with pytest.raises(InputError, match=r"(?s)\b27\b.*\b32\b|\b32\b.*\b27\b"):
        TensorGuide(6, 2, 4, shape=TTShape.plain((3, 9), (1, 2, 1)))
    with pytest.raises(InputError, match=r"must all be 1: tt-delta has no latent"):
        TTDelta(6, 2, shape=TTShape((1, 2), (6, 2), (1, 2, 1)))
    with pytest.raises(InputError, match=r"ranks \[2\] must be 2 whole numbers"):
        build_adapter("tera", 6, 2, out_dims=[3, 4], tt_ranks=[2])
    with pytest.raises(InputError, match=r"base layer maps 5 to 2 features"):
        build_adapter("lora", 6, 2, base=torch.nn.Linear(5, 2))


def test_zero_is_a_size_and_not_an_absent_one():
    for method in ("lora", "tt-lora", "tt-delta", "tera"):
        with pytest.raises(InputError):
            build_adapter(method, 6, 2, rank=0)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_derivatives_are_those_of_autograd(name):
    sigma = activation_named(name)
    u = torch.tensor([-3.0, -0.5, 0.0, 1e-3, 2.0, 40.0], dtype=torch.float64, requires_grad=True)
    (wanted,) = torch.autograd.grad(sigma.function(u).sum(), u)
    torch.testing.assert_close(sigma.derivative(u.detach()), wanted, rtol=1e-12, atol=1e-15)
    scaled = sigma.function(3 * u.detach())
    homogeneous = torch.allclose(scaled, 3 * sigma.function(u.detach()), rtol=1e-12)
    assert homogeneous == sigma.homogeneous


def test_an_unknown_activation_names_the_nearest():
    with pytest.raises(InputError, match="did you mean 'relu'"):
        activation_named("rellu")


def test_an_adapter_of_ones_own_is_one_class_and_one_line(monkeypatch):
    """Its name is taken by specifications, cells, commands, completion and figures."""
    from typer.testing import CliRunner

    from ntklab.adapters import AdapterSpec
    from ntklab.cli.main import app
    from ntklab.experiments.spectrum import SpectrumConfig
    from ntklab.figures import method_style

    class Mine(TTDelta):
        method = "mine"

    monkeypatch.setitem(METHODS, "mine", Mine)
    assert isinstance(build_adapter(AdapterSpec("mine", rank=2), 8, 2), Mine)
    assert list(METHODS)[-1] == "mine"
    assert SpectrumConfig.of(method="lora", width=8).for_method("mine").adapter.width is None
    assert method_style("mine").label == "mine"
    words = ["spectrum", "--method", "mine", "--task", "synthetic", "--samples", "4", "-f", "json"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0
    assert '"method": "mine"' in result.stdout


def test_names_are_known_before_torch_is_loaded():
    import subprocess
    import sys

    code = (
        "import sys; from ntklab.adapters import METHODS, AdapterSpec; "
        "from ntklab.tasks import TASKS, DataSpec; from ntklab.jacobians import ENGINES; "
        "from ntklab.compute import ComputeSpec; import ntklab.figures.style; "
        "print(len(METHODS), len(TASKS), len(ENGINES), AdapterSpec('lora'), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("6 3 5 AdapterSpec(method='lora'")
    assert done.stdout.strip().endswith("False")
