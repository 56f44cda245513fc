import pytest
import torch

from ntklab.adapters import METHODS
from ntklab.compute import resolve_device
from ntklab.errors import InputError
from ntklab.experiments.spectrum import SpectrumConfig
from ntklab.records import plain


@pytest.mark.parametrize("method", METHODS)
def test_a_configuration_is_json_and_gives_itself_back(method):
    config = SpectrumConfig.of(method=method, seed=3)
    data = config.to_dict()
    assert plain(data) == data
    assert SpectrumConfig.of(**data) == config


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
        SpectrumConfig.of(**{"method": "lora", **bad})


def test_sizes_that_another_method_has_no_use_for_are_dropped():
    config = SpectrumConfig.of(method="tensorguide", width=64, tt_ranks=(1, 2, 1), samples=8)
    assert config.for_method("linear-probe") == SpectrumConfig.of(method="linear-probe", samples=8)
    assert config.for_method("tensorguide") == config


@pytest.mark.parametrize("bad", ["cuda:99", "gpu", "meta"])
def test_a_device_that_is_not_there_is_refused(bad):
    with pytest.raises(InputError, match=f"device '{bad}'"):
        resolve_device(bad)


def test_auto_is_a_device_that_is_there():
    assert resolve_device("auto") == ("cuda:0" if torch.cuda.is_available() else "cpu")


def test_all_kinds_of_cell_refuse_the_same():
    from ntklab.experiments.training.heads.config import PairConfig
    from ntklab.experiments.training.language.config import LanguageConfig

    for kind in (SpectrumConfig, PairConfig, LanguageConfig):
        with pytest.raises(InputError, match="seed = -1 must be at least 0"):
            kind.of(method="lora", seed=-1)
        with pytest.raises(InputError, match="unknown dtype 'float16'"):
            kind.of(method="lora", dtype="float16")
        with pytest.raises(InputError, match="unknown preset 'nkt'"):
            kind.of(method="lora", preset="nkt")
    for kind in (SpectrumConfig, PairConfig):
        assert kind.of(method="lora", task="synthetic").data.condition is None


def test_for_another_method_sizes_are_kept_that_it_uses():
    from ntklab.experiments.training.heads.config import PairConfig

    guide = PairConfig.of(method="tensorguide", width=64, tt_ranks=(1, 2, 1), lr=0.1)
    dense = guide.for_method("dense-head")
    assert (dense.adapter.width, dense.adapter.tt_ranks, dense.lr) == (64, None, 0.1)
    assert guide.for_method("lora").adapter.width is None
    assert guide.adapter.sizes["tt_ranks"] == (1, 2, 1)
    with pytest.raises(InputError, match="did you mean 'lora'"):
        guide.for_method("lorra")
