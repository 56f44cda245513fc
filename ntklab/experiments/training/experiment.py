"""Training as experiments: heads beside their predictions, released networks, language models."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from ntklab.adapters.spec import SIZES
from ntklab.experiments.run import Experiment, Plan, fixed
from ntklab.experiments.training.heads.cell import run_pair
from ntklab.experiments.training.heads.config import PairConfig
from ntklab.experiments.training.heads.end_to_end import run_end_to_end
from ntklab.experiments.training.heads.planned import end_to_end_runs, training_runs
from ntklab.experiments.training.language.cell import language_data, run_language
from ntklab.experiments.training.language.config import LanguageConfig
from ntklab.experiments.training.language.search import with_searched_rates

_VARYING = ("method", "seed", "settings", "data_condition")
_SCRIPT = ("preset", "lr", "batch", "rates")  # what settings and method decide


def described_pairs(configs: Sequence[PairConfig]) -> dict[str, Any]:
    """The configuration of a whole run: what its runs share, their settings, variants and seeds."""
    resolved = configs[0].to_dict().items()
    own = (*_VARYING, *SIZES, *_SCRIPT)
    common = {name: value for name, value in resolved if name not in own}
    variants = {
        f"{config.settings}: {config.variant}": {
            key: value for key, value in config.to_dict().items() if key in (*SIZES, *_SCRIPT)
        }
        for config in configs
    }
    return {
        **common,
        "seeds": list(dict.fromkeys(config.compute.seed for config in configs)),
        "settings": list(dict.fromkeys(config.settings for config in configs)),
        "data_condition": configs[0].data.condition,
        "variants": variants,
    }


def described_languages(configs: Sequence[LanguageConfig]) -> dict[str, Any]:
    """The configuration of a whole run: what its runs share, their variants, and the texts."""
    flat = [config.to_dict() for config in configs]
    common = {k: v for k, v in flat[0].items() if all(settings[k] == v for settings in flat)}
    return {
        **common,
        "variants": list(dict.fromkeys(config.variant for config in configs)),
        "seeds": list(dict.fromkeys(config.compute.seed for config in configs)),
        "rates": list(configs[0].rates),
        "source": dict(language_data(configs[0]).source),
    }


def same_texts(configs: Sequence[LanguageConfig]) -> dict[str, Any]:
    """Settings and texts of all runs of a folder; it may grow in methods, sizes and seeds."""
    settings = {key: value for key, value in fixed(configs).items() if key != "rates"}
    return settings | {"source": dict(language_data(configs[0]).source)}


def language_runs(configs: Sequence[LanguageConfig]) -> Plan:
    """How many runs there are; how many a search adds is known when it ends."""
    runs = "1 run" if len(configs) == 1 else f"{len(configs)} runs"
    return Plan([], [f"{runs} of a language model's last layer, searches not counted."])


PAIR = Experiment(
    name="pair",
    config=PairConfig,
    cell=run_pair,
    columns={},
    described=described_pairs,
    shared=described_pairs,
    plan=training_runs,
    long=True,
)
DYNAMICS = replace(PAIR, name="dynamics")
TRAIN = replace(PAIR, name="train")
END_TO_END = replace(TRAIN, cell=run_end_to_end, plan=end_to_end_runs)


LANGUAGE = Experiment(
    name="train",
    config=LanguageConfig,
    cell=run_language,
    columns={},
    described=described_languages,
    shared=same_texts,
    complete=with_searched_rates,
    plan=language_runs,
    threads=lambda configs: torch.get_num_threads(),
    long=True,
)
