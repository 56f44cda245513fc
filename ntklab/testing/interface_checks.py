"""Checks of what an adapter says and does as a module: outputs, state, seeds, words, errors."""

import json
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import nn

from ntklab.adapters import Adapter, DeltaAdapter, FactorAdapter
from ntklab.errors import InputError
from ntklab.testing.case import Case
from ntklab.testing.expect import expect, expect_close


def forward_keeps_the_batch(case: Case) -> None:
    """Outputs have the features' leading dimensions and C last, sample by sample the same."""
    adapter, features = case.generic(), case.features(6)
    outputs = adapter(features)
    expect(outputs.shape == (6, case.out_features), f"outputs have shape {tuple(outputs.shape)}")
    expect(outputs.dtype == features.dtype, f"float64 features gave {outputs.dtype} outputs")
    expect_close(adapter(features.reshape(2, 3, -1)).reshape(6, -1), outputs, 1e-12, "two axes")
    expect_close(adapter(features[0]), outputs[0], 1e-12, "one sample without its batch dimension")


def linear_says_the_truth(case: Case) -> None:
    """`linear` is true exactly where f − base is linear in φ."""
    adapter, features = case.generic(), case.features(8)
    pairs = 0.5 * features[:4] - 2 * features[4:]
    outputs = adapter(features)
    gap = (adapter(pairs) - (0.5 * outputs[:4] - 2 * outputs[4:])).abs().max()
    additive = bool(gap <= 1e-10 * outputs.abs().max())
    expect(
        additive == adapter.linear,
        f"linear is {adapter.linear}, but superposition {'holds' if additive else 'fails'}",
    )


def base_is_frozen_and_added(case: Case) -> None:
    """The base layer is added unscaled, is not trainable and changes nothing else."""
    base, features = case.base(), case.features(5)
    bare, adapter = case.build(), case.build(base=base)
    expect(
        not any(p.requires_grad for name, p in adapter.named_parameters() if "base" in name),
        "the base layer is trainable",
    )
    expect(
        adapter.parameter_count == bare.parameter_count,
        f"{bare.parameter_count} parameters become {adapter.parameter_count} with a base",
    )
    expect_close(adapter(features), base(features) + bare(features), 1e-12, "base plus adapted")


def state_dict_round_trips(case: Case) -> None:
    """A strict load of one adapter's state makes another adapter the same function."""
    source, target = case.generic(), case.build(seed=case.seed + 100)
    target.load_state_dict(source.state_dict(), strict=True)
    features = case.features(4)
    expect(torch.equal(target(features), source(features)), "outputs differ after a strict load")


def seeds_decide(case: Case) -> None:
    """The same generator seed gives the same adapter bit by bit, another seed another one."""
    first, again, other = (
        case.build(seed=seed).state_dict() for seed in (case.seed, case.seed, case.seed + 1)
    )
    expect(
        all(torch.equal(first[name], again[name]) for name in first),
        "one seed gave two adapters: take every draw from `generator`",
    )
    expect(
        any(not torch.equal(first[name], other[name]) for name in first),
        "two seeds gave one adapter",
    )


def dtypes_share_draws(case: Case) -> None:
    """float32 and float64 adapters of one seed are the same up to rounding."""
    double, single = case.build().state_dict(), case.build(dtype=torch.float32).state_dict()
    for name, value in double.items():
        dtypes = value.dtype, single[name].dtype
        expect(dtypes == (torch.float64, torch.float32), f"{name} is {dtypes} in the two")
        expect_close(single[name].double(), value, 1e-6, f"{name} in float32")


def parameters_are_counted(case: Case) -> None:
    """`parameter_count` is the number of trainable entries, and there are some."""
    adapter = case.build(base=case.base())
    count = sum(p.numel() for p in adapter.parameters() if p.requires_grad)
    expect(count > 0, "nothing is trainable")
    expect(adapter.parameter_count == count, f"says {adapter.parameter_count}, holds {count}")


def generated_weights_are_those_of_the_outputs(case: Case) -> None:
    """`generate()` is the flat row-major w that the head multiplies features with."""
    adapter, features = case.generic(), case.features(5)
    weights = adapter.generate()
    expect(weights.ndim == 1, f"generate() has shape {tuple(weights.shape)}, not (D,)")
    if isinstance(adapter, FactorAdapter):
        cut = adapter.in_features * adapter.width
        first = weights[:cut].reshape(adapter.in_features, adapter.width)
        second = weights[cut:].reshape(adapter.width, adapter.out_features)
        outputs = adapter.activation.function(features @ first) @ second
    elif isinstance(adapter, DeltaAdapter):
        outputs = features @ weights.reshape(adapter.in_features, adapter.out_features)
    else:
        return
    expect_close(adapter(features), adapter.scale * outputs, 1e-12, "scale · head of generate()")


def width_is_effective(case: Case) -> None:
    """rank W1 is at most `effective_width`, which is at most M (theory P2)."""
    adapter = case.generic()
    if not isinstance(adapter, FactorAdapter):
        return
    bound = adapter.effective_width
    expect(bound is not None and bound <= adapter.width, f"{bound} of width {adapter.width}")
    measured = int(torch.linalg.matrix_rank(adapter.factors()[0]))
    expect(bound is not None and measured <= bound, f"rank W1 = {measured} exceeds {bound}")


def description_is_json(case: Case) -> None:
    """`describe()` is JSON with the facts of the adapter; warnings are whole sentences."""
    adapter = case.build()
    described = adapter.describe()
    try:
        json.dumps(described, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise AssertionError(f"describe() is not JSON: {error}") from error
    facts = {
        "method": case.adapter.method,
        "in_features": case.in_features,
        "out_features": case.out_features,
        "preset": case.preset,
        "linear": adapter.linear,
        "parameters": adapter.parameter_count,
    }
    for name, value in facts.items():
        expect(described.get(name) == value, f"describe()['{name}'] is not {value!r}")
    expect(
        all(isinstance(w, str) and w.endswith(".") for w in adapter.warnings),
        f"warnings are not sentences: {adapter.warnings}",
    )


def bad_sizes_get_a_sentence(case: Case) -> None:
    """Impossible sizes, an unknown preset and a base that does not fit raise one clear sentence."""
    wrong_base = nn.Linear(case.in_features + 1, case.out_features, dtype=torch.float64)
    attempts: dict[str, Callable[[], Adapter]] = {
        "in_features = 0": replace(case, in_features=0).build,
        "out_features = 0": replace(case, out_features=0).build,
        "an unknown preset": replace(case, preset="nkt").build,
        "a base that does not fit": lambda: case.build(base=wrong_base),
    }
    # 1 000 003 is a prime larger than any D of a small adapter.
    for name, value in (("width", 0), ("rank", 0), ("out_dims", (1_000_003,)), ("tt_ranks", ())):
        if name in case.adapter.uses:
            sizes = case.sizes.with_(**{name: value})
            attempts[f"{name} = {value}"] = replace(case, sizes=sizes).build
    for what, attempt in attempts.items():
        _expect_sentence(what, attempt)


def _expect_sentence(what: str, attempt: Callable[[], Adapter]) -> None:
    try:
        attempt()
    except InputError as error:
        text = str(error)
        expect(text.endswith(".") and "\n" not in text, f"{what}: no sentence: {text!r}")
    except Exception as error:
        raise AssertionError(
            f"{what} raises {type(error).__name__} ({error}), not InputError"
        ) from error
    else:
        raise AssertionError(f"{what} is accepted")
