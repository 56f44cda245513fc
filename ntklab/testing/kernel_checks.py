"""Checks of an adapter's Jacobian and kernel, each against a slower or independent route."""

from typing import get_args

import torch
from jaxtyping import Float
from torch import Tensor

from ntklab.adapters import Adapter, DeltaAdapter, FactorAdapter
from ntklab.errors import InputError
from ntklab.jacobians import ENGINES, Jacobian
from ntklab.jacobians import jacobian as checked_jacobian
from ntklab.jacobians.engines.engine import Output, multiply_rows
from ntklab.spectra import DenseJacobian, spectrum
from ntklab.testing.case import Case
from ntklab.testing.expect import expect, expect_close


def jacobian(adapter: Adapter, features: Tensor, engine: str = "auto") -> Jacobian:
    """J by one engine alone: neither compared (these checks do that) nor helped out by another."""
    if engine == "auto":
        engine = checked_jacobian(adapter, features).engine.name
    return checked_jacobian(adapter, features, engine=engine, check=False)


def jacobian_has_a_column_a_parameter(case: Case) -> None:
    """J is (N·C, P), and a base layer leaves no trace in it."""
    features = case.features(3)
    bare, adapter = case.build(), case.build(base=case.base())
    J = _truth(adapter, features)
    expect(
        J.shape == (3 * case.out_features, adapter.parameter_count),
        f"J has shape {tuple(J.shape)} with {adapter.parameter_count} parameters",
    )
    expect_close(J, _truth(bare, features), 1e-12, "J with a base beside J without")


def jacobian_equals_finite_differences(case: Case) -> None:
    """J agrees with central differences of the outputs, entry by entry."""
    features = case.features(4)
    for adapter in case.both():
        rows, wanted = _truth(adapter, features), central_differences(adapter, features)
        expect_close(rows, wanted, 1e-6, "autograd beside central differences")


def engines_agree(case: Case) -> None:
    """Every engine gives the Jacobian of `loop`, for fewer and for more samples than features."""
    for n in (3, case.in_features + 3):
        features = case.features(n)
        for adapter in case.both():
            truth = _truth(adapter, features)
            for name in ENGINES:
                try:
                    J = jacobian(adapter, features, engine=name)
                except InputError:
                    # Only a closed form may decline, and only an adapter it does not know.
                    expect(name == "structured", f"engine {name} refuses the adapter")
                    continue
                expect_close(J.dense(), truth, 1e-9, f"engine {name}, {n} samples")


def kernels_equal_products_of_rows(case: Case) -> None:
    """The default route's kernel equals J Jᵀ of `loop` in every output, also between two sets."""
    adapter, many, few = case.generic(), case.features(case.in_features + 3), case.features(2)
    rows = [_truth(adapter, x).reshape(len(x), case.out_features, -1) for x in (many, few)]
    first, second = (jacobian(adapter, x) for x in (many, few))
    for output in get_args(Output):
        wanted = multiply_rows(rows[0], rows[0], output)
        expect_close(first.gram(output=output), wanted, 1e-9, f"kernel '{output}'")
        wanted = multiply_rows(rows[0], rows[1], output)
        expect_close(first.gram(second, output=output), wanted, 1e-9, f"cross kernel '{output}'")


def single_precision_agrees_with_double(case: Case) -> None:
    """The kernel of a float32 adapter is that of its float64 copy up to float32 rounding."""
    single = case.build(dtype=torch.float32)
    features = case.features(case.in_features + 3).float()
    kernel = jacobian(single, features).gram()
    wanted = jacobian(single.double(), features.double()).gram()
    # Rows are rounded at about 1e-7 of the largest entry; sums over cores lose a little more.
    expect_close(kernel, wanted, 1e-5, "kernel in float32 beside float64")


def weight_tangents_equal_autograd(case: Case) -> None:
    """Every method of an adapter that gives ∂w/∂θ agrees with autograd."""
    adapter = case.generic()
    dense = _dense_tangent(adapter)
    d, outputs = case.in_features, case.out_features
    if isinstance(adapter, FactorAdapter):
        expect_close(adapter.tangent_map(), dense, 1e-12, "tangent_map()")
    if isinstance(adapter, DeltaAdapter):
        expect_close(adapter.update_tangent().flatten(0, 1), dense, 1e-12, "update_tangent()")
    if adapter.moving is not None:
        parts = adapter.factor_tangents()
        sizes = (parts.by_first.shape[-1], parts.by_second.shape[-1])
        expect(sizes == adapter.moving, f"moving is {adapter.moving}, tangents have {sizes}")
        moved = dense.new_zeros(d, outputs, adapter.parameter_count)
        moved[..., parts.first_columns] += torch.einsum("djp,jc->dcp", parts.by_first, parts.second)
        moved[..., parts.second_columns] += torch.einsum(
            "dj,jcp->dcp", parts.first, parts.by_second
        )
        expect_close(moved, _product_tangent(adapter, dense), 1e-11, "factor_tangents()")
    features = case.features(d + 2)
    gram = adapter.update_gram(features.T @ features)
    if gram is not None:
        truth = _truth(adapter, features)
        expect_close(gram * adapter.scale**2, truth.T @ truth, 1e-10, "update_gram()")


def kernel_is_symmetric_and_positive(case: Case) -> None:
    """K(x, x') of a sample set with itself is symmetric, and no eigenvalue is below rounding.

    Computed as between two sets, so that symmetry is not put in.
    """
    for adapter in case.both():
        features = case.features(case.in_features + 3)
        kernel = jacobian(adapter, features).gram(jacobian(adapter, features.clone()))
        expect_close(kernel, kernel.T, 1e-12, "K beside its transpose")
        values = torch.linalg.eigvalsh(kernel)
        floor = -len(kernel) * torch.finfo(kernel.dtype).eps * float(values[-1])
        expect(
            float(values[0]) >= floor, f"eigenvalue {float(values[0]):.3g}, rounding {floor:.3g}"
        )


def primal_and_dual_spectra_agree(case: Case) -> None:
    """K = J Jᵀ and G = JᵀJ have the same nonzero eigenvalues."""
    for n in (2, case.in_features + 3):
        adapter, features = case.generic(), case.features(n)
        J, truth = jacobian(adapter, features), _truth(adapter, features)
        expect_close(J.dual_gram(), truth.T @ truth, 1e-9, f"dual Gram matrix, {n} samples")
        primal, dual = (torch.linalg.eigvalsh(m).flip(0) for m in (J.gram(), J.dual_gram()))
        shared = min(len(primal), len(dual))
        expect_close(primal[:shared], dual[:shared], 1e-12, f"spectra of K and G, {n} samples")
        rest = torch.cat([primal[shared:], dual[shared:]])
        expect_close(
            torch.cat([primal[:1], rest]), torch.cat([primal[:1], 0 * rest]), 1e-12, "the rest"
        )


def rank_is_within_its_bound(case: Case) -> None:
    """The measured rank of J is at most `rank_bound`, also for features of low rank."""
    enough = case.in_features + case.build().parameter_count
    for n, features_rank in ((2, None), (enough, None), (enough, 2)):
        features = case.features(n, features_rank)
        for adapter in case.both():
            rows = jacobian(adapter, features, engine="jacrev").dense()
            measured = spectrum(DenseJacobian(rows, case.out_features)).rank
            bound = adapter.rank_bound(n, features_rank)
            expect(
                measured <= bound,
                f"rank {measured} exceeds the bound {bound} for {n} samples"
                + (f" of features rank {features_rank}" if features_rank else ""),
            )


def euler_identity_holds(case: Case) -> None:
    """J_k G_k = degree · (f − base) for every parameter block k (theory P5)."""
    for adapter in case.both():
        if adapter.degree is None:
            return
        features = case.features(4)
        truth, outputs = _truth(adapter, features), adapter(features).detach().reshape(-1)
        blocks = [p.detach().reshape(-1) for p in adapter.parameters() if p.requires_grad]
        columns = truth.split([len(block) for block in blocks], dim=1)
        for k, (part, block) in enumerate(zip(columns, blocks, strict=True)):
            expect_close(part @ block, adapter.degree * outputs, 1e-10, f"J_k G_k of block {k}")


def decoupled_equals_dense(case: Case) -> None:
    """`decoupled()`, where given, makes the dense kernel."""
    features = case.features(5)
    for adapter in case.both():
        parts = adapter.decoupled(features)
        if parts is None:
            return
        kernel = torch.kron(parts.shared @ parts.shared.T, torch.eye(parts.n_outputs).double())
        if parts.coupled is not None and parts.factor is not None:
            across = parts.factor @ parts.factor.T
            kernel = kernel + torch.kron(parts.coupled @ parts.coupled.T, across)
        truth = _truth(adapter, features)
        expect_close(kernel, truth @ truth.T, 1e-10, "decoupled kernel")


def central_differences(
    adapter: Adapter, features: Float[Tensor, "n d"], step: float = 1e-5
) -> Float[Tensor, "nC P"]:
    """∂f/∂θ by (f(θ + h) − f(θ − h)) / 2h, one parameter at a time; error O(h²) and O(ε/h).

    Example:
        >>> from ntklab.adapters import LinearProbe
        >>> probe = LinearProbe(2, 1, dtype=torch.float64)
        >>> central_differences(probe, torch.eye(2).double()).round(decimals=6).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    columns = []
    with torch.no_grad():
        for parameter in (p for p in adapter.parameters() if p.requires_grad):
            flat = parameter.view(-1)
            for p in range(len(flat)):
                original = flat[p].clone()
                sides = []
                for sign in (1, -1):
                    flat[p] = original + sign * step
                    sides.append(adapter(features))
                flat[p] = original
                columns.append((sides[0] - sides[1]).reshape(-1) / (2 * step))
    return torch.stack(columns, dim=1)


def _dense_tangent(adapter: Adapter) -> Float[Tensor, "D P"]:
    """∂w/∂θ, one backward pass an entry of w."""
    params = [p for p in adapter.parameters() if p.requires_grad]
    weights = adapter.generate()
    rows = (
        torch.autograd.grad(w, params, retain_graph=True, materialize_grads=True) for w in weights
    )
    return torch.stack([torch.cat([grad.reshape(-1) for grad in row]) for row in rows])


def _product_tangent(adapter: Adapter, dense: Float[Tensor, "D P"]) -> Float[Tensor, "d C P"]:
    """∂(W1 W2)/∂θ from ∂w/∂θ; a ΔW is its own product."""
    d, outputs = adapter.in_features, adapter.out_features
    if not isinstance(adapter, FactorAdapter):
        return dense.reshape(d, outputs, -1)
    first, second = (factor.detach() for factor in adapter.factors())
    by_first = dense[: first.numel()].reshape(*first.shape, -1)
    by_second = dense[first.numel() :].reshape(*second.shape, -1)
    return torch.einsum("djp,jc->dcp", by_first, second) + torch.einsum(
        "dj,jcp->dcp", first, by_second
    )


def _truth(adapter: Adapter, features: Tensor) -> Float[Tensor, "nC P"]:
    return jacobian(adapter, features, engine="loop").dense()
