"""Errors of eigenvalues cover what the model's own precision does to them, and not much more."""

import copy
import random
import statistics

import pytest
import torch
from torch import nn

from ntklab.adapters import METHODS, PRESETS, build_adapter
from ntklab.jacobians import jacobian
from ntklab.jacobians.guards import precision
from ntklab.jacobians.guards.precision import LOOP, row_errors
from ntklab.jacobians.softmax_weighted import SoftmaxWeightedJacobian
from ntklab.spectra import CentredJacobian, DenseJacobian, spectrum
from ntklab.spectra.model_rounding import model_rounding
from ntklab.spectra.rounding import ModelRounding

HEADS = 200
DTYPES = [torch.float32, torch.float32, torch.bfloat16, torch.float16]


def random_head(draw, seed):
    """A head of any method and preset, of a size with which its float64 rows take milliseconds."""
    method = draw.choice(list(METHODS))
    d, outputs = draw.choice([8, 16, 24, 32, 64]), draw.choice([2, 3, 5, 10])
    sizes = {"width": draw.choice([8, 16, 32])} if method == "tensorguide" else {}
    if method == "lora":
        sizes = {"rank": draw.choice([1, 2, 4])}
    start = torch.Generator().manual_seed(seed)
    preset = draw.choice(list(PRESETS))
    return build_adapter(method, d, outputs, preset=preset, generator=start, **sizes), d


def random_network(draw, seed):
    torch.manual_seed(seed)
    d, width, outputs = draw.choice([4, 8, 16]), draw.choice([4, 8, 16]), draw.choice([1, 2, 4])
    activation = draw.choice([nn.Tanh, nn.ReLU, nn.GELU])
    hidden = [nn.Linear(width, width), activation()] * draw.choice([0, 1, 2])
    layers = [nn.Linear(d, width), activation(), *copy.deepcopy(hidden), nn.Linear(width, outputs)]
    if draw.random() < 0.3:
        layers.insert(1, nn.LayerNorm(width))
    return nn.Sequential(*layers), d


def cases(count=HEADS, first=0):
    """Models in low precision, inputs, and whether their spectrum is centred."""
    for seed in range(first, first + count):
        draw = random.Random(seed)
        model, d = (random_network if seed % 4 == 0 else random_head)(draw, seed)
        dtype = DTYPES[(seed // 4) % len(DTYPES)]
        x = torch.randn(draw.choice([2, 3, 5, 8, 12, 20, 40]), d)
        if draw.random() < 0.3:
            x = x + 3 * torch.randn(d)  # features share a mean, as those of a backbone do
        yield model.to(dtype), x.to(dtype), draw.random() < 0.2


def measured(model, x, centred=False, **options):
    """(deviation from float64, printed error) of λ_min and of λ_max."""
    J = jacobian(model, x)
    centred = centred and J.n_outputs > 1
    low = spectrum(J, centred=centred, **options)
    exact = spectrum(jacobian(copy.deepcopy(model).double(), x.double()), centred=centred)
    return (
        (abs(low.lambda_min - exact.lambda_min), low.lambda_min_error, exact.lambda_min_error),
        (
            abs(low.lambda_max - exact.lambda_max),
            float(low.eigenvalue_errors[0]),
            float(exact.eigenvalue_errors[0]),
        ),
    )


@pytest.fixture(scope="module")
def all_measured():
    return [measured(*case) for case in cases()]


@pytest.mark.parametrize("name", ["λ_min", "λ_max"])
def test_printed_errors_cover_float64_in_95_percent_and_exceed_it_by_less_than_1000(
    name, all_measured
):
    results = [pair[["λ_min", "λ_max"].index(name)] for pair in all_measured]
    covered = [deviation <= error + own for deviation, error, own in results]
    assert sum(covered) >= 0.95 * len(results)
    excess = [error / deviation for deviation, error, own in results if deviation > 2 * own]
    assert len(excess) > 100
    assert statistics.median(excess) <= 1000


def test_the_error_of_singular_values_covers_that_of_the_whole_jacobian():
    """δ ≥ ‖J − J₆₄‖₂ although rows of 8 samples were seen."""
    covered = []
    for model, x, _ in cases(120, first=5000):
        J = jacobian(model, x)
        exact = jacobian(copy.deepcopy(model).double(), x.double(), engine="loop").dense()
        off = float(torch.linalg.matrix_norm(J.dense() - exact, 2))
        covered.append(off <= model_rounding(J, float(exact.norm())).sigma_error + 1e-12 * off)
    assert sum(covered) >= 0.95 * len(covered)


@pytest.mark.parametrize("route", ["gram", "dual"])
def test_the_gram_routes_cover_float64_too(route):
    results = [pair for case in cases(60, first=7000) for pair in measured(*case, route=route)]
    covered = [deviation <= error + own for deviation, error, own in results]
    assert sum(covered) >= 0.95 * len(results)


class Single(nn.Linear):
    """A layer that copies into float32 on the way, so that its float64 copy is none."""

    def forward(self, x):
        short = torch.empty(x.shape, dtype=torch.float32).copy_(x)
        return nn.functional.linear(short, self.weight.float()).tanh()


def test_where_no_float64_copy_runs_the_spread_between_engines_counts():
    model, x = nn.Sequential(nn.Linear(6, 20), nn.Tanh(), Single(20, 2)), torch.randn(30, 6)
    result = row_errors(jacobian(model, x))
    assert result.reference == LOOP
    assert result.floor == pytest.approx(2.0**-23 * float(result.rows.norm()))
    s = spectrum(jacobian(model, x))
    assert s.model.sigma_error > 2.0**-23 * s.lambda_max**0.5
    assert "rows of 8 of 30 samples beside engine 'loop'" in s.errors_count


def test_a_model_that_cannot_be_copied_is_measured_by_the_spread():
    model = nn.Linear(4, 2)
    model.kept = model.weight * 2  # no leaf: deepcopy refuses it
    assert row_errors(jacobian(model, torch.randn(3, 4))).reference == LOOP


def test_a_float64_model_keeps_its_numbers_and_says_why():
    model, x = (
        nn.Sequential(nn.Linear(5, 9), nn.Tanh(), nn.Linear(9, 2)).double(),
        torch.randn(4, 5),
    )
    s = spectrum(jacobian(model, x.double()))
    assert s.model.sigma_error == 0.0
    assert torch.equal(s.eigenvalue_errors, s.algebra_errors)
    assert s.rank_tolerance == pytest.approx(74 * 2.0**-52 * s.lambda_max**0.5)
    assert "lies within the linear algebra's" in s.errors_count


@pytest.mark.parametrize("seed", range(6))
def test_a_float64_models_own_rounding_lies_within_the_linear_algebras(seed):
    """Beside the same model in higher precision: float32 beside float64 stands in for it."""
    draw = random.Random(seed)
    model, d = (random_head if seed % 2 else random_network)(draw, seed)
    x = torch.randn(20, d)
    J = jacobian(model, x)
    exact = jacobian(copy.deepcopy(model).double(), x.double()).dense()
    off = float(torch.linalg.matrix_norm(J.dense() - exact, 2))
    assert off <= max(*J.shape, 10) * 2.0**-23 * float(torch.linalg.matrix_norm(exact, 2))


def test_combined_rows_cover_where_rows_do_not_fit(monkeypatch):
    monkeypatch.setattr(precision, "_fitting", lambda J: 0)
    covered = []
    for model, x, centred in cases(60, first=9000):
        J, exact = jacobian(model, x), jacobian(copy.deepcopy(model).double(), x.double())
        if centred and J.n_outputs > 1:
            p = torch.softmax(torch.randn(J.n_samples, J.n_outputs).double(), 1)
            J, exact = (SoftmaxWeightedJacobian(each, p) for each in (J, exact))
        off = float(torch.linalg.matrix_norm(J.dense(torch.float64) - exact.dense(), 2))
        rounding = model_rounding(J, float(exact.dense().norm()))
        assert "combined rows of" in rounding.text
        covered.append(off <= rounding.sigma_error + 1e-12 * off)
    assert sum(covered) >= 0.95 * len(covered)


def test_errors_without_rows_say_so():
    model, x = nn.Sequential(nn.Linear(6, 20), nn.Tanh(), nn.Linear(20, 2)), torch.randn(30, 6)
    J = jacobian(model, x)
    J.memory = 8
    rounding = model_rounding(J, 1.0)
    assert rounding.sigma_error is None
    assert "not counted" in rounding.text


def test_a_matrix_is_taken_as_given():
    for given in (torch.eye(3), DenseJacobian(torch.eye(3, 4))):
        s = spectrum(given)
        assert s.model is None
        assert s.errors_count == "linear algebra; the matrix taken as given"
        assert s.summary()["sigma_error"] is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("method", ["lora", "tera", "tt-delta"])
def test_ranks_are_those_of_float64_where_the_zeros_are_exact(method, dtype):
    """n·ε of bfloat16 would call everything zero, and ε of float64 nothing."""
    start = torch.Generator().manual_seed(0)
    head = build_adapter(method, 32, 2, preset="paper", generator=start, dtype=dtype)
    x = torch.randn(40, 32).to(dtype)
    exact = spectrum(jacobian(copy.deepcopy(head).double(), x.double()))
    assert exact.rank < exact.size
    low = spectrum(jacobian(head, x))
    assert low.rank <= exact.rank
    # TT-Delta has eigenvalues that half precision cannot tell from zero, and says so.
    assert low.rank == exact.rank or (method == "tt-delta" and not low.rank_decided)


def test_what_softmax_sees_is_measured_as_it_is_seen():
    model, x = nn.Sequential(nn.Linear(6, 20), nn.Tanh(), nn.Linear(20, 3)), torch.randn(7, 6)
    J = jacobian(model, x)
    p = torch.softmax(torch.randn(7, 3).double(), 1)
    twin = jacobian(copy.deepcopy(model).double(), x.double())
    for wrap in (CentredJacobian, lambda J: SoftmaxWeightedJacobian(J, p)):
        difference = wrap(J).dense(torch.float64) - wrap(twin).dense()
        off = float(torch.linalg.matrix_norm(difference, 2))
        rounding = model_rounding(wrap(J), float(wrap(twin).dense().norm()))
        # All seven samples are measured: the safety of two is all that is added.
        assert off <= rounding.sigma_error <= 2.5 * off


def test_a_known_error_of_floats_is_counted():
    model = ModelRounding(1e-3, "as told")
    s = spectrum(DenseJacobian(torch.diag(torch.tensor([2.0, 1.0, 1e-4])).double(), model=model))
    assert s.rank == 2
    assert s.rank_tolerance == 1e-3
    assert s.lambda_min_nonzero_error == pytest.approx(2e-3 + 1e-6)
    assert s.lambda_min_error == pytest.approx(1e-8 + 2e-7 + 1e-6)
    assert "as told" in repr(s)


def test_the_rounding_of_the_output_factor_counts():
    """A = 0 leaves ΦΦᵀ ⊗ s²BBᵀ, whose features are exact and whose factor s·B is rounded."""
    head = build_adapter("lora", 8, 3, rank=2, scale=0.3)
    head.A.data.zero_()
    x = torch.randint(-4, 5, (10, 8), generator=torch.Generator().manual_seed(0)).float()
    result = spectrum(jacobian(head, x))
    exact = spectrum(jacobian(copy.deepcopy(head).double(), x.double()))
    assert result.route == "decoupled"
    off = abs(result.lambda_max - exact.lambda_max)
    assert 1e-10 * exact.lambda_max < off <= float(result.eigenvalue_errors[0])
