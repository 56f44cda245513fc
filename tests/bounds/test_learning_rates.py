import math

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from ntklab.adapters import build_adapter
from ntklab.bounds import (
    best_rates,
    core_scales,
    scaled_kernel,
)
from ntklab.errors import InputError
from ntklab.jacobians import jacobian


def ratio(kernels, multipliers) -> float:
    """λ_min/mean of Σ m_k K_k, computed anew."""
    K = sum(m * kernel for m, kernel in zip(multipliers, kernels, strict=True))
    return float(torch.linalg.eigvalsh(K)[0] / K.diagonal().mean())


def pieces(size: int, ranks: list[int], seed: int) -> list[torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    factors = [torch.randn(size, r, generator=g, dtype=torch.float64) for r in ranks]
    return [10.0**k * A @ A.T for k, A in enumerate(factors)]


@settings(max_examples=15)
@given(
    size=st.integers(1, 12),
    ranks=st.lists(st.integers(1, 12), min_size=1, max_size=5),
    seed=st.integers(0, 999),
)
def test_primal_is_attained_and_no_rates_exceed_the_dual(size, ranks, seed):
    kernels = pieces(size, ranks, seed)
    best = best_rates(kernels)
    for printed, rates in (
        (best.primal, best.multipliers.values()),
        (best.equal, [1.0] * len(kernels)),
    ):
        # Both computations err by the rounding at most, and what is below it is printed as zero.
        allowed = (2 if printed else 3) * best.rounding
        assert printed == pytest.approx(ratio(kernels, rates), abs=allowed)
    assert best.equal <= best.primal + best.rounding
    assert best.gap <= 1.1e-4 * best.dual + 2 * best.rounding
    rng = np.random.default_rng(seed)
    for _ in range(30):
        tried = np.exp(3 * rng.normal(size=len(kernels)))
        assert ratio(kernels, tried) <= best.dual + 2 * best.rounding
    total = sum(float(K.trace()) for K in kernels)
    weighed = sum(
        m * float(K.trace()) for m, K in zip(best.multipliers.values(), kernels, strict=True)
    )
    assert weighed == pytest.approx(total)


@pytest.mark.parametrize(("rank", "seed"), [(4, 268), (5, 175)])
def test_the_least_eigenvalue_is_as_good_as_its_rounding_says(rank, seed):
    """MRRR, the default driver for a part of the spectrum, is off by 34 ε on the second."""
    [kernel] = pieces(4, [rank], seed)
    with mpmath.workdps(50):
        matrix = mpmath.matrix(kernel.tolist())
        least = min(mpmath.eigsy((matrix + matrix.T) / 2, eigvals_only=True))
        exact = least / (sum(matrix[i, i] for i in range(4)) / 4)
    best = best_rates([kernel])
    assert abs(best.primal - exact) <= best.rounding
    assert best.rounding < 1e-14


@pytest.mark.parametrize("seed", range(4))
def test_commuting_kernels_are_a_linear_program(seed):
    rng = np.random.default_rng(seed)
    diagonals = rng.uniform(size=(4, 9)) * (rng.uniform(size=(4, 9)) < 0.7)
    Q = np.linalg.qr(rng.normal(size=(9, 9)))[0]
    kernels = [torch.from_numpy(Q @ np.diag(d) @ Q.T) for d in diagonals]
    normal = diagonals / diagonals.mean(axis=1, keepdims=True)
    solved = linprog(
        [0, 0, 0, 0, -1], A_ub=np.c_[-normal.T, np.ones(9)], b_ub=np.zeros(9),
        A_eq=[[1, 1, 1, 1, 0]], b_eq=[1],
    )  # fmt: skip
    best = best_rates(kernels, tolerance=1e-6)
    assert best.primal == pytest.approx(-solved.fun, rel=1e-5)
    assert best.dual == pytest.approx(-solved.fun, rel=1e-5)


def test_two_cores_against_a_fine_scan():
    kernels = pieces(8, [6, 7], 5)
    traces = [float(K.trace()) for K in kernels]
    scan = max(
        ratio(kernels, [share / traces[0], (1 - share) / traces[1]])
        for share in np.linspace(0.001, 0.999, 2001)
    )
    best = best_rates(kernels)
    assert scan <= best.dual + 1e-12
    assert best.primal >= scan * (1 - 1e-3)


def test_a_common_null_vector_is_certified_zero():
    best = best_rates(pieces(10, [2, 3, 4], 0))
    assert (best.primal, best.equal) == (0.0, 0.0)
    assert 0 <= best.dual <= best.rounding
    assert best.as_bound().value < 1e-10


def test_floor_keeps_every_core_alive():
    kernels = {"A": torch.diag(torch.tensor([4.0, 0.0])), "B": torch.eye(2)}
    best = best_rates(kernels, least_share=0.25)
    share = best.multipliers["A"] * 4 / 6
    assert share == pytest.approx(0.25, abs=1e-3)
    # λ_min/mean = weight of B alone: (1 − ¼)·1
    assert best.primal == pytest.approx(0.75, rel=1e-3)
    assert best.dual == pytest.approx(0.75, rel=1e-3)
    assert core_scales(best.multipliers)["A"] > core_scales(best.multipliers)["B"]


def test_a_zero_core_is_left_out():
    kernels = {"A": torch.zeros(3, 3), "B": torch.diag(torch.tensor([1.0, 2.0, 3.0]))}
    best = best_rates(kernels)
    assert best.multipliers == pytest.approx({"A": 1.0, "B": 1.0})
    assert best.primal == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("method", "sizes"),
    [("lora", {"rank": 3}), ("tensorguide", {"width": 8}), ("tt-lora", {}), ("tt-delta", {})],
)
def test_gauge_scaling_of_an_adapter_is_its_learning_rates(method, sizes):
    """Scaling the parameters themselves gives Σ m_k K_k/(Π m)^(1/K), at unchanged outputs (P4)."""
    g = torch.Generator().manual_seed(0)
    head = build_adapter(method, 8, 2, generator=g, dtype=torch.float64, **sizes)
    x = torch.randn(3, 8, generator=g, dtype=torch.float64)
    kernels = jacobian(head, x).core_grams()
    multipliers = {name: math.exp(0.4 * k) for k, name in enumerate(kernels)}
    scales = core_scales(multipliers)
    assert math.prod(scales.values()) == pytest.approx(1.0)
    before = head(x).detach()
    with torch.no_grad():
        for name, scale in scales.items():
            head.get_parameter(name).mul_(scale)
    torch.testing.assert_close(head(x).detach(), before)
    common = math.prod(multipliers.values()) ** (1 / len(multipliers))
    torch.testing.assert_close(
        jacobian(head, x).gram(), scaled_kernel(kernels, multipliers) / common
    )


def test_refusals():
    eye = torch.eye(2)
    with pytest.raises(InputError, match="cannot be weighed"):
        best_rates([])
    with pytest.raises(InputError, match="cannot be weighed"):
        best_rates([eye, torch.eye(3)])
    with pytest.raises(InputError, match="cannot be weighed"):
        best_rates([0 * eye])
    with pytest.raises(InputError, match="least_share"):
        best_rates([eye, eye], least_share=0.6)
    with pytest.raises(InputError, match="positive"):
        core_scales({"A": 0.0, "B": 1.0})
    with pytest.raises(InputError, match="match"):
        scaled_kernel({"A": eye}, {"B": 1.0})
