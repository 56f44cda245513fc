"""Configurations: settings side by side, wherever they belong."""

from dataclasses import dataclass, field

import pytest

from ntklab.adapters.spec import AdapterSpec
from ntklab.compute import ComputeSpec
from ntklab.configuration import Configuration, setting
from ntklab.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Inner(Configuration):
    seed: int = setting(0, "A seed.", key="inner_seed", least=0)
    word: str = setting("a", "A word.", words=("a", "b"))


@dataclass(frozen=True, kw_only=True)
class Outer(Configuration):
    inner: Inner = field(default_factory=lambda: Inner(word="b"))
    sizes: tuple[int, ...] | None = setting(None, "Sizes.")
    seed: int = setting(1, "Another seed.")
    later: bool = setting(False, "Joined after records existed.", young=True)


def test_the_flat_view_holds_every_setting_once():
    assert list(Outer.flat_fields()) == ["inner_seed", "word", "sizes", "seed", "later"]
    assert Outer().to_dict() == {"inner_seed": 0, "word": "b", "sizes": None, "seed": 1}
    assert Outer(later=True).to_dict()["later"] is True


def test_settings_find_their_place():
    one = Outer.of(inner_seed=3, seed=4, sizes=(1, 2))
    assert (one.inner, one.seed) == (Inner(seed=3, word="b"), 4)
    assert one.with_(word="a").inner == Inner(seed=3, word="a")
    assert one.to_dict()["sizes"] == [1, 2]
    assert Outer.of() == Outer()


@pytest.mark.parametrize(
    ("flat", "sentence"),
    [
        ({"word": "c"}, "unknown word 'c'"),
        ({"inner_seed": -1}, "inner_seed = -1 must be at least 0"),
    ],
)
def test_bad_values_get_a_sentence_in_either_form(flat, sentence):
    with pytest.raises(InputError, match=sentence):
        Outer.of(**flat)
    with pytest.raises(InputError, match=sentence):
        Outer().with_(**flat)


def test_a_key_that_is_no_setting_is_refused():
    with pytest.raises(TypeError, match="Outer has no setting inner"):
        Outer.of(inner=3)
    with pytest.raises(TypeError, match="no setting other"):
        Outer().with_(other=3)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_numbers_must_be_finite(value):
    with pytest.raises(InputError, match=r"scale = .* must be a finite number"):
        AdapterSpec("lora", scale=value)


def test_numbers_must_fit_a_word():
    assert ComputeSpec(seed=2**63 - 1).seed == 2**63 - 1
    with pytest.raises(InputError, match="seed = 9223372036854775808 is beyond"):
        ComputeSpec(seed=2**63)


def test_an_amount_of_memory_may_be_given_in_words():
    from ntklab.experiments.spectrum import SpectrumConfig

    assert SpectrumConfig.of(method="lora", memory="2KiB").memory == 2048
    assert SpectrumConfig.of(method="lora", memory="2KiB") == SpectrumConfig.of(
        method="lora", memory=2048
    )
    with pytest.raises(InputError, match="memory 'much' is no amount"):
        SpectrumConfig.of(method="lora", memory="much")


def test_the_device_of_this_machine_is_chosen_when_a_cell_is_made():
    import torch

    from ntklab.experiments.grid import Grid
    from ntklab.experiments.spectrum import SpectrumConfig
    from ntklab.experiments.training.cells import pair_cells

    here = "cuda:0" if torch.cuda.is_available() else "cpu"
    (cell,) = Grid(SpectrumConfig, {"method": "lora", "device": "auto"}).cells()
    assert cell.compute.device == here
    for table in (1, 2, 5):
        cells = pair_cells({"device": "auto"}, seeds=(0,), table=table)
        assert {cell.compute.device for cell in cells} == {here}
