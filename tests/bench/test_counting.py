"""Counts are what loops count, and what torch counts while the engine runs."""

from itertools import product
from math import prod

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from ntklab.adapters import build_adapter
from ntklab.bench import counting
from ntklab.bench.counting import (
    GRAM,
    gram_stage,
    hidden_stages,
    kernel_routes,
    row_routes,
    smaller_side,
    sweep_stage,
)
from ntklab.bench.network import network_multiply_adds
from ntklab.jacobians import jacobian
from ntklab.tensor_train import TTShape
from ntklab.tensor_train.pullback import adjoint_sweep

SMALL = st.integers(1, 3)
# Sums over one value are no products to torch, and it does not count them.
MORE = st.integers(2, 3)
TRIPLE = st.tuples(MORE, MORE, MORE)


def counted(run):
    """Multiply-adds of every matrix product that torch meets."""
    with FlopCounterMode(display=False) as mode:
        run()
    return mode.get_total_flops() // 2


@given(rows=st.integers(1, 6), columns=st.integers(1, 6))
def test_gram_by_enumeration(rows, columns):
    triangle = sum(1 for i, j, _ in product(range(rows), range(rows), range(columns)) if j <= i)
    short, long = min(rows, columns), max(rows, columns)
    full = sum(1 for _ in product(range(short), range(short), range(long)))
    assert smaller_side(rows, columns) == full
    assert gram_stage(rows, columns).multiply_adds == min(triangle, full)


@given(
    m=st.tuples(SMALL, SMALL, SMALL),
    n=st.tuples(SMALL, SMALL, SMALL),
    r=st.tuples(SMALL, SMALL),
    batch=SMALL,
)
def test_sweep_by_enumeration(m, n, r, batch):
    """Loops over every index of each contraction that `adjoint_sweep` makes."""
    shape = TTShape(n, m, (1, *r, 1))
    count = 0
    for k in range(3):
        indices = [prod(m[:k]), m[k], shape.ranks[k + 1], prod(n[k + 1 :]), batch]
        inner = [shape.ranks[k], n[k]]
        loops = sum(1 for _ in product(*(range(size) for size in indices + inner)))
        count += loops * (2 if k > 0 else 1)  # a gradient, and what goes on to the left
    assert sweep_stage(shape, range(3), 1, 1, batch).multiply_adds == count


@given(m=TRIPLE, n=TRIPLE, r=st.tuples(MORE, MORE), batch=MORE)
def test_sweep_as_torch_counts_it(m, n, r, batch):
    shape = TTShape(n, m, (1, *r, 1))
    cores = [torch.randn(core) for core in shape.core_shapes]
    prefix = torch.randn(1, 1, prod(n))
    cotangent = torch.randn(prod(m), 1, batch)
    prefixes = sum(  # independent of the batch, and so not part of the count
        prod(m[: k + 1]) * shape.ranks[k] * n[k] * shape.ranks[k + 1] * prod(n[k + 1 :])
        for k in range(2)
    )
    found = counted(lambda: adjoint_sweep(cores, prefix, cotangent))
    assert found == sweep_stage(shape, range(3), 1, 1, batch).multiply_adds + prefixes


@pytest.mark.parametrize(
    ("out_dims", "ranks", "cut"),
    [
        ((4, 5, 4), (1, 2, 2, 1), 2),  # Q = 4 divides M = 8: cut before the last core
        ((4, 5, 4), (1, 2, 5, 1), 3),  # rank 5 makes that dearer
        ((5, 4, 4), (1, 3, 3, 1), 2),
    ],
)
def test_rows_of_a_hidden_layer_as_torch_counts_them(out_dims, ranks, cut):
    """Doubling the samples separates what every sample costs from what is done once."""
    d, outputs, width = 8, 2, 8
    head = build_adapter(
        *("tensorguide", d, outputs),
        width=width, in_dims=(2, 2, 1), out_dims=out_dims, tt_ranks=ranks, activation="relu",
    )  # fmt: skip

    def engine(n):
        return counted(lambda: jacobian(head, torch.randn(n, d), engine="structured").dense())

    def stages(n):
        shape = head.shapes["cores"]
        found = hidden_stages(shape, cut, n, d, width, outputs)
        # The engine takes φ W1 through the cut, and projects φ once more for the trailing cores.
        rank = ranks[cut] * prod(shape.in_dims[cut:])
        projected = n * d * (width // prod(out_dims[cut:])) * rank
        whole = (2 if cut < len(out_dims) else 1) * projected + n * width * rank
        return whole + sum(s.multiply_adds for s in found if s.product and s.name != "φ W1")

    assert engine(16) - engine(8) == stages(16) - stages(8)


@pytest.mark.parametrize("shared", [False, True])
def test_shifts_by_enumeration(shared):
    """Four contractions as loops over what they touch; W2's share is not counted."""
    d, outputs, width, n, rank = 12, 2, 8, 3, 4
    shape = TTShape((1, 2, 1), (4, 7, 4), (1, 2, 1, 1))
    size, length = width // 4, 7
    once = 1 if shared else n
    met = {(p // size, p // length) for p in range(d * size)}
    window = range(1 - size, length)
    want = {
        "φ by shift": sum(1 for _ in met) * rank * n,
        "convolution": sum(1 for _ in range(length) for _ in range(size)) * rank * n * outputs,
        "correlation": sum(1 for _ in window for _ in range(size)) * rank * once * outputs,
        "φ times correlation": sum(1 for _ in met) * rank * n * outputs,
    }
    found = counting._by_shifts(shape, 2, n, d, width, outputs, shared=shared)
    assert {stage.name: stage.multiply_adds for stage in found if stage.name in want} == want


def test_the_network_of_a_train_by_enumeration():
    """Two cores, cut between inputs and outputs: ∂/∂G1 needs φ ⊗ G2, ∂/∂G2 needs φ G1."""
    samples, d, outputs, rank = 5, 4, 3, 2
    head = build_adapter("tt-delta", d, outputs, out_dims=(d, outputs), tt_ranks=(1, rank, 1))
    by_first = sum(1 for _ in product(*map(range, (samples, d, outputs, rank))))
    by_second = sum(1 for _ in product(*map(range, (samples, d, rank))))
    assert network_multiply_adds(head, samples) == by_first + by_second


def test_the_network_of_a_tucker_head_by_enumeration():
    """With core entries 1 the two gradients are φ U1 ⊗ (U2 v2) and φ U1 v1 ⊗ U2."""
    head = build_adapter("tera", 4, 3, out_dims=(4, 3), tt_ranks=(1, 1))
    samples = 5
    least = 2 * samples * 4  # each must read every feature of every sample
    found = network_multiply_adds(head, samples)
    assert least <= found <= 3 * (least + 2 * samples * 3)


@pytest.mark.parametrize("method", ["lora", "linear-probe"])
def test_closed_forms_have_one_route_that_ends_in_a_product(method):
    routes = kernel_routes(build_adapter(method, 6, 2), 5)
    assert list(routes) == ["decoupled"]
    assert [stage.name for stage in routes["decoupled"]].count(GRAM) == 1


def test_lora_as_torch_counts_it():
    """All products but the symmetric half, which the closed form does not use."""
    d, rank, outputs, n = 7, 2, 3, 5
    head = build_adapter("lora", d, outputs, rank=rank)
    found = counted(lambda: jacobian(head, torch.randn(n, d), engine="structured").gram())
    across = outputs * outputs * rank
    assert found == n * d * rank + n * n * (d + rank) + across


@pytest.mark.parametrize("activation", ["relu", "identity"])
def test_a_linear_head_may_go_through_its_basis(activation):
    head = build_adapter("tensorguide", 8, 2, width=4, activation=activation)
    found = any(name.startswith("basis") for name in row_routes(head, 100))
    assert found == (activation == "identity")
