"""Which cells a command that trains asks for: methods, settings and seeds, in order."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ntklab.adapters.spec import SIZES
from ntklab.errors import InputError, unknown
from ntklab.experiments.grid import Grid
from ntklab.experiments.training.heads.config import (
    DYNAMICS_OPTIONS,
    SETTINGS,
    TRAIN_OPTIONS,
    PairConfig,
    pair_methods,
)
from ntklab.experiments.training.heads.end_to_end import as_released
from ntklab.experiments.training.language.config import FROZEN, LanguageConfig
from ntklab.experiments.training.variants import table3_configs, table_variants

#: The small form of `pair`, where nothing else is asked for.
QUICK: dict[str, Any] = {"images": 200, "rates": (0.001, 0.01), "watched": 16}

#: The small form of a language model's last layer: one pass over 8 windows.
QUICK_LANGUAGE: dict[str, Any] = {
    **{"train_windows": 8, "valid_windows": 2, "test_windows": 4, "steps": 64, "batch": 128},
    # logits that stay near the cores: 6 MB at a time
    **{"look": 32, "keep_logits": True, "chunk": 32},
}

#: Where Table 3 begins its searches.
TABLE3_RATES = (1e-3, 3e-3, 1e-2)


def pair_cells(
    given: Mapping[str, Any],
    methods: Sequence[str] = ("all",),
    seeds: Sequence[int] = (),
    *,
    table: int = 1,
    quick: bool = False,
) -> list[PairConfig]:
    """A cell for each setting, variant and seed, in that order.

    Args:
        given: settings of `PairConfig`; `settings` may also be "both".
        methods: of Table 1; "all" is every one and the dense head.
        seeds: 0 to 9 if empty, 0 to 2 if quick.
        table: 1 (methods), 2 (widths of TensorGuide) or 5 (its TT-ranks).
        quick: take `QUICK` where nothing else is given.

    Raises:
        InputError: for words and numbers that mean nothing.

    Example:
        >>> cells = pair_cells({"settings": "both"}, ["lora", "tera"], [0, 1])
        >>> [(c.settings, c.adapter.method, c.compute.seed) for c in cells][1:3]
        [('matched', 'lora', 1), ('matched', 'tera', 0)]
    """
    given = {**(QUICK if quick else {}), **given}
    word, methods = given.pop("settings", "both"), pair_methods(list(methods))
    if word not in (*SETTINGS[:2], "both"):
        raise unknown("settings", word, (*SETTINGS[:2], "both"))
    cells = []
    for settings in SETTINGS[:2] if word == "both" else (word,):
        if table == 1:
            variants = Grid(PairConfig, given, {"method": methods}).cells(settings=settings)
        else:
            base = PairConfig.of(**given, method="tensorguide", settings=settings).resolved()
            variants = table_variants(table, base, methods)
        for variant in variants:
            cells += [variant.with_(seed=seed) for seed in seeds or range(3 if quick else 10)]
    return cells


def train_cells(grid: Grid[PairConfig], *, end_to_end: bool = False) -> list[PairConfig]:
    """A measured run without a prediction for each method and seed.

    Raises:
        InputError: for words and numbers that mean nothing.
    """
    grid = replace(grid, given={**TRAIN_OPTIONS, **grid.given})
    cells = grid.cells(settings="own", predict=False)
    return [as_released(cell) for cell in cells] if end_to_end else cells


def dynamics_cells(grid: Grid[PairConfig]) -> list[PairConfig]:
    """A method with its prediction at each seed; all samples are watched, and in every step.

    Raises:
        InputError: for words and numbers that mean nothing, and for several methods.
    """
    grid = replace(grid, given={**DYNAMICS_OPTIONS, **grid.given})
    if grid.given["method"] == "all":
        raise InputError("a prediction is of one method: choose one, or use ntklab pair.")
    samples = grid.given["samples"]
    whole = {key: samples for key in ("watched", "batch") if grid.given.get(key) is None}
    if samples is None:
        raise InputError("a prediction needs a number of samples: give --samples.")
    return grid.cells(settings="own", **whole)


def language_cells(
    given: Mapping[str, Any],
    methods: Sequence[str] = (),
    seeds: Sequence[int] = (),
    *,
    table: int | None = None,
    quick: bool = False,
) -> list[LanguageConfig]:
    """A run for each method and seed, or all of Table 3.

    Args:
        given: settings of `LanguageConfig`, those that the caller was asked for.
        methods: TensorGuide if empty.
        seeds: 0 if empty, 0 to 2 of a table.
        table: 3, or None.
        quick: take `QUICK_LANGUAGE` where nothing else is given; a table does so too.

    Raises:
        InputError: for words and numbers that mean nothing, or that the table decides.
    """
    if table not in (None, 3):
        raise InputError(f"--table {table}: --task wikitext has table 3; see ntklab pair --help.")
    if table is None:
        given = {**(QUICK_LANGUAGE if quick else {}), **_on_this_machine(given)}
        axes = {"method": methods or ("tensorguide",), "seed": seeds or (0,)}
        return Grid(LanguageConfig, given, axes).cells()
    decided = {**given, "method": methods, "quick": quick}
    for name in ("method", *SIZES, "head", "preset", "quick", "lr"):
        if decided.get(name) and name != "activation":
            raise InputError(f"--{name.replace('_', '-')} is decided by --table 3: leave it out.")
    start = {**QUICK_LANGUAGE, "rates": TABLE3_RATES}
    given = {**start, **_on_this_machine(given), "method": FROZEN}
    return table3_configs(LanguageConfig.of(**given).resolved(), seeds or range(3))


def _on_this_machine(given: Mapping[str, Any]) -> dict[str, Any]:
    """The same with the model and the texts that are here, where none are named."""
    from ntklab.tasks.wikitext import default_model, default_text

    text = given.get("data") or default_text()
    here = {"model": given.get("model") or default_model()}
    return {**given, **here, "data": None if text is None else str(text)}
