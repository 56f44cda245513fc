"""The rates of runs of a language model's last layer, searched on the validation text."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from ntklab.experiments.rates import search_rate
from ntklab.experiments.training.language.config import SEARCH_SEED, LanguageConfig
from ntklab.records import Cell


def with_searched_rates(
    configs: Sequence[LanguageConfig],
    finish: Callable[[LanguageConfig], Cell],
) -> list[LanguageConfig]:
    """The configurations with rates, after the searches that chose them.

    Each method searches its own rate (each way of putting it to the projection, each preset, and
    each choice of TT-ranks apart), at its middle variant and at one seed that no result is
    reported of, with as many updates as are then measured: from its `rates` on, further up or
    down while the best one is at an end. Searches are cells too, in the record as purpose `search`.

    Args:
        configs: what to measure; those with rates get the one that validation prefers.
        finish: computes a cell, or takes it from the run's folder.

    Returns:
        Searches before the runs that they are for.
    """
    complete: dict[LanguageConfig, None] = {}
    chosen: dict[LanguageConfig, float] = {}
    for config in configs:
        if config.rates and config.trained:
            variant = search_variant(config, configs)
            if variant not in chosen:
                chosen[variant], tried = _search(variant, finish)
                complete |= dict.fromkeys(replace(variant, lr=rate) for rate in tried)
            config = replace(config, lr=chosen[variant])  # noqa: PLW2901 — the same run, decided
        complete[replace(config, rates=())] = None
    return list(complete)


def _search(
    variant: LanguageConfig, finish: Callable[[LanguageConfig], Cell]
) -> tuple[float, Iterable[float]]:
    def valid_loss(rate: float) -> float:
        row = finish(replace(variant, lr=rate)).row
        return math.inf if row["diverged"] else float(row["valid_loss"])

    return search_rate(valid_loss, variant.rates, extend=True)


def search_variant(config: LanguageConfig, configs: Sequence[LanguageConfig]) -> LanguageConfig:
    """The run at which the rate of a configuration is searched: the middle one of its kind.

    Example:
        >>> ranks = [LanguageConfig.of(method="lora", rank=r) for r in (1, 2, 3)]
        >>> search_variant(ranks[0], ranks).adapter.rank
        2
    """
    kin = [other.with_(seed=SEARCH_SEED) for other in configs if _kind(other) == _kind(config)]
    kinds = list(dict.fromkeys(kin))
    return replace(kinds[len(kinds) // 2], purpose="search")


def _kind(config: LanguageConfig) -> tuple[object, ...]:
    return config.adapter.method, config.head, config.adapter.preset, config.adapter.tt_ranks
