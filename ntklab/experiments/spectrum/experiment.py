"""`ntklab spectrum` and `ntklab sweep` as experiments."""

from collections.abc import Sequence
from typing import Any

import torch

from ntklab.adapters.spec import SIZES
from ntklab.experiments.grid import AXES
from ntklab.experiments.run import Experiment, Plan, fixed, with_axes
from ntklab.experiments.spectrum.cell import run_cell
from ntklab.experiments.spectrum.config import SpectrumConfig
from ntklab.experiments.spectrum.inside.cell import run_model_cell
from ntklab.experiments.spectrum.inside.planned import ModelPreview, model_previews, plan_rows
from ntklab.experiments.spectrum.inside.source import source_hashes
from ntklab.experiments.spectrum.planned import (
    Preview,
    feature_hashes,
    fitting_threads,
    previews,
)
from ntklab.experiments.spectrum.weighted import run_weighted_cell
from ntklab.jacobians import format_memory
from ntklab.records import Cell
from ntklab.tables import Column, Columns

COLUMNS: Columns = {
    "method": "method",
    "data_condition": "data",
    "seed": "seed",
    "core": "core",
    "output": "kernel",
    "width": Column("M", 1),
    "effective_width": Column("M eff", 4),
    "params": "P",
    "outputs": "N·C",
    "rank": "rank",
    "rank_bound": Column("bound", 2),
    "trace_share": "of trace",
    "lambda_max": "λ max",
    "lambda_min": "λ min",
    "lambda_min_nonzero": "λ min⁺",
    "condition": "condition",
    "effective_dimension": Column("d eff", 3),
    "kernel_target_alignment": Column("alignment", 3),
    "seconds": Column("s", 5),
}
SWEEP_COLUMNS: Columns = {
    "method": "method",
    "data_condition": "data",
    "seed": "seed",
    "width": "M",
    "effective_width": Column("M eff", 3),
    "tt_ranks": "TT-ranks",
    "params": "P",
    "outputs": "N·C",
    "rank": "rank",
    "rank_bound": Column("bound", 1),
    "lambda_max": "λ max",
    "lambda_min": "λ min",
    "lambda_min_nonzero": "λ min⁺",
    "kernel_target_alignment": Column("alignment", 2),
    "seconds": Column("s", 4),
}
COMPARED: Columns = {
    "method": "method",
    "data_condition": "data",
    "width": Column("M", 2),
    "tt_ranks": Column("TT-ranks", 2),
    "seeds": "seeds",
    "params": "P",
    "outputs": "N·C",
    "rank": "rank",
    "rank_bound": Column("bound", 2),
    "lambda_max": "λ max",
    "lambda_min": Column("λ min", interval=True),
    "lambda_min_nonzero": Column("λ min⁺", interval=True),
    "condition": "condition",
    "kernel_target_alignment": Column("alignment", 3),
}
DIFFERENCES: Columns = {
    "method": "method",
    "width": Column("M", 2),
    "tt_ranks": Column("TT-ranks", 2),
    "data_condition": "data",
    "against": Column("less", 3),
    "figure": "figure",
    "mean": Column("difference", interval=True),
    "won": "larger",
    "holm_p": Column("p", 1),
    "says": "seeds say",
}


def spectrum_cell(config: SpectrumConfig) -> Cell:
    """One spectrum; where the configuration asks for it, that of the weighted kernel too."""
    if config.inside.model is not None:
        return run_model_cell(config)
    return run_weighted_cell(config) if config.weighted else run_cell(config)


def shared(configs: Sequence[SpectrumConfig]) -> dict[str, Any]:
    """The settings that all cells of a folder share: it may grow along the axes alone."""
    return {**fixed(configs), **sources(configs)}


def sources(configs: Sequence[SpectrumConfig]) -> dict[str, Any]:
    """Features, or a model and texts, by hash: files may change behind a path."""
    if _inside(configs):
        return {"source": source_hashes(configs[0].inside)}
    return {"features": feature_hashes(configs)}


def check(configs: Sequence[SpectrumConfig]) -> None:
    """Refuse a point that cannot be before the first cell."""
    model_previews(configs) if _inside(configs) else previews(configs)


def _inside(configs: Sequence[SpectrumConfig]) -> bool:
    """Whether adapters stand inside a model, which is no axis: all do or none."""
    return configs[0].inside.model is not None


def described(configs: Sequence[SpectrumConfig]) -> dict[str, Any]:
    """The configuration of a record: with methods, seeds and conditions, planned shapes, sizes."""
    flat = [config.to_dict() for config in configs]
    axes = [key for key in AXES[:3] if key in flat[0]]
    return {
        **shared(configs),
        **{f"{key}s": list(dict.fromkeys(settings[key] for settings in flat)) for key in axes},
        "sizes": {settings["method"]: {key: settings[key] for key in SIZES} for settings in flat},
        "shapes": _shapes(configs),
    }


def _shapes(configs: Sequence[SpectrumConfig]) -> dict[str, dict[str, Any]]:
    if _inside(configs):
        return {
            preview.adapter.method: {
                "layers": preview.layers,
                "parameters": preview.parameters,
                **preview.shapes,
            }
            for preview in model_previews(configs)
        }
    return {
        preview.adapter.method: {
            "width": preview.width,
            "parameters": preview.parameters,
            **preview.shapes,
        }
        for preview in previews(configs)
    }


def described_axes(configs: Sequence[SpectrumConfig]) -> dict[str, Any]:
    """The configuration of a sweep's record: what is shared, and the values along every axis."""
    return {**with_axes(configs), **sources(configs)}


def threads(configs: Sequence[SpectrumConfig]) -> int:
    """As many as the largest kernel deserves; all for passes of a whole model."""
    if _inside(configs):
        return torch.get_num_threads()
    return max(
        fitting_threads(preview.outputs, preview.parameters) for preview in previews(configs)
    )


def plan(configs: Sequence[SpectrumConfig]) -> Plan:
    """Shapes, counts and costs of each method and size, and of the whole."""
    if _inside(configs):
        return _plan_inside(configs)
    planned = previews(configs)
    rows = [
        {
            "method": preview.adapter.method,
            "shapes": "; ".join(f"{name} {shape}" for name, shape in preview.shapes.items())
            or None,
            "width": preview.width,
            "parameters": preview.parameters,
            "outputs": preview.outputs,
            "rank_bound": preview.rank_bound,
            "memory": format_memory(preview.memory_bytes),
            "seconds": preview.seconds,
        }
        for preview in planned
    ]
    about, memory = _cost(configs, planned)
    whole = f"{_count(configs)}, {about} and {memory} for Jacobian and solver (estimated)."
    return Plan(rows, [whole, *_warnings(planned)])


def _plan_inside(configs: Sequence[SpectrumConfig]) -> Plan:
    planned = model_previews(configs)
    about, memory = _cost(configs, planned)
    weights = format_memory(max(preview.weight_bytes for preview in planned))
    whole = (
        f"{_count(configs)}, {about}, {weights} for the model and {memory} for kernel, layers and "
        "solver (estimated; no weight was loaded)."
    )
    return Plan(plan_rows(planned), [whole, *_warnings(planned)])


def _count(configs: Sequence[SpectrumConfig]) -> str:
    return "1 spectrum" if len(configs) == 1 else f"{len(configs)} spectra"


def _cost(
    configs: Sequence[SpectrumConfig], planned: Sequence[Preview | ModelPreview]
) -> tuple[str, str]:
    """Time of all cells and memory of the largest, in words."""
    each = {preview.adapter: preview.seconds for preview in planned}
    times = [each[config.adapter] for config in configs]
    seconds = None if None in times else sum(time or 0.0 for time in times)
    about = "at a time not estimated" if seconds is None else f"about {seconds:.0f} s"
    return about, format_memory(max(preview.memory_bytes for preview in planned))


def _warnings(planned: Sequence[Preview | ModelPreview]) -> list[str]:
    said = dict.fromkeys(
        (preview.adapter.method, w) for preview in planned for w in preview.warnings
    )
    return [f"{method}: {text}" for method, text in said]


SPECTRUM = Experiment(
    name="spectrum",
    config=SpectrumConfig,
    cell=spectrum_cell,
    columns=COLUMNS,
    described=described,
    shared=shared,
    check=check,
    plan=plan,
    threads=threads,
)

SWEEP = Experiment(
    name="sweep",
    config=SpectrumConfig,
    cell=spectrum_cell,
    columns=SWEEP_COLUMNS,
    described=described_axes,
    shared=shared,
    check=check,
    plan=plan,
)
