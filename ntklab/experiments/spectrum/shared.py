"""Spectra whose Jacobian is shared among the workers of a cluster."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ntklab.distributed import Recipe
from ntklab.distributed.store import claim
from ntklab.errors import InputError
from ntklab.experiments.run import Experiment
from ntklab.experiments.spectrum.cell import adapter_for, jacobian_for, run_cell, sampled_task
from ntklab.experiments.spectrum.config import SpectrumConfig
from ntklab.experiments.spectrum.experiment import SPECTRUM, shared
from ntklab.jacobians import Jacobian
from ntklab.records import Cell, cell_id
from ntklab.spectra.shared import SharedJacobian

# What is done with a kernel, not which kernel it is.
_AFTERWARDS: dict[str, Any] = {
    **{"centred": False, "per_core": False, "weighted": False, "memory": None}
}


def shared_spectra(store: Path | None) -> Experiment[SpectrumConfig]:
    """`SPECTRUM`, its kernels and triangles computed by the workers of the client that is open.

    Args:
        store: a folder for the kernels, one in it for every cell; nothing is stored if None.

    A cell's recipe is its configuration: every worker loads the task and draws the adapter itself.
    """
    return replace(SPECTRUM, cell=partial(shared_cell, store=store), check=_checked(store))


def shared_cell(config: SpectrumConfig, *, store: Path | None) -> Cell:
    """One cell, its Jacobian shared; equal to `run_cell` but for rounding."""
    kernel = config.with_(**_AFTERWARDS).to_dict()
    folder = None if store is None else store / cell_id(kernel)

    def share(J: Jacobian) -> SharedJacobian:
        return SharedJacobian(J, None, store=folder, recipe=cell_recipe(config), config=kernel)

    return run_cell(config, shared=share)


def cell_recipe(config: SpectrumConfig) -> Recipe:
    """The recipe of a cell's Jacobian.

    Example:
        >>> config = SpectrumConfig.of(method="lora", task="synthetic", samples=3)
        >>> cell_recipe(config).build().shape
        (6, 136)
    """
    return Recipe("ntklab.experiments.spectrum.shared:cell_jacobian", {"config": config})


def cell_jacobian(config: SpectrumConfig) -> Jacobian:
    """On a worker: the Jacobian of a cell."""
    task = sampled_task(config)
    return jacobian_for(config, task, adapter_for(config, task))


def _checked(store: Path | None) -> Callable[[Sequence[SpectrumConfig]], None]:
    def check(configs: Sequence[SpectrumConfig]) -> None:
        if any(config.weighted for config in configs):
            raise InputError("--weighted is not shared: leave --scheduler and --store out.")
        if any(config.inside.model is not None for config in configs):
            raise InputError("kernels inside a model are not shared: leave --scheduler out.")
        SPECTRUM.check(configs)
        if store is not None:
            of = {key: value for key, value in shared(configs).items() if key not in _AFTERWARDS}
            claim(store, {"of": of})

    return check
