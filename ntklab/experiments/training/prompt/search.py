"""The rate of every method, from one grid for all, before the runs that are reported."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from ntklab.experiments.training.prompt.config import SEARCH_SEED, PromptConfig
from ntklab.records import Cell


def with_rates(configs: Sequence[PromptConfig], finish: Callable[..., Cell]) -> list[PromptConfig]:
    """The configurations with rates, after the searches that chose them.

    Every variant searches its own rate by the same protocol: at one seed that no result is
    reported of, all rates of the grid for one epoch, then the best third for a third of the run's
    epochs; the least validation loss wins. Searches are cells too, in the record as purpose
    `search`.

    Args:
        configs: what to measure.
        finish: computes cells, or takes them from the run's folder; returns the first.

    Returns:
        Searches before the runs that they are for.
    """
    searches = {config: search_of(config) for config in configs if config.lr is None}
    wanted = list(dict.fromkeys(searches.values()))
    if wanted:
        finish(*wanted)  # at once, so that several run at a time
    rates = {search: float(finish(search).row["lr"]) for search in wanted}
    measured = [
        replace(config, lr=rates[searches[config]]) if config in searches else config
        for config in configs
    ]
    return [*wanted, *measured]


def search_of(config: PromptConfig) -> PromptConfig:
    """The search that a configuration's rate comes from.

    Example:
        >>> one = PromptConfig.of(method="lora", seed=3)
        >>> search_of(one) == search_of(one.with_(seed=4)), search_of(one).compute.seed
        (True, 1000)
    """
    return config.with_(seed=SEARCH_SEED, purpose="search", test=1, watched=0, predict=False)
