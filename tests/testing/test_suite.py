"""The conformance suite passes every registry method, and fails what is broken, by name."""

import warnings

import pytest
import torch
from torch import nn

from ntklab.adapters import METHODS, LoRA, TensorGuide, TTDelta
from ntklab.errors import InputError
from ntklab.testing import CHECKS, check_adapter
from ntklab.testing.case import cases
from ntklab.testing.kernel_checks import central_differences
from tests.testing.broken import (
    BROKEN,
    DecoupledWithoutFactor,
    DecoupledWithoutScale,
    Noisy,
    TrainableBase,
    WrongDegree,
)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_of_the_registry_conforms(method):
    assert check_adapter(METHODS[method]) == list(CHECKS)


@pytest.mark.parametrize(("broken", "name"), BROKEN, ids=[f"{b.__name__}" for b, _ in BROKEN])
def test_a_broken_adapter_fails_the_check_that_names_it(broken, name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what cannot be vectorized falls back, and says so
        with pytest.raises(AssertionError, match=f"(?m)^  {name}: "):
            check_adapter(broken, shapes=[(6, 2), (8, 3)], checks=[name])


class FixedSeedAndWrongDegree(TensorGuide):
    degree = 1

    def __init__(self, *args, generator=None, **kwargs):
        super().__init__(*args, generator=torch.Generator().manual_seed(0), **kwargs)


def test_all_failures_are_said_at_once_the_mathematics_first():
    with pytest.raises(AssertionError) as caught:
        check_adapter(FixedSeedAndWrongDegree, shapes=[(6, 2)])
    lines = str(caught.value).splitlines()
    assert lines[0] == f"FixedSeedAndWrongDegree fails 2 of {len(CHECKS)} checks."
    assert lines[1] == "mathematics:"
    assert lines[2].startswith("  euler_identity_holds: ")
    assert lines[3] == "interface:"
    assert lines[4].startswith("  seeds_decide: two seeds gave one adapter")
    assert len(lines) == 5


class CannotBeBuilt(LoRA):
    def __init__(self, *args, **kwargs):
        raise TypeError("no such thing")


def test_checks_that_fail_for_one_reason_share_a_line():
    with pytest.raises(AssertionError) as caught:
        check_adapter(CannotBeBuilt, shapes=[(6, 2)], checks=list(CHECKS)[:6])
    lines = str(caught.value).splitlines()
    assert lines[1] == "mathematics:"
    assert len(lines) == 3
    assert all(name in lines[2] for name in list(CHECKS)[:6])


@pytest.mark.parametrize(
    ("broken", "name"),
    [
        (DecoupledWithoutScale, "decoupled_equals_dense"),
        (DecoupledWithoutFactor, "decoupled_equals_dense"),
        (TrainableBase, "jacobian_has_a_column_a_parameter"),
        (Noisy, "kernel_is_symmetric_and_positive"),
        (Noisy, "primal_and_dual_spectra_agree"),
    ],
)
def test_later_checks_fail_on_their_own(broken, name):
    with pytest.raises(AssertionError, match=f"(?m)^  {name}: "):
        check_adapter(broken, checks=[name])


class DropsItsBase(LoRA):
    def forward(self, features):
        return self.scale * self.adapted(features)


class RemembersAnotherLayer(LoRA):
    def update(self):
        return 1.01 * super().update()


class StartsElsewhere(TTDelta):
    def start_at_zero(self):
        return True


class HasNoGradientAtZero(LoRA):
    def start_at_zero(self):
        self.A.data.zero_()
        return super().start_at_zero()


class CountsItsCalls(LoRA):
    calls = 0

    def adapted(self, features):
        self.calls += 1
        return (1 + self.calls / 100) * super().adapted(features)


BROKEN_INSIDE = [
    (DropsItsBase, "injected_layers_are_base_plus_adapted"),
    (RemembersAnotherLayer, "injected_adapters_merge_and_leave"),
    (StartsElsewhere, "injected_at_zero_changes_nothing"),
    (HasNoGradientAtZero, "injected_at_zero_changes_nothing"),
    (CountsItsCalls, "injected_adapters_are_saved_and_copied"),
]


@pytest.mark.parametrize(("adapter", "check"), BROKEN_INSIDE)
def test_what_is_broken_inside_a_model_fails(adapter, check):
    with pytest.raises(AssertionError, match=f"(?m)^  {check}"):
        check_adapter(adapter, checks=[check])


def test_every_check_has_an_adapter_that_fails_it():
    tested = {name for _, name in (*BROKEN, *BROKEN_INSIDE)} | {
        # engines compare themselves with `loop`, so no adapter makes this one fail
        "injected_jacobian_equals_a_loop",
        "decoupled_equals_dense",
        "jacobian_has_a_column_a_parameter",
        "kernel_is_symmetric_and_positive",
        "primal_and_dual_spectra_agree",
    }
    assert tested == set(CHECKS)


def test_the_failure_names_the_case():
    with pytest.raises(AssertionError, match=r"WrongDegree of 6 features.*width = 8.*preset ntk"):
        check_adapter(WrongDegree, checks=["euler_identity_holds"])


def test_cases_cover_presets_seeds_scales_and_activations():
    found = cases(TensorGuide, [(6, 2), (8, 3)], {"width": 8, "rank": 3})
    assert {c.preset for c in found} == {"ntk", "released", "paper"}
    assert {c.sizes.activation for c in found} == {None, "identity", "relu", "tanh", "gelu"}
    assert all(c.sizes.rank is None for c in found)  # TensorGuide has no use for it
    assert len({c.seed for c in found}) == len(found)
    assert {c.scale for c in found} == {None, 0.7}


@pytest.mark.parametrize("wrong", [LoRA(3, 2, 1), nn.Linear, "lora"])
def test_what_is_no_adapter_class_is_refused(wrong):
    with pytest.raises(InputError, match="no Adapter class"):
        check_adapter(wrong)


def test_an_unknown_check_names_the_nearest():
    with pytest.raises(InputError, match="did you mean 'engines_agree'"):
        check_adapter(LoRA, checks=["engine_agree"])


def test_central_differences_of_a_known_function():
    lora = LoRA(2, 1, 1, dtype=torch.float64)
    with torch.no_grad():
        lora.A.copy_(torch.tensor([[2.0, 3.0]]))
        lora.B.copy_(torch.tensor([[5.0]]))
    found = central_differences(lora, torch.tensor([[1.0, 10.0]], dtype=torch.float64))
    wanted = torch.tensor([[5.0, 50.0, 32.0]], dtype=torch.float64)
    torch.testing.assert_close(found, wanted, rtol=1e-8, atol=1e-8)
