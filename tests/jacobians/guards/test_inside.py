"""Models that go through float32 inside: they are named, measured, and computed without it."""

import pytest
import torch
from torch import nn

from ntklab import jacobian, spectrum
from ntklab.jacobians import whole_float64
from ntklab.jacobians.guards.inside import goes_coarse, single_inside
from ntklab.jacobians.guards.precision import kernel_error, row_errors
from ntklab.jacobians.registry import ENGINES

COARSE = {
    "float": lambda x: x.float(),
    "to": lambda x: x.to(torch.float32),
    "to by name": lambda x: x.to(dtype=torch.float32),
    "to another's": lambda x: x.to(torch.zeros(1)),
    "type_as": lambda x: x.type_as(torch.zeros(1)),
    "type": lambda x: x.type(torch.float32),
    "bfloat16": lambda x: x.bfloat16(),
    "half": lambda x: x.half(),
    "sum": lambda x: x * x.sum(-1, keepdim=True, dtype=torch.float32),
    "softmax": lambda x: torch.softmax(x, -1, dtype=torch.float32),
    "log_softmax": lambda x: nn.functional.log_softmax(x, dim=-1, dtype=torch.float32),
}


class Norm(nn.Module):
    """Divides by the root mean square, in another precision, as Llama's norms do."""

    def __init__(self, cast):
        super().__init__()
        self.cast = cast

    def forward(self, x):
        short = self.cast(x)
        return (short * torch.rsqrt(short.square().mean(-1, keepdim=True) + 1e-6)).to(x.dtype)


def network(cast=COARSE["float"], seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(5, 8), Norm(cast), nn.Tanh(), nn.Linear(8, 2)).double()


def inputs(count=7):
    return torch.randn(count, 5, generator=torch.Generator().manual_seed(1)).double()


@pytest.mark.parametrize("name", COARSE)
def test_every_way_into_another_dtype_is_seen_and_left_out(name):
    model, x = network(COARSE[name]), inputs()
    short = {"sum"}  # a reduction alone: the product with it is float64 again
    assert single_inside(model, lambda: model(x)) == ("Norm",)
    with whole_float64():
        assert single_inside(model, lambda: model(x)) == ()
        exact = model(x)
    assert exact.dtype == torch.float64
    difference = float((exact - model(x)).detach().abs().max())
    assert 0 < difference < (1e-1 if name not in short else 1e-5)


def test_a_tensor_keeps_its_device_and_other_dtypes_are_left_alone():
    x, whole = torch.ones(2).double(), torch.ones(2, dtype=torch.int64)
    with whole_float64():
        assert x.to("cpu", torch.float32).dtype == torch.float64
        assert x.to(torch.int64).dtype == torch.int64
        assert x.long().dtype == torch.int64
        assert whole.float().dtype == torch.float32
        assert torch.ones(2).half().dtype == torch.float16
    assert x.float().dtype == torch.float32


def test_what_a_model_fills_with_its_numbers_takes_float64():
    """peft's FourierFT writes its spectrum, made float32, into zeros of torch's default dtype."""
    x, places = torch.rand(2).double(), torch.tensor([2, 0])
    with whole_float64():
        filled = torch.zeros(3)
        filled[places] = x.float()
        short = torch.zeros(3, dtype=torch.float32)
        short[places] = x  # the dtype that was asked for is kept, and takes what it can
    assert torch.equal(filled[places], x)
    assert torch.equal(short[places], x.float())
    assert torch.zeros(1).dtype == torch.float32


@pytest.mark.parametrize("engine", sorted(set(ENGINES) - {"structured", "auto"}))
def test_the_context_holds_inside_every_engine(engine):
    plain = network(lambda x: x)
    wanted = jacobian(plain, inputs(), engine="loop").gram()
    with whole_float64():
        exact = jacobian(network(), inputs(), engine=engine).gram()
    torch.testing.assert_close(exact, wanted, rtol=1e-11, atol=1e-12)
    coarse = jacobian(network(), inputs(), engine=engine).gram()
    assert 1e-9 < float((coarse - wanted).abs().max() / wanted.abs().max()) < 1e-5


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("route", ["svd", "gram"])
@pytest.mark.parametrize("seed", range(5))
def test_errors_cover_what_float32_inside_did(seed, route, centred):
    exact = spectrum(jacobian(network(lambda x: x, seed), inputs()), centred=centred)
    result = spectrum(jacobian(network(seed=seed), inputs()), route=route, centred=centred)
    off = (result.eigenvalues - exact.eigenvalues).abs()
    assert bool((off <= result.eigenvalue_errors).all())
    assert float(off[0]) > 1e-13 * result.lambda_max  # float64's bound alone would not hold
    assert result.lambda_min_error < 1e-4 * result.lambda_max
    assert "Norm in float32, measured: rows of 7 of 7 samples" in result.errors_count


def test_a_rank_does_not_count_what_float32_leaves():
    """Two equal samples, of which one is scaled: the norm makes their hidden rows equal."""
    model = network()
    model[0].bias.data.zero_()
    x = inputs(2)
    x[1] = 3.7 * x[0]
    kernel = spectrum(jacobian(model, x, params=["3.weight", "3.bias"]))
    with whole_float64():
        exact = spectrum(jacobian(model, x, params=["3.weight", "3.bias"]))
    assert exact.rank >= kernel.rank
    assert kernel.lambda_min_error >= abs(kernel.lambda_min - exact.lambda_min)


def test_under_the_context_the_bound_is_float64s():
    with whole_float64():
        result = spectrum(jacobian(network(), inputs()))
    assert result.errors_count.endswith(
        "float64 model: its rounding lies within the linear algebra's"
    )


def test_the_error_of_a_kernel_shows_it():
    x = inputs()
    assert 1e-9 < kernel_error(jacobian(network(), x)) < 1e-5
    assert kernel_error(jacobian(network(lambda x: x), x)) < 1e-13


def test_a_float32_twin_is_float64_in_all_its_parts():
    """The twin of a float32 model would share its norms' rounding otherwise."""
    model, x = network().float(), inputs().float()
    measured = row_errors(jacobian(model, x))
    plain = network(lambda x: x)
    wanted = jacobian(plain, inputs(), engine="loop").rows(0, 7)
    own = jacobian(model, x).rows(0, 7).double()
    torch.testing.assert_close(measured.errors, own - wanted, rtol=1e-6, atol=1e-10)


def test_what_cannot_be_measured_has_no_bound():
    class Hidden(nn.Module):
        """Goes through float32 in a way that no context can reach."""

        def forward(self, x):
            return torch.empty(x.shape, dtype=torch.float32).copy_(x).double()

    model = nn.Sequential(nn.Linear(5, 3), Hidden(), nn.Linear(3, 2)).double()
    with whole_float64():
        assert single_inside(model, lambda: model(inputs())) == ("Hidden",)
        result = spectrum(jacobian(model, inputs(), engine="loop"))
    assert result.errors_count.endswith(
        "Hidden in float32 not counted: its rows could not be measured"
    )
    assert result.rank_tolerance >= 1e-7 * result.lambda_max**0.5


def test_engines_are_told_apart_by_the_rounding_of_the_model():
    """Two engines differ by float32's rounding here, and neither is wrong."""
    f = jacobian(network(), inputs()).engine.functional
    assert (f.dtype, f.coarsest_dtype) == (torch.float64, torch.float32)
    assert (
        jacobian(network(lambda x: x), inputs()).engine.functional.coarsest_dtype == torch.float64
    )
    assert goes_coarse(lambda: inputs().float())
    assert not goes_coarse(lambda: inputs() + 1)
