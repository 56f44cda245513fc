"""Propositions P2, P4, P5 and P8 of the theory page, computed."""

import pytest
import torch
from scipy.optimize import least_squares

from ntklab.adapters import LoRA, TensorGuide, TTLoRA, build_adapter
from ntklab.jacobians import jacobian, ntk
from ntklab.tensor_train import TTShape, scale_bond


def float64(*rows):
    return torch.tensor(rows, dtype=torch.float64)


def ones(adapter):
    for tensor in (*adapter.parameters(), *adapter.buffers()):
        tensor.data.fill_(1)
    return adapter


def test_p8_smallest_counterexample():
    """λ_min of TensorGuide below LoRA's, raw and normalized: (13), (28) and (29) are false."""
    identity = torch.eye(3, dtype=torch.float64)
    shape = TTShape.plain((2, 2), (1, 1, 1))
    guided = TensorGuide(
        3, 1, 1, shape=shape, activation="identity", scale=1.0, dtype=torch.float64
    )
    lora = ones(LoRA(3, 1, 1, scale=1.0, dtype=torch.float64))
    ones(guided)
    K_guided, K_lora = ntk(guided, identity), ntk(lora, identity)
    assert torch.equal(K_guided, float64([4, 4, 4], [4, 6, 4], [4, 4, 6]))
    assert torch.equal(K_lora, identity + 1)
    for engine in ("loop", "jacrev", "vjp-jvp", "structured"):
        assert torch.equal(ntk(guided, identity, engine=engine), K_guided)
        assert torch.equal(ntk(lora, identity, engine=engine), K_lora)
    guided_values, lora_values = map(torch.linalg.eigvalsh, (K_guided, K_lora))
    root = 41**0.5
    torch.testing.assert_close(guided_values, float64([7 - root, 2, 7 + root])[0])
    torch.testing.assert_close(lora_values, float64([1, 1, 4])[0])
    assert guided_values[0] < lora_values[0]
    assert guided_values[0] / guided_values.mean() < lora_values[0] / lora_values.mean()
    assert guided_values[0] / guided_values[-1] < lora_values[0] / lora_values[-1]
    tangent = guided.tangent_map()
    assert tangent.shape == (4, 4)
    assert int(torch.linalg.matrix_rank(tangent)) == 3


def test_one_core_of_linear_tensorguide_is_lora():
    """With K = 1 core the two generate the same weights, kernel and all (P8)."""
    shape = TTShape.plain((3 * 2 + 2 * 2,), (1, 1))
    guided = TensorGuide(3, 2, 2, shape=shape, activation="identity", scale=1.0).double()
    lora = LoRA(3, 2, 2, scale=1.0, dtype=torch.float64)
    first, second = guided.factors()
    lora.A.data, lora.B.data = first.detach().T.clone(), second.detach().T.clone()
    # One latent entry multiplies every weight; the train's own scale is that entry's.
    features = torch.randn(5, 3, dtype=torch.float64)
    torch.testing.assert_close(guided(features), lora(features))
    latent = guided.latent.item()
    torch.testing.assert_close(ntk(guided, features), latent**2 * ntk(lora, features))


@pytest.mark.parametrize("activation", ["identity", "relu"])
@pytest.mark.parametrize("t", [0.3, 2.0])
def test_p4_a_scaled_bond_keeps_the_function_and_moves_the_kernel(activation, t):
    shape = TTShape((1, 2, 1), (4, 4, 4), (1, 2, 2, 1))
    head = TensorGuide(6, 2, 8, shape=shape, activation=activation, dtype=torch.float64)
    features = torch.randn(5, 6, dtype=torch.float64)
    outputs, parts = head(features).detach(), jacobian(head, features).core_grams()
    for k, core in enumerate(scale_bond([c.detach() for c in head.cores], 1, t)):
        head.cores[k].data = core
    torch.testing.assert_close(head(features).detach(), outputs)
    kernel = jacobian(head, features).gram()
    # G_0 → t G_0 and G_1 → G_1 / t.
    predicted = parts["cores.0"] / t**2 + parts["cores.1"] * t**2 + parts["cores.2"]
    torch.testing.assert_close(kernel, predicted)
    assert not torch.allclose(kernel, sum(parts.values()), rtol=0.01)


def test_p4_for_lora():
    head = LoRA(6, 3, 2, scale=0.5, dtype=torch.float64)
    features, t = torch.randn(4, 6, dtype=torch.float64), 3.0
    parts, outputs = jacobian(head, features).core_grams(), head(features).detach()
    head.A.data *= t
    head.B.data /= t
    torch.testing.assert_close(head(features).detach(), outputs)
    torch.testing.assert_close(ntk(head, features), t**-2 * parts["A"] + t**2 * parts["B"])
    a, b, s = head.A.detach(), head.B.detach(), head.scale
    eye = torch.eye(3, dtype=torch.float64)
    closed = s**2 * (
        torch.kron(features @ a.T @ a @ features.T, eye)
        + torch.kron(features @ features.T, b @ b.T)
    )
    torch.testing.assert_close(ntk(head, features, engine="loop"), closed)


def test_p4_orthogonal_gauges_keep_the_kernel():
    shape = TTShape((1, 2, 1), (4, 4, 4), (1, 2, 2, 1))
    head = TensorGuide(6, 2, 8, shape=shape, dtype=torch.float64)
    features = torch.randn(5, 6, dtype=torch.float64)
    before = ntk(head, features)
    turn = torch.linalg.qr(torch.randn(2, 2, dtype=torch.float64)).Q
    head.cores[0].data = head.cores[0].data @ turn
    head.cores[1].data = torch.einsum("ba,anmc->bnmc", turn.T, head.cores[1].data)
    torch.testing.assert_close(ntk(head, features), before)


@pytest.mark.parametrize("preset", ["ntk", "released", "paper"])
@pytest.mark.parametrize("method", ["lora", "tt-lora", "tensorguide", "tt-delta", "tera"])
def test_p5_the_largest_eigenvalue_is_bounded_below(method, preset):
    """λ_max ≥ (degree · blocks · ‖f‖ / ‖θ‖)², since J θ = degree · blocks · f."""
    options = {"width": 16} if method == "tensorguide" else {}
    head = build_adapter(method, 6, 2, preset=preset, dtype=torch.float64, **options)
    head.base = None
    theta = torch.cat([p.detach().reshape(-1) for p in head.parameters()])
    blocks, features = len(list(head.parameters())), torch.randn(7, 6, dtype=torch.float64)
    f = head(features).detach().reshape(-1)
    J = jacobian(head, features)
    factor = head.degree * blocks
    torch.testing.assert_close(J @ theta, factor * f, rtol=1e-10, atol=1e-14 * float(f.norm()))
    bound = float((factor * f.norm() / theta.norm()) ** 2)
    assert float(torch.linalg.eigvalsh(J.gram())[-1]) >= bound * (1 - 1e-12)
    if method != "lora" or preset != "paper":
        assert bound > 0


def test_p5_factors_of_the_released_heads(heads):
    """2 · 4 cores = 8 for TensorGuide, 2 for LoRA, 5 cores of degree 1 for TT-LoRA."""
    features = torch.randn(2, 512, dtype=torch.float64)
    for head, factor in ((heads.tensorguide(), 8), (heads.lora(), 2), (heads.tt_lora(), 5)):
        theta = torch.cat([p.detach().reshape(-1) for p in head.parameters()])
        f = head(features).detach().reshape(-1)
        torch.testing.assert_close(jacobian(head, features) @ theta, factor * f)


def collapsed_parts(head):
    """U, V and S± of theory P2, written out with its indices."""
    d, C, M = head.in_features, head.out_features, head.width
    shape, last = head.shape, head.shape.out_dims[-1]
    g = head.cores[-1].detach().reshape(-1)
    outer = TTShape(shape.in_dims[:-1], shape.out_dims[:-1], shape.ranks[:-1])
    weights = head.generate().detach()
    place = int(g.abs().argmax())
    u = weights.reshape(-1, last)[:, place] / g[place]
    assert len(u) == outer.out_size
    groups = M // last
    U, V = u[: d * groups].reshape(d, groups), u[d * groups :].reshape(groups, C)
    S = {sign: torch.zeros(C, C, dtype=torch.float64) for sign in (1, -1)}
    for sign, part in S.items():
        for b in range(last):
            for c in range(C):
                h, t = divmod(b * C + c, last)
                part[h, c] += max(float(sign * g[b]), 0.0) * float(g[t])
    return U, V, S


def collapsed(activation, width, last, seed):
    d, C = 6, 2
    rows = width * (d + C) // last
    shape = TTShape((1, 2, 1), (4, rows // 4, last), (1, 2, 1, 1))
    generator = torch.Generator().manual_seed(seed)
    return TensorGuide(
        d,
        C,
        width,
        shape=shape,
        activation=activation,
        scale=1.0,
        generator=generator,
        dtype=torch.float64,
    )


@pytest.mark.parametrize("activation", ["identity", "relu"])
@pytest.mark.parametrize(("width", "last"), [(8, 4), (8, 8), (12, 3), (16, 8)])
def test_p2_the_width_enters_only_through_s(activation, width, last):
    head = collapsed(activation, width, last, seed=width + last)
    assert head.collapsed
    features = torch.randn(5, 6, dtype=torch.float64)
    U, V, S = collapsed_parts(head)
    sigma = head.activation.function
    # Linear: σ(u) − σ(−u) = u and S⁺ − S⁻ = Σ g g', so both are the same formula with signs.
    if activation == "identity":
        wanted = features @ U @ V @ (S[1] - S[-1])
    else:
        wanted = sigma(features @ U) @ V @ S[1] + sigma(-features @ U) @ V @ S[-1]
    torch.testing.assert_close(head(features).detach(), wanted, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("activation", ["identity", "relu"])
def test_p2_twice_the_width_is_the_same_class(activation):
    """Another g' of twice the length with the same S± gives the same function at twice the M."""
    narrow, wide = collapsed(activation, 8, 4, seed=0), collapsed(activation, 16, 8, seed=1)
    for k in (0, 1):
        wide.cores[k].data = narrow.cores[k].data.clone()
    wide.latent.copy_(narrow.latent)
    target = torch.cat([s.reshape(-1) for s in collapsed_parts(narrow)[2].values()])

    def sums(g):
        parts = []
        for sign in (1, -1):
            for h in range(2):
                for c in range(2):
                    pairs = [divmod(b * 2 + c, 8) for b in range(8)]
                    terms = [
                        (sign * g[b]).clamp_min(0) * g[t]
                        for b, (row, t) in enumerate(pairs)
                        if row == h
                    ]
                    parts.append(sum(terms))
        return torch.stack(parts)

    g = solve(sums, target)
    assert g is not None
    wide.cores[2].data = g.reshape(wide.cores[2].shape)
    features = torch.randn(6, 6, dtype=torch.float64)
    torch.testing.assert_close(wide(features), narrow(features), rtol=1e-8, atol=1e-10)


def solve(residual, target, tries=200):
    """An 8-vector g with residual(g) = target by least squares from random starts."""
    for seed in range(tries):
        start = torch.randn(8, generator=torch.Generator().manual_seed(seed)).double().numpy()
        found = least_squares(
            lambda g: (residual(torch.as_tensor(g)) - target).numpy(), start, xtol=1e-15, ftol=1e-15
        )
        if abs(found.fun).max() < 1e-11:
            return torch.as_tensor(found.x)
    return None


def test_tt_lora_is_linear_in_every_core_of_both_trains():
    first = TTShape((2, 3), (2, 9), (1, 2, 1))
    second = TTShape((2, 2), (3, 2), (1, 2, 1))
    head = TTLoRA(6, 2, 3, shape1=first, shape2=second, dtype=torch.float64)
    features = torch.randn(3, 6, dtype=torch.float64)
    outputs = head(features).detach()
    for parameter in head.parameters():
        parameter.data *= 2
        torch.testing.assert_close(head(features).detach(), 2 * outputs)
        parameter.data /= 2
