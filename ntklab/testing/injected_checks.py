"""Checks of an adapter inside a model, in the place of layers met at several positions."""

import tempfile
from copy import deepcopy

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ntklab.adapters import METHODS
from ntklab.adapters.inject import (
    adapters_in,
    inject,
    load_adapter,
    merge,
    remove,
    save_adapter,
    unmerge,
)
from ntklab.errors import InputError
from ntklab.jacobians import jacobian
from ntklab.testing.case import Case
from ntklab.testing.expect import expect, expect_close


class Blocks(nn.Module):
    """x ← x + back(tanh(target(x))) in two blocks, then the mean over positions."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(11)
        pairs = {"target": (in_features, out_features), "back": (out_features, in_features)}
        self.blocks = nn.ModuleList(
            nn.ModuleDict({name: nn.Linear(*pair).double() for name, pair in pairs.items()})
            for _ in range(2)
        )
        for parameter in self.parameters():
            parameter.data.normal_(0, in_features**-0.5, generator=generator)

    def forward(self, x: Float[Tensor, "N T d"]) -> Float[Tensor, "N d"]:
        for block in self.blocks:
            assert isinstance(block, nn.ModuleDict)
            x = x + block["back"](torch.tanh(block["target"](x)))
        return x.mean(1)


def injected_layers_are_base_plus_adapted(case: Case) -> None:
    """Outputs inside a model are those of the layers with scale · adapted added by hand."""
    plain, model = Blocks(case.in_features, case.out_features), _model(case, generic=True)
    x = wanted = _inputs(case)
    for block, adapter in zip(plain.blocks, adapters_in(model).values(), strict=True):
        assert isinstance(block, nn.ModuleDict)
        inner = block["target"](wanted) + adapter.scale * adapter.adapted(wanted)
        wanted = wanted + block["back"](torch.tanh(inner))
    expect_close(model(x), wanted.mean(1), 1e-12, "the model with adapters")


def injected_jacobian_equals_a_loop(case: Case) -> None:
    """The default engine's rows are autograd's, one call for every sample and output."""
    model, x = _model(case, generic=True), _inputs(case)
    params = [p for p in model.parameters() if p.requires_grad]
    rows = []
    for sample in x:
        for output in model(sample.unsqueeze(0)).squeeze(0):
            grads = torch.autograd.grad(output, params, retain_graph=True, materialize_grads=True)
            rows.append(torch.cat([grad.flatten() for grad in grads]))
    expect_close(jacobian(model, x).dense(), torch.stack(rows), 1e-9, "J inside a model")


def injected_at_zero_changes_nothing(case: Case) -> None:
    """The start `zero` leaves the outputs as they were, with a gradient to leave it."""
    plain, model = Blocks(case.in_features, case.out_features), _model(case, "zero")
    x = _inputs(case)
    expect_close(model(x), plain(x), 1e-12, "outputs at the start 'zero'")
    expect(bool(jacobian(model, x).dense().any()), "the gradient at the start 'zero' is zero")


def injected_adapters_merge_and_leave(case: Case) -> None:
    """Merged outputs are the adapted ones, where f is linear in φ; unmerged and removed exactly."""
    model, x = _model(case, generic=True), _inputs(case)
    adapted, linear = model(x), all(a.linear for a in adapters_in(model).values())
    try:
        merge(model)
    except InputError:
        expect(not linear, "an adapter that is linear in its input cannot be merged")
    else:
        expect(linear, "an adapter that is not linear in its input was merged")
        expect_close(model(x), adapted, 1e-10, "merged outputs")
        expect(torch.equal(unmerge(model)(x), adapted), "outputs after merge and unmerge differ")
    plain = Blocks(case.in_features, case.out_features)
    expect(torch.equal(remove(model)(x), plain(x)), "the model differs after remove")


def injected_adapters_are_saved_and_copied(case: Case) -> None:
    """A copy, and a model that loads the saved adapters, give equal bits."""
    model, x = _model(case, generic=True), _inputs(case)
    outputs = model(x)
    expect(torch.equal(deepcopy(model)(x), outputs), "a deep copy gives other outputs")
    expect(torch.equal(model.float().double()(x), model(x)), "casts change outputs")
    if METHODS.get(case.adapter.method) is not case.adapter:
        return  # a name must be known to be loaded
    with tempfile.TemporaryDirectory() as folder:
        save_adapter(model, folder)
        other = load_adapter(Blocks(case.in_features, case.out_features).float().double(), folder)
    expect(torch.equal(other(x), model(x)), "loaded adapters give other outputs")


def _model(case: Case, start: str | None = None, generic: bool = False) -> nn.Module:
    presets = ("ntk", "released")
    chosen = case.preset if case.preset in presets else "ntk"
    model = inject(
        Blocks(case.in_features, case.out_features),
        case.adapter,
        target_modules=["target"],
        start=start or chosen,
        seed=case.seed,
        scale=case.scale,
        **case.sizes.sizes,
    )
    if generic:
        generator = torch.Generator().manual_seed(case.seed + 1)
        for parameter in model.parameters():
            if parameter.requires_grad:
                draw = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
                parameter.data.copy_(0.5 * draw)
    return model


def _inputs(case: Case) -> Float[Tensor, "3 4 d"]:
    generator = torch.Generator().manual_seed(17)
    return torch.randn(3, 4, case.in_features, generator=generator, dtype=torch.float64)
