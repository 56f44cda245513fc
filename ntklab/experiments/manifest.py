"""The records of this project, each with the command that makes it, in several sizes.

    MANIFEST["bounds"].line("full")       # the command line
    MANIFEST["bounds"].plan("quick")      # experiment and configurations

`ntklab reproduce`, the hints of `ntklab figures` and the page of the committed records read it, and
so does whatever fills the rows of a GPU.

Sizes. `full` is what the record under `figures/records` was made with; `quick` is that of
`ntklab reproduce --quick`; `gpu` is what a GPU is to measure. A size is a mapping of options, laid
over those that all sizes share; None where the record is not made in that size.

To declare a row of a GPU: give the entry `gpu={...}` with the options that differ from `full` and
`"device": GPU` among them. A record that only a GPU makes has `full=None`; its name then stands in
this table like the others. What is run there, in which order and for how long, is read from
`sized("gpu")`, whose entries come in the order of this table.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ntklab.adapters.registry import METHODS
from ntklab.errors import InputError, unknown
from ntklab.experiments.planned import PLANNERS, Planned, Planner
from ntklab.experiments.training.variants import IN_DIMS, OUT_DIMS, RANKS, RELEASED_RANKS, WIDTHS

SIZES = ("quick", "full", "gpu")
GPU = "cuda:0"

#: The end of a name under which a record of a GPU stands beside that of a CPU.
ON_GPU = "-gpu"
# Heads on cached features are trained on the CPU; a GPU trains them through the backbone.
_INSTEAD = {"pairs-table1": "released-end-to-end"}

_Options = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A record and how it is made.

    Attributes:
        record: its name: of its folder, and for `ntklab figures`.
        planner: a name of `PLANNERS`.
        options: of the command in every size, by key, as values.
        full: options of the committed record, above `options`; None if there is none.
        quick: options of the quick form; None where it leaves the record out.
        gpu: options on a GPU, above those of `full`; None where no row of a GPU is wanted.
    """

    record: str
    planner: str
    options: _Options
    full: _Options | None = None
    quick: _Options | None = None
    gpu: _Options | None = None

    def sized(self, size: str, **more: Any) -> dict[str, Any]:
        """All options of a size, by key.

        Args:
            size: of `SIZES`.
            **more: options that go above them.

        Raises:
            InputError: for a size that the record is not made in.
        """
        if size not in SIZES:
            raise unknown("size", size, SIZES)
        own = getattr(self, size)
        if own is None:
            known = ", ".join(one for one in SIZES if getattr(self, one) is not None)
            raise InputError(f"record '{self.record}' has no size '{size}': it has {known}.")
        below = (self.full or {}) if size == "gpu" else {}
        return {**self.options, **below, **own, **more}

    def line(self, size: str = "full", **more: Any) -> str:
        """The command of a size, without `--out`.

        Example:
            >>> MANIFEST["per-core"].line()
            'ntklab spectrum --method all --per-core --device cpu --samples 256 --seeds 0:10'
        """
        return self._planner.line(self.sized(size, **more))

    def plan(self, size: str = "full", **more: Any) -> Planned:
        """The experiment of a size, and its configurations.

        Raises:
            InputError: for a size that the record is not made in, or a value that cannot work.

        Example:
            >>> experiment, cells = MANIFEST["bounds"].plan("quick")
            >>> experiment.name, len(cells) == len(METHODS)
            ('bounds', True)
        """
        return self._planner.plan(self.sized(size, **more))

    @property
    def _planner(self) -> Planner:
        return PLANNERS[self.planner]


def sized(size: str) -> list[Entry]:
    """The entries that are made in a size, in the order of the manifest."""
    return [one for one in MANIFEST.values() if getattr(one, size) is not None]


def make_line(record: str, folder: str) -> str:
    """The command that makes a record in a folder of records.

    Example:
        >>> make_line("pairs-table2", "runs")
        'ntklab pair --table 2 --seeds 0:30 --out runs/pairs-table2'
    """
    return f"{MANIFEST[record].line()} --out {folder}/{record}"


def gpu_record(record: str) -> str:
    """The name of the record that a GPU makes in the place of another one.

    Example:
        >>> gpu_record("table3"), gpu_record("pairs-table1")
        ('table3-gpu', 'released-end-to-end-gpu')
    """
    return _INSTEAD.get(record, record) + ON_GPU


def _spectra() -> list[Entry]:
    presets = ("ntk", "released", "paper")
    return [
        Entry(
            record=f"spectrum-{preset}",
            planner="spectrum",
            options={
                **{"data_condition": ("both",), "method": ("all",), "preset": preset},
                **{"device": "cpu", "samples": 256},
            },
            full={"seed": range(10)},
            quick={"seed": range(5)},
        )
        for preset in presets
    ]


def _kernels() -> list[Entry]:
    shared = {"device": "cpu", "samples": 256}
    ranks = ((1, 1, 1, 1, 1), (1, 2, 2, 1, 1), (1, 2, 2, 2, 1), (1, 4, 4, 1, 1), (1, 4, 4, 4, 1))
    return [
        Entry(
            record="per-core",
            planner="spectrum",
            options={"method": ("all",), "per_core": True, **shared},
            full={"seed": range(10)},
            quick={"seed": range(2)},
        ),
        Entry(
            record="sweep-ranks",
            planner="sweep",
            options={"method": ("lora", "tt-lora", "tt-delta", "tera"), **shared},
            full={"rank": (1, 2, 4, 8, 16), "seed": range(5)},
            quick={"rank": (1, 4), "seed": range(2)},
        ),
        Entry(
            record="sweep-widths",
            planner="sweep",
            options={"method": ("tensorguide",), **shared},
            full={
                "width": (64, 128, 256, 512, 1024, 2048, 4096, 8192),
                **{"tt_ranks": ranks, "seed": range(5)},
            },
            quick={"width": (64, 256, 1024), "tt_ranks": ranks[1:3], "seed": range(2)},
        ),
    ]


def _curves() -> list[Entry]:
    return [
        Entry(
            record="bounds",
            planner="bounds",
            options={"method": ("all",), "device": "cpu", "samples": 256, "gauge": True},
            full={"seed": range(5)},
            quick={"seed": range(1)},
        ),
        Entry(
            record="approximation",
            planner="approx",
            options={"quick": True},
            full={"seed": range(5)},
            quick={"width": (64, 256, 1024), "seed": range(1)},
        ),
    ]


def _pairs() -> list[Entry]:
    """Heads on cached features: on the CPU, since they are too small for anything else."""
    return [
        Entry(
            record=f"pairs-table{table}",
            planner="pair",
            options={"table": table},
            full={"seed": range(30)},
            quick={"quick": True, "seed": range(3)},
        )
        for table in (1, 2, 5)
    ]


def _networks() -> list[Entry]:
    """Tables 1, 2 and 5 through the backbone; the last two have TensorGuide in other sizes."""
    heads = {"end_to_end": True, "method": ("tensorguide",)}
    as_released = {"images": 2000, "epochs": 15, "device": GPU}
    sizes: dict[str, _Options] = {f"width-{m}": {"width": m} for m in WIDTHS[1:]}
    for ranks in (one for one in RANKS if one != RELEASED_RANKS):
        shape = {"width": WIDTHS[0], "in_dims": IN_DIMS, "out_dims": OUT_DIMS}
        sizes[f"ranks-{'-'.join(map(str, ranks))}"] = {**shape, "tt_ranks": (1, *ranks, 1)}
    return [
        Entry(
            record="released-end-to-end",
            planner="train",
            options={"end_to_end": True, "method": ("lora", "tt-lora", "tensorguide")},
            full={"images": 100, "epochs": 2, "seed": range(3)},
            quick={"images": 20, "epochs": 1, "seed": range(1)},
            gpu=as_released,
        ),
        *(
            Entry(
                record=f"released-end-to-end-{name}",
                planner="train",
                options={**heads, **own},
                gpu={**as_released, "seed": range(3)},
            )
            for name, own in sizes.items()
        ),
    ]


def _dynamics() -> list[Entry]:
    return [
        Entry(
            record=f"dynamics-{method}{end}",
            planner="dynamics",
            options={"method": method, "samples": 64, **alpha},
            full={"seed": range(3)},
            quick={"steps": 100, "seed": range(1)},
        )
        for method in METHODS
        for end, alpha in (("", {}), ("-lazy", {"alpha": 100.0}))
    ]


def _language() -> list[Entry]:
    return [
        Entry(
            record="table3",
            planner="language",
            options={"task": "wikitext", "table": 3},
            full={"seed": range(3)},
            gpu={"seed": range(5), "steps": 640, "device": GPU},
        ),
    ]


def _prompts() -> list[Entry]:
    """Fine-tuning on sentences: of the last six blocks of a language model, on a GPU of all."""
    films = {"data": "movies.tsv.xz", "rating_column": "rating"}
    return [
        Entry(
            record="prompt-panel",
            planner="prompt",
            options={"task": "prompt", "method": "all", **films},
            full={"seed": range(5)},
            quick={"quick": True, "seed": range(1)},
            gpu={"layers": "0:", "device": GPU},
        ),
    ]


#: Every record by its name.
MANIFEST: dict[str, Entry] = {
    one.record: one
    for group in (
        *(_spectra, _kernels, _curves, _pairs, _networks, _dynamics, _language),
        _prompts,
    )
    for one in group()
}
