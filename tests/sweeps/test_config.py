from dataclasses import fields

import pytest
import torch

from ntklab.adapters import METHODS
from ntklab.errors import InputError
from ntklab.records import plain
from ntklab.sweeps import SpectrumConfig, methods_named, resolve_device


@pytest.mark.parametrize("method", METHODS)
def test_a_configuration_is_json_and_gives_itself_back(method):
    config = SpectrumConfig(method=method, seed=3)
    data = config.to_dict()
    assert plain(data) == data
    assert SpectrumConfig(**data) == config


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        ({"method": "tensorgide"}, "did you mean 'tensorguide'"),
        ({"samples": 0}, "samples = 0 must be at least 1"),
        ({"samples": -3}, "samples = -3"),
        ({"seed": -1}, "seed = -1"),
        ({"data_seed": -1}, "data_seed = -1"),
        ({"dtype": "float16"}, "unknown dtype 'float16'"),
    ],
)
def test_what_cannot_work_is_refused_at_once(bad, sentence):
    with pytest.raises(InputError, match=sentence):
        SpectrumConfig(**{"method": "lora", **bad})


def test_sizes_that_another_method_has_no_use_for_are_dropped():
    config = SpectrumConfig(method="tensorguide", width=64, tt_ranks=(1, 2, 1), samples=8)
    assert config.for_method("linear-probe") == SpectrumConfig(method="linear-probe", samples=8)
    assert config.for_method("tensorguide") == config


def test_methods_are_named_in_order_without_repeats():
    assert methods_named(["tera", "all"]) == ["tera", *(m for m in METHODS if m != "tera")]
    with pytest.raises(InputError, match="unknown method 'lorra'"):
        methods_named(["lora", "lorra"])


@pytest.mark.parametrize("bad", ["cuda:99", "gpu", "meta"])
def test_a_device_that_is_not_there_is_refused(bad):
    with pytest.raises(InputError, match=f"device '{bad}'"):
        resolve_device(bad)


def test_auto_is_a_device_that_is_there():
    assert resolve_device("auto") == ("cuda:0" if torch.cuda.is_available() else "cpu")


def test_all_kinds_of_cell_share_what_they_say_of_their_adapter():
    from ntklab.sweeps.config import AdapterConfig, HeadConfig
    from ntklab.sweeps.language_config import LanguageConfig
    from ntklab.sweeps.pair_config import PairConfig

    for kind in (SpectrumConfig, PairConfig, LanguageConfig):
        shared = AdapterConfig if kind is LanguageConfig else HeadConfig
        assert issubclass(kind, shared)
        assert {field.name for field in fields(shared)} <= kind(method="lora").to_dict().keys()
        with pytest.raises(InputError, match="seed = -1 must be at least 0"):
            kind(method="lora", seed=-1)
        with pytest.raises(InputError, match="unknown dtype 'float16'"):
            kind(method="lora", dtype="float16")
    for kind in (SpectrumConfig, PairConfig):
        assert kind(method="lora", task="synthetic").data_condition is None


def test_the_name_of_a_finished_cell_stays():
    """Folders made before are resumed; with a new field their cells are computed again."""
    from ntklab.records import cell_id
    from ntklab.sweeps.language_config import LanguageConfig
    from ntklab.sweeps.pair_config import PairConfig

    kinds = (SpectrumConfig, PairConfig, LanguageConfig)
    found = [cell_id(kind(method="lora", rank=2, seed=1).to_dict()) for kind in kinds]
    assert found == ["98e5a0781940cd72", "1e6e43e1bb117071", "663b1e5d8dd777e4"]


def test_for_another_method_sizes_are_kept_that_it_uses():
    from ntklab.sweeps.pair_config import PairConfig

    guide = PairConfig(method="tensorguide", width=64, tt_ranks=(1, 2, 1), lr=0.1)
    dense = guide.for_method("dense-head")
    assert (dense.width, dense.tt_ranks, dense.lr) == (64, None, 0.1)
    assert guide.for_method("lora").width is None
    assert guide.sizes["tt_ranks"] == (1, 2, 1)
    with pytest.raises(InputError, match="did you mean 'lora'"):
        guide.for_method("lorra")
