"""How adapters start: what the authors' code does, what their text says, what ours claims."""

import math

import pytest
import torch
from torch import nn

from ntklab.adapters import (
    PRESETS,
    LinearProbe,
    LoRA,
    TensorGuide,
    TeRA,
    TTDelta,
    TTLoRA,
    build_adapter,
)
from ntklab.adapters.presets import Draws, check_preset
from ntklab.errors import InputError
from ntklab.tensor_train import TTShape, contract


def seeded(seed):
    return {"generator": torch.Generator().manual_seed(seed), "dtype": torch.float64}


def assert_normal(values, std):
    """Sample mean and variance within five standard errors of N(0, std²)."""
    values = values.detach().reshape(-1) / std
    n = len(values)
    assert n >= 64
    assert abs(float(values.mean())) < 5 / math.sqrt(n)
    assert abs(float(values.square().mean()) - 1) < 5 * math.sqrt(2 / n)


def all_cores(adapter):
    return [p for name, p in adapter.named_parameters() if "cores" in name]


def test_released_lora():
    head = build_adapter("lora", 512, 2, preset="released", **seeded(0))
    assert head.scale == 8
    assert_normal(torch.cat([head.A.reshape(-1), head.B.reshape(-1)]), 0.01)
    assert_normal(head.A, 0.01)


def test_released_tt_lora():
    head = build_adapter("tt-lora", 512, 2, preset="released", **seeded(0))
    assert (head.scale, head.linear, head.parameter_count) == (1, True, 1764)
    for core in all_cores(head)[:4]:
        assert_normal(core, 0.1)
    assert_normal(torch.cat([core.reshape(-1) for core in all_cores(head)]), 0.1)
    assert_normal(head.latent1, 1.0)


def test_released_tensorguide():
    head = build_adapter("tensorguide", 512, 2, width=1024, preset="released", **seeded(0))
    assert (head.scale, head.linear, head.base) == (0.01, True, None)
    assert_normal(torch.cat([core.reshape(-1) for core in all_cores(head)]), 0.1)


@pytest.mark.parametrize("method", ["lora", "tt-lora"])
def test_released_heads_stand_on_a_frozen_random_base(method):
    head = build_adapter(method, 512, 2, preset="released", **seeded(0))
    bound = 512**-0.5
    assert not any(p.requires_grad for p in head.base.parameters())
    assert float(head.base.weight.abs().max()) <= bound
    assert float(head.base.weight.abs().max()) > 0.98 * bound
    other = build_adapter(method, 512, 2, preset="released", **seeded(1))
    assert not torch.equal(head.base.weight, other.base.weight)
    given = nn.Linear(512, 2, dtype=torch.float64)
    assert build_adapter(method, 512, 2, preset="released", base=given).base is given


@pytest.mark.parametrize("method", ["tensorguide", "tt-delta", "tera", "linear-probe"])
def test_other_released_heads_have_no_base(method):
    assert build_adapter(method, 64, 2, preset="released").base is None


@pytest.mark.parametrize("method", ["lora", "tt-lora", "tensorguide"])
@pytest.mark.parametrize("preset", ["ntk", "paper"])
def test_no_base_unless_released(method, preset):
    assert build_adapter(method, 64, 2, preset=preset).base is None


def test_paper_lora_starts_at_zero():
    head = LoRA(512, 2, 4, preset="paper", **seeded(0))
    assert not head.B.any()
    assert head.scale == 1
    assert_normal(head.A, 512**-0.5)


def test_paper_cores_are_xavier_uniform():
    shape = TTShape((1, 2, 2, 1), (16, 8, 257, 16), (1, 2, 2, 1, 1))
    head = TensorGuide(512, 2, 1024, shape=shape, preset="paper", **seeded(0))
    assert (head.scale, head.activation.name) == (1.0, "relu")
    for core in (core.detach() for core in head.cores):
        r, n, m, following = core.shape
        bound = math.sqrt(6 / (n * m * following + r * m * following))
        assert float(core.abs().max()) <= bound
        assert float(core.abs().max()) > 0.8 * bound
    largest = head.cores[2].detach()
    bound = math.sqrt(6 / (2 * 257 + 2 * 257))
    # Var U(±b) = b²/3; the standard error of a mean square of n uniforms is b² sqrt(4/45 / n).
    error = math.sqrt(4 / 45 / largest.numel())
    assert abs(float(largest.square().mean()) / bound**2 - 1 / 3) < 5 * error


def mean_square(values_of, seeds):
    """Mean over seeds of a mean square, with its standard error."""
    draws = torch.tensor([float(values_of(seed).square().mean()) for seed in range(seeds)])
    return float(draws.mean()), float(draws.std()) / math.sqrt(seeds)


def assert_claim(found, error, claimed):
    # Less than a tenth of the claim: a factor 2, or a forgotten rank, is many standard errors.
    assert error < 0.1 * claimed
    assert abs(found - claimed) < 4 * error


SHAPE = TTShape((1, 2, 2), (8, 4, 10), (1, 2, 3, 1))  # D = 320 = 16 · (18 + 2)


def tensorguide(seed, **options):
    return TensorGuide(18, 2, 16, shape=SHAPE, **seeded(seed), **options)


def test_ntk_tensorguide_weights_have_the_claimed_variance():
    claims = {"first": 1 / 18, "second": 1 / 16}
    factors = {
        "first": lambda seed: tensorguide(seed).factors()[0].detach(),
        "second": lambda seed: tensorguide(seed).scale * tensorguide(seed).factors()[1].detach(),
    }
    for name, claim in claims.items():
        assert_claim(*mean_square(factors[name], 2500), claim)


def test_ntk_tt_lora_weights_have_the_claimed_variance():
    first = TTShape((2, 2, 2), (3, 2, 15), (1, 2, 2, 1))
    second = TTShape((2, 2), (5, 2), (1, 2, 1))

    def build(seed):
        return TTLoRA(18, 2, 5, shape1=first, shape2=second, **seeded(seed))

    assert build(0).scale == 1
    assert_claim(*mean_square(lambda s: build(s).factors()[0].detach(), 2500), 1 / 18)
    assert_claim(*mean_square(lambda s: build(s).factors()[1].detach(), 2500), 1 / 5)


def test_ntk_tt_delta_updates_have_the_claimed_variance():
    shape = TTShape.plain((6, 3, 2), (1, 3, 2, 1))
    found = mean_square(lambda s: TTDelta(18, 2, shape=shape, **seeded(s)).delta().detach(), 2500)
    assert_claim(*found, 1 / 18)


@pytest.mark.parametrize("preset", PRESETS)
def test_tera_updates_have_the_claimed_variance_under_every_preset(preset):
    def delta(seed):
        head = TeRA(18, 2, dims=(6, 3, 2), ranks=(3, 2, 2), preset=preset, **seeded(seed))
        assert all(torch.equal(v, torch.ones_like(v)) for v in head.scalings)
        return head.delta().detach()

    assert_claim(*mean_square(delta, 2000), 1 / 18)


def test_ntk_lora_and_the_probe():
    head = LoRA(512, 400, 4, **seeded(0))
    assert_normal(head.A, 512**-0.5)
    assert_normal(head.B, 0.5)
    assert head.scale == 1
    for preset in PRESETS:
        assert_normal(LinearProbe(512, 2, preset=preset, **seeded(0)).weight, 512**-0.5)


def test_the_variance_formula_is_exact_given_the_latent():
    """E w² by summing the variances of all paths equals the target, entry by entry."""
    latent = torch.randn(SHAPE.in_size, dtype=torch.float64)
    # Var of a core entry is std² everywhere, so E w² is the train of squares.
    cores = Draws(**seeded(0)).cores(SHAPE, "ntk", variance=0.3, latent=latent)
    pooled = torch.cat([core.reshape(-1) for core in cores]).detach()
    paths = 6 * float(latent.square().sum())
    std = (0.3 / paths) ** (1 / 6)
    assert_normal(pooled, std)
    squares = [torch.full(size, std**2, dtype=torch.float64) for size in SHAPE.core_shapes]
    expected = contract(squares, latent.square())
    torch.testing.assert_close(expected, torch.full_like(expected, 0.3))


@pytest.mark.parametrize("alpha", [0.0, 2.0, 16.0])
def test_alpha_over_rank_is_the_scale(alpha):
    assert LoRA(8, 2, 4, alpha=alpha).scale == alpha / 4
    assert LoRA(8, 2, 4, alpha=alpha, scale=3.0).scale == 3.0


def test_tensorguide_scales():
    assert tensorguide(0).scale == math.sqrt(18 / 16)
    assert tensorguide(0, preset="released").scale == 0.01
    assert tensorguide(0, preset="paper").scale == 1.0
    assert tensorguide(0, activation="tanh").degree is None


def test_latents_are_drawn_anew_in_place():
    head, before = tensorguide(0), tensorguide(0).latent.clone()
    kept = head.latent
    head.resample_latent(torch.Generator().manual_seed(5))
    assert head.latent is kept
    assert not torch.equal(head.latent, before)
    assert head.latent.dtype == torch.float64


def test_shared_tera_layers_share_frozen_tensors():
    first = TeRA(6, 2, dims=(3, 4), ranks=(2, 2), **seeded(0))
    second = TeRA(6, 2, dims=(3, 4), ranks=(2, 2), shared=first)
    assert second.frozen()[0] is first.core
    assert [name for name in second.state_dict() if not name.startswith("scalings")] == []
    assert second.scalings[0] is not first.scalings[0]
    features = torch.randn(3, 6, dtype=torch.float64)
    assert torch.equal(first(features), second(features))
    with pytest.raises(InputError, match=r"share equal shapes"):
        TeRA(6, 2, dims=(3, 4), ranks=(2, 1), shared=first)


def test_an_unknown_preset_names_the_nearest():
    with pytest.raises(InputError, match="did you mean 'released'"):
        check_preset("release")
