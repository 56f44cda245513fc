"""The record of what a run has finished, put together without computing anything."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from ntklab.configuration import Configuration
from ntklab.errors import InputError
from ntklab.experiments.run import Experiment, run
from ntklab.records import Cell, Record, RunFolder

C = TypeVar("C", bound=Configuration)


def finished(
    experiment: Experiment[C], configs: Sequence[C], out: Path, *, threads: int | None = None
) -> Record:
    """The record of those runs that are finished in a folder; what is missing is left out.

    A run that follows from a search which is not finished counts as missing. The folder of a run
    that is still going on may be read.

    Args:
        experiment: what was computed.
        configs: of which configurations, finished or not.
        out: folder of the run; the record goes there.
        threads: of torch, for the record's provenance.

    Raises:
        InputError: another run's folder, or one in which no run is finished.
    """
    whole = experiment.shared(configs)
    folder, loaded = RunFolder(out, whole), dict[C, Cell | None]()

    def stored(*wanted: C) -> Cell:
        for config in wanted:
            if config not in loaded:
                loaded[config] = folder.load(config.to_dict())
            if loaded[config] is None:
                raise LookupError
        cell = loaded[wanted[0]]
        assert cell is not None
        return cell

    there = [
        config for config in _followed(experiment, configs, stored) if _is_there(config, stored)
    ]
    if not any(getattr(config, "purpose", "measure") == "measure" for config in there):
        raise InputError(f"no run is finished in {out}: run the same command without --finished.")
    part: Experiment[C] = replace(
        experiment, complete=lambda given, _: given, shared=lambda _: whole
    )
    return run(part, there, out=out, threads=threads)


def _followed(
    experiment: Experiment[C], configs: Sequence[C], stored: Callable[..., Cell]
) -> list[C]:
    """All configurations, those of searches among them, as far as the searches are finished."""
    try:
        return list(experiment.complete(configs, stored))
    except LookupError:
        pass
    known: dict[C, None] = {}
    for config in configs:
        with suppress(LookupError):
            known.update(dict.fromkeys(experiment.complete([config], stored)))
    return list(known)


def _is_there(config: Any, stored: Callable[..., Cell]) -> bool:
    try:
        stored(config)
    except LookupError:
        return False
    return True
