"""`ntklab info`."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from ntklab.adapters.spec import AdapterSpec
from ntklab.cli import console
from ntklab.cli import options as opt
from ntklab.cli.convert import Settings
from ntklab.cli.groups import option
from ntklab.configuration import Configuration, setting
from ntklab.errors import InputError
from ntklab.experiments.grid import Grid
from ntklab.tables import Columns

if TYPE_CHECKING:
    from ntklab.adapters import Adapter

# The weights of the first convolution (1 → 64 channels, 7 × 7) that the paper's code trains in a
# backbone which its text calls frozen: the paper's counts hold them.
CONV1_WEIGHTS = 64 * 1 * 7 * 7


TABLE: Columns = {
    "method": "method",
    "shapes": "shapes",
    "width": "M",
    "effective_width": "M eff",
    "parameters": "P",
    "parameters_with_conv1": "with conv1",
    "macs": "multiply-adds",
    "outputs": "N·C",
    "rank_bound": "rank bound",
}


@dataclass(frozen=True, kw_only=True)
class InfoConfig(Configuration):
    """An adapter on a number of features, outputs and samples."""

    heading: ClassVar[str] = "Sizes"

    adapter: AdapterSpec
    in_features: int = setting(512, "Features d of the backbone.", "-d D")
    out_features: int = setting(2, "Outputs C.", "-c C")
    samples: int = setting(256, "Training samples N.", "-n N", least=1)


def info(
    grid: Annotated[Grid[InfoConfig], Settings(InfoConfig, axes=("method",))],
    *,
    model: Annotated[
        str | None, option("--model NAME", "Adapters inside a model: name, folder or .gguf file.")
    ] = None,
    target: Annotated[
        str, option("--target NAMES", "Its layers: names with commas, a pattern, all-linear.")
    ] = "all-linear",
    layers: Annotated[
        str | None, option("--layers SLICE", "Its blocks, e.g. -6: for the last six.")
    ] = None,
    show: opt.Show,
) -> None:
    """Count an adapter's parameters and operations, and the rank that its kernel can reach.

    \b
    Examples:
      ntklab info --method tensorguide --width 4096
      ntklab info --method all --in-features 768 --out-features 50257 --format json
      ntklab info --model gpt2 --target c_attn --layers -6: --method all
    """
    show.check()
    from ntklab.figures import to_csv
    from ntklab.records import to_json

    configs = grid.cells()
    if model is not None:
        _inside(model, target, layers, configs, show.form)
        return
    if layers is not None or target != "all-linear":
        raise InputError("--target and --layers choose layers of a model: give --model as well.")
    rows = [describe(config) for config in configs]
    if show.form == "json":
        console.write_json(to_json(rows))
    elif show.form == "csv":
        sys.stdout.write(to_csv([_flat(row) for row in rows]))
    elif show.form in ("markdown", "latex"):
        console.print_table([_flat(row) for row in rows], TABLE, show.form)
    else:
        sys.stdout.write("\n\n".join(_page(row) for row in rows) + "\n")


def _inside(model: str, target: str, layers: str | None, configs: Sequence[Any], form: str) -> None:
    """The adapters that every method would put into a model."""
    from ntklab.cli.info_model import TABLE as COLUMNS
    from ntklab.cli.info_model import flat, injections, page
    from ntklab.figures import to_csv
    from ntklab.records import to_json

    injected = injections(model, target, layers, configs)
    if form == "json":
        console.write_json(to_json(injected))
    elif form == "csv":
        sys.stdout.write(to_csv([row for described in injected for row in flat(described)]))
    elif form in ("markdown", "latex"):
        console.print_table(
            [row for described in injected for row in flat(described)], COLUMNS, form
        )
    else:
        sys.stdout.write("\n\n".join(map(page, injected)) + "\n")


def describe(config: InfoConfig) -> dict[str, Any]:
    """Everything known of an adapter from its sizes alone."""
    from torch import Generator

    from ntklab.adapters import build_adapter

    sizes = config.in_features, config.out_features
    adapter = build_adapter(config.adapter, *sizes, generator=Generator().manual_seed(0))
    return {
        **adapter.describe(),
        "parameters_with_conv1": adapter.parameter_count + CONV1_WEIGHTS,
        "cores": _cores(adapter),
        "samples": config.samples,
        "outputs": config.samples * config.out_features,
        "rank_bound": adapter.rank_bound(config.samples),
        "warnings": list(adapter.warnings),
    }


def _cores(adapter: "Adapter") -> dict[str, list[list[int]]]:
    return {
        name: [list(core) for core in shape.core_shapes] for name, shape in adapter.shapes.items()
    }


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    def text(value: Any) -> Any:
        if isinstance(value, dict):
            return "; ".join(f"{name} {item}" for name, item in value.items())
        return " ".join(value) if isinstance(value, list) else value

    return {name: text(value) for name, value in row.items()}


def _page(row: dict[str, Any]) -> str:
    from ntklab.records import shown

    lines = [row["method"]]

    def say(name: str, value: Any) -> None:
        if value is not None:
            lines.append(f"  {name:<18}{value}")

    say(
        "maps",
        f"{row['in_features']} features to {row['out_features']} outputs, "
        f"{'linear' if row['linear'] else 'not linear'} in the features",
    )
    for name, shape in row["shapes"].items():
        say("shape" if len(row["shapes"]) == 1 else name, shape)
        cores = " ".join("×".join(map(str, core)) for core in row["cores"][name])
        say("cores", f"{cores}  (r × n × m × r)")
    say("width", row["width"])
    say("effective width", row["effective_width"])
    say(
        "parameters",
        f"{row['parameters']}  ({row['parameters_with_conv1']} with a trainable "
        f"conv1 of {CONV1_WEIGHTS}, as the paper counts)",
    )
    say("multiply-adds", f"{row['macs']} a sample, weights generated")
    say("rank bound", f"{row['rank_bound']} of N·C = {row['outputs']} at N = {row['samples']}")
    say("scale", f"{shown(row['scale'])}  (preset {row['preset']})")
    for warning in row["warnings"]:
        say("note", warning)
    return "\n".join(lines)
