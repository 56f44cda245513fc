"""The cases measure the heads that were published, and their quick forms are smaller."""

from math import prod

import pytest

from ntklab import InputError
from ntklab.bench import CASES, Curve, cases_named
from ntklab.bench.cases import BlockCase, CheckCase, KernelCase, SpectrumCase, TrainingCase

KERNELS = [case for case in CASES.values() if isinstance(case, KernelCase)]
SPECTRA = [case for case in CASES.values() if isinstance(case, SpectrumCase)]
CURVES = [case for case in CASES.values() if isinstance(case, Curve)]
PUBLISHED = {"relu-1024": 1140, "relu-4096": 1220, "lora": 2056, "tt-lora": 1764}


@pytest.mark.parametrize(("name", "count"), PUBLISHED.items())
def test_heads_have_the_published_number_of_parameters(name, count):
    """Without the 3136 weights of a trainable first convolution that the paper counts in."""
    assert CASES[name].problem.model().parameter_count == count


@pytest.mark.parametrize("case", KERNELS, ids=lambda case: case.name)
def test_a_quick_kernel_is_the_same_head_on_fewer_samples(case):
    whole, quick = case.problem, case.quick
    assert quick.samples == min(whole.samples, 200)
    assert quick.with_samples(whole.samples) == whole


@pytest.mark.parametrize("case", SPECTRA, ids=lambda case: case.name)
def test_spectra_are_of_the_head_of_gpt2(case):
    assert (case.problem.in_features, case.problem.outputs) == (768, 50257)
    out_dims, width = case.problem.sizes.get("out_dims"), case.problem.sizes.get("width")
    if out_dims is not None:
        assert prod(out_dims) == (768 + 50257) * width
    assert case.quick.samples * case.quick.outputs < case.problem.samples * case.problem.outputs


@pytest.mark.parametrize("case", CURVES, ids=lambda case: case.name)
def test_a_quick_curve_has_three_points_with_a_fifth_of_the_samples(case):
    assert len(case.points) >= 4
    assert len(case.quick) == 3
    for quick, whole in zip(case.quick, case.points, strict=False):
        assert quick.samples == whole.samples // 5
        assert quick.with_samples(whole.samples) == whole


def test_blocks_hold_ever_more_and_the_one_in_use_is_among_them():
    from ntklab.adapters.layer_rows import CACHE_BYTES
    from ntklab.tensor_train import BLOCK_BYTES

    for case in (case for case in CASES.values() if isinstance(case, BlockCase)):
        for sizes, unit, used in (
            (case.mebibytes, 20, BLOCK_BYTES),
            (case.kibibytes, 10, CACHE_BYTES),
        ):
            assert list(sizes) == sorted(set(sizes))
            assert used in [size << unit for size in sizes]


def test_quick_forms_of_the_rest_are_smaller():
    for case in CASES.values():
        if isinstance(case, TrainingCase):
            assert case.quick_steps < case.steps
            assert case.quick.samples < case.problem.samples
        if isinstance(case, CheckCase):
            assert case.quick_samples < case.samples


def test_cases_are_named_once_and_all_are_there_if_none_is_named():
    assert [case.name for case in cases_named([])] == list(CASES)
    assert [case.name for case in cases_named(["lora", "mlp", "lora"])] == ["lora", "mlp"]
    with pytest.raises(InputError, match="unknown bench case 'lora-65': did you mean 'lora-64'"):
        cases_named(["lora-65"])
