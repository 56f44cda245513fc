"""The rate of every method, from one grid for all, before the runs that are reported."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from ntklab.experiments.training.prompt.config import BEYOND, SEARCH_SEED, PromptConfig
from ntklab.records import Cell


def with_rates(configs: Sequence[PromptConfig], finish: Callable[..., Cell]) -> list[PromptConfig]:
    """The configurations with rates, after the searches that chose them.

    Every variant searches its own rate by the same protocol: at one seed that no result is
    reported of, all rates of the grid for one epoch (SGD: a quarter of the run's), then the best
    third for a third of the run's epochs (SGD: all); the least validation loss wins. Where that
    is the first or last rate of the grid, a second search goes on beyond it. Searches are cells
    too, in the record as purpose `search`. The sentences of a search are drawn from the same
    table, so a few are test sentences of a run.

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
    further = {search: beyond(search, float(finish(search).row["lr"])) for search in wanted}
    more = [search for search in further.values() if search is not None]
    if more:
        finish(*more)
    rates = {
        search: _best([finish(each) for each in (search, second) if each is not None])
        for search, second in further.items()
    }
    measured = [
        replace(config, lr=rates[searches[config]]) if config in searches else config
        for config in configs
    ]
    return [*wanted, *more, *measured]


def search_of(config: PromptConfig) -> PromptConfig:
    """The search that a configuration's rate comes from.

    Example:
        >>> one = PromptConfig.of(method="lora", seed=3)
        >>> search_of(one) == search_of(one.with_(seed=4)), search_of(one).compute.seed
        (True, 1000)
    """
    return config.with_(seed=SEARCH_SEED, purpose="search", test=1, watched=0, predict=False)


def beyond(search: PromptConfig, best: float) -> PromptConfig | None:
    """The search that goes on from an end of the grid; None where the best rate lies inside.

    Rates that were asked for are left as they are.

    Args:
        search: which has ended.
        best: its rate.

    Example:
        >>> one = search_of(PromptConfig.of(method="tera"))
        >>> beyond(one, 0.1).rates, beyond(one, 0.03)
        ((0.1, 0.3, 1.0, 3.0), None)
    """
    if search.rates not in BEYOND or best not in (search.rates[0], search.rates[-1]):
        return None
    below, above = BEYOND[search.rates]
    rates = (*below, best) if best == search.rates[0] else (best, *above)
    return replace(search, rates=rates)


def _best(cells: Sequence[Cell]) -> float:
    """The rate of the least validation loss; all were tried for as many epochs."""

    def loss(cell: Cell) -> float:
        value = cell.row["valid_loss"]
        return math.inf if value is None else float(value)

    return float(min(cells, key=loss).row["lr"])
