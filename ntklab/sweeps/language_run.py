"""Many runs of a language model's last layer: rates found on validation, cells kept on disk."""

import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ntklab.records import Cell, Record, RunFolder, cell_id
from ntklab.sweeps.language import run_language
from ntklab.sweeps.language_config import SEARCH_SEED, LanguageConfig
from ntklab.sweeps.rates import search_rate

_RUNS = "runs"

#: Called with (the run, updates done, updates in all) as it goes.
RunProgress = Callable[[LanguageConfig, int, int], object]


def run_languages(
    configs: Sequence[LanguageConfig],
    *,
    rates: Sequence[float] = (),
    folder: RunFolder | None = None,
    progress: RunProgress | None = None,
) -> list[tuple[LanguageConfig, Cell]]:
    """Run all configurations, those without a rate at the one that validation prefers.

    Each method searches its own rate (each way of putting it to the projection, each preset, and
    each choice of TT-ranks apart), at its middle variant and at one seed that no result is
    reported of, with as many updates as are then measured: from `rates` on, further up or down
    while the best one is at an end. Searches are cells too, in the record as purpose `search`.

    Finished cells are on disk at once, and so is a run in hand (its checkpoint): an interrupted
    call made again goes on where it stopped and ends with the same bits.

    Args:
        configs: what to measure.
        rates: where searches begin; none to take each method's default rate.
        folder: where cells and checkpoints are kept; nowhere if None.
        progress: told of every update.

    Returns:
        Configurations with their cells: searches before the runs that they are for.
    """
    done: dict[LanguageConfig, Cell] = {}
    chosen: dict[LanguageConfig, float] = {}
    for config in configs:
        one = config
        if rates and config.lr is None and config.trained:
            variant = search_variant(config, configs)
            if variant not in chosen:
                chosen[variant] = _search(variant, tuple(rates), done, folder, progress)
            one = replace(config, lr=chosen[variant])
        done[one] = _finished(one, folder, progress)
    return list(done.items())


def search_variant(config: LanguageConfig, configs: Sequence[LanguageConfig]) -> LanguageConfig:
    """The run at which the rate of a configuration is searched: the middle one of its kind.

    Example:
        >>> ranks = [LanguageConfig.of(method="lora", rank=r) for r in (1, 2, 3)]
        >>> search_variant(ranks[0], ranks).adapter.rank
        2
    """
    kin = [one.with_(seed=SEARCH_SEED) for one in configs if _kind(one) == _kind(config)]
    kinds = list(dict.fromkeys(kin))
    return replace(kinds[len(kinds) // 2], purpose="search")


def _kind(config: LanguageConfig) -> tuple[object, ...]:
    return config.adapter.method, config.head, config.adapter.preset, config.adapter.tt_ranks


def language_record(
    runs: Sequence[tuple[LanguageConfig, Cell]],
    *,
    config: Mapping[str, Any],
    provenance: Mapping[str, Any],
) -> Record:
    """The record of the runs: a row a cell, its curves under `<cell>.<name>`."""
    rows: list[dict[str, Any]] = []
    arrays: dict[str, Any] = {}
    for one, cell in runs:
        name = cell_id(one.to_dict())
        rows.append({"cell": name, **cell.flat})
        if one.purpose == "measure":
            arrays |= {f"{name}.{array}": values for array, values in cell.arrays.items()}
    return Record("train", dict(config), dict(provenance), rows, arrays)


def _search(
    variant: LanguageConfig,
    rates: tuple[float, ...],
    done: dict[LanguageConfig, Cell],
    folder: RunFolder | None,
    progress: RunProgress | None,
) -> float:
    def valid_loss(rate: float) -> float:
        config = replace(variant, lr=rate)
        done[config] = _finished(config, folder, progress)
        row = done[config].row
        return math.inf if row["diverged"] else float(row["valid_loss"])

    return search_rate(valid_loss, rates, extend=True)[0]


def _finished(
    config: LanguageConfig, folder: RunFolder | None, progress: RunProgress | None
) -> Cell:
    key = config.to_dict()
    kept = folder.load(key) if folder is not None else None
    if kept is not None:
        return kept

    def report(step: int, total: int) -> None:
        if progress is not None:
            progress(config, step, total)

    runs = None if folder is None else folder.path / _RUNS
    report(0, config.steps)
    cell = run_language(config, folder=runs, progress=report)
    if folder is not None and runs is not None:
        folder.save(key, cell)
        shutil.rmtree(runs / cell_id(key), ignore_errors=True)  # its checkpoint has served
    return cell
