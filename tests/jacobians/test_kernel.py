"""`ntk` in every output against explicit sums over rows of J."""

from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ntklab.adapters import METHODS, build_adapter
from ntklab.errors import InputError
from ntklab.jacobians import jacobian, ntk
from ntklab.jacobians.engines.engine import Output, multiply_rows, multiply_symmetric

OUTPUTS = get_args(Output)


def double(*size):
    return torch.randn(*size, dtype=torch.float64)


def by_loops(first, second, output):
    """The reduced kernel of two stacks of rows (n, C, P), one number at a time."""
    n, count, m = len(first), first.shape[1], len(second)

    def entry(i, c, j, k):
        return float((first[i, c] * second[j, k]).sum())

    if output == "full":
        return torch.tensor(
            [
                [entry(i, c, j, k) for j in range(m) for k in range(count)]
                for i in range(n)
                for c in range(count)
            ],
            dtype=torch.float64,
        )
    if output == "diagonal":
        return torch.tensor(
            [[[entry(i, c, j, c) for j in range(m)] for i in range(n)] for c in range(count)],
            dtype=torch.float64,
        )
    pairs = {
        "trace": [(c, c) for c in range(count)],
        "pseudo": [(c, k) for c in range(count) for k in range(count)],
    }[output]
    return torch.tensor(
        [[sum(entry(i, c, j, k) for c, k in pairs) / count for j in range(m)] for i in range(n)],
        dtype=torch.float64,
    )


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("engine", ["auto", "loop", "jacrev", "vjp-jvp"])
@pytest.mark.parametrize("method", [None, "lora", "linear-probe", "tensorguide", "tt-delta"])
def test_outputs_are_the_sums_they_say(method, engine, output):
    if method is None:
        model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).double()
    else:
        sizes = {"width": 6} if method == "tensorguide" else {}
        model = build_adapter(method, 4, 3, dtype=torch.float64, **sizes)
    x1, x2 = double(3, 4), double(5, 4)
    rows = [jacobian(model, x, engine="loop").dense().reshape(len(x), 3, -1) for x in (x1, x2)]
    options = {"output": output, "engine": engine}
    torch.testing.assert_close(ntk(model, x1, **options), by_loops(rows[0], rows[0], output))
    torch.testing.assert_close(ntk(model, x1, x2, **options), by_loops(*rows, output))
    torch.testing.assert_close(ntk(model, x2, x1, **options), by_loops(rows[1], rows[0], output))


@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(1, 9),
    m=st.integers(1, 5),
    count=st.integers(1, 4),
    size=st.integers(1, 6),
    output=st.sampled_from(OUTPUTS),
)
def test_products_of_rows(n, m, count, size, output):
    first, second = double(n, count, size), double(m, count, size)
    torch.testing.assert_close(
        multiply_rows(first, second, output), by_loops(first, second, output)
    )
    whole = by_loops(first, first, output)
    product = torch.full_like(whole, float("nan"))
    multiply_symmetric(first, output, out=product)
    torch.testing.assert_close(product, whole)
    assert torch.equal(product, product.mT)


def test_the_trace_is_the_tutorials_over_c():
    """The torch tutorial's trace sums K_cc without 1/C; so does einsum('Naf,Maf->NM')."""
    model, x = nn.Linear(3, 4).double(), double(5, 3)
    rows = torch.func.vmap(
        torch.func.jacrev(lambda p, y: torch.func.functional_call(model, p, y)), (None, 0)
    )(dict(model.named_parameters()), x)
    tutorial = sum(torch.einsum("naf,maf->nm", r.flatten(2), r.flatten(2)) for r in rows.values())
    torch.testing.assert_close(4 * ntk(model, x, output="trace"), tutorial.detach())


def test_nothing_is_normalized():
    model, x = nn.Linear(3, 1, bias=False).double(), double(5, 3)
    torch.testing.assert_close(ntk(model, x), x @ x.T)
    torch.testing.assert_close(ntk(model, 2 * x), 4 * x @ x.T)


def test_the_kernel_is_asked_for_by_parameters():
    model, x = nn.Linear(3, 2).double(), double(5, 3)
    weight, bias = (ntk(model, x, params=[name]) for name in ("weight", "bias"))
    torch.testing.assert_close(weight + bias, ntk(model, x))
    torch.testing.assert_close(bias, torch.eye(2).double().repeat(5, 5))


def test_accumulation_has_the_dtype_asked_for():
    model, x = nn.Linear(3, 2), torch.randn(5, 3)
    assert ntk(model, x).dtype == torch.float64
    assert ntk(model, x, accumulate=torch.float32).dtype == torch.float32
    head = build_adapter("lora", 3, 2)
    for dtype in (torch.float32, torch.float64):
        assert ntk(head, x, accumulate=dtype).dtype == dtype


def test_float32_rows_are_summed_in_float64():
    """K of a float32 model is the exact product of its float32 rows."""
    torch.manual_seed(1)
    model, x = nn.Sequential(nn.Linear(6, 40), nn.Tanh(), nn.Linear(40, 2)), torch.randn(4, 6)
    rows = jacobian(model, x).dense(torch.float32).double()
    kernel = ntk(model, x)
    torch.testing.assert_close(kernel, rows @ rows.T, rtol=1e-14, atol=1e-13)
    single = ntk(model, x, accumulate=torch.float32).double()
    assert not torch.allclose(single, kernel, rtol=1e-12)


def test_an_unknown_output_names_the_nearest():
    with pytest.raises(InputError, match="unknown kernel output 'traces': did you mean 'trace'"):
        ntk(nn.Linear(3, 2), torch.randn(2, 3), output="traces")


@pytest.mark.parametrize("method", METHODS)
def test_the_base_leaves_no_trace(method):
    base, x = nn.Linear(6, 2, dtype=torch.float64), double(5, 6)
    sizes = {"width": 8} if method == "tensorguide" else {}

    def build(base):
        generator = torch.Generator().manual_seed(0)
        return build_adapter(
            method, 6, 2, base=base, generator=generator, dtype=torch.float64, **sizes
        )

    for engine in ("auto", "loop", "jacrev"):
        torch.testing.assert_close(ntk(build(base), x, engine=engine), ntk(build(None), x))
