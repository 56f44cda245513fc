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
