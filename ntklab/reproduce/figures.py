"""The step of `ntklab reproduce` that draws: every figure, and the records that they lack."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ntklab.figures import Plate
    from ntklab.reproduce.setting import Setting

_RANKED = ("lora", "tt-lora", "tt-delta", "tera")
_LAZY = 100.0
_TT_RANKS = ((1, 2, 2, 1, 1), (1, 2, 2, 2, 1), (1, 1, 1, 1, 1), (1, 4, 4, 1, 1), (1, 4, 4, 4, 1))


def all_figures(setting: "Setting") -> str:
    """Kernels over width, rank and core, runs beside their predictions, and every figure.

    A figure that an earlier step has drawn from the same records is not drawn again.
    """
    from ntklab.figures import catalogue, draw_plate, write_index

    _kernels(setting)
    _runs(setting)
    records, out = setting.folder / "records", setting.folder / "figures"
    sections = ["## Figures\n"]
    for one in catalogue():
        if one.missing(records) is None and not _is_fresh(one, records, out):
            setting.note(f"drawing {one.name}")
            caption = draw_plate(one, records, out)[-1].read_text(encoding="utf-8")
            sections.append(f"![{one.title}](figures/{one.name}.png)\n\n{caption}")
    write_index(out)
    return "\n".join([*sections, "All figures with their captions: [figures](figures/README.md)\n"])


def _kernels(setting: "Setting") -> None:
    from ntklab.adapters import METHODS
    from ntklab.experiments.grid import Grid
    from ntklab.experiments.spectrum import SPECTRUM, SWEEP, SpectrumConfig

    seeds = range(2 if setting.quick else 5)

    setting.note("kernels by core")
    axes: dict[str, Any] = {"method": tuple(METHODS), "seed": seeds}
    cores = Grid(SpectrumConfig, {**setting.given, "per_core": True}, axes).cells()
    setting.run("per-core", SPECTRUM, cores)

    setting.note("kernels over rank and width")
    ranks = (1, 4) if setting.quick else (1, 2, 4, 8, 16)
    tt_ranks = _TT_RANKS[: 2 if setting.quick else 5]
    for name, methods, sizes in (
        ("sweep-ranks", _RANKED, {"rank": ranks}),
        ("sweep-widths", ("tensorguide",), {"width": setting.size.widths, "tt_ranks": tt_ranks}),
    ):
        axes = {"method": methods, "seed": seeds, **sizes}
        cells = Grid(SpectrumConfig, setting.given, axes).cells()
        setting.run(name, SWEEP, cells)


def _runs(setting: "Setting") -> None:
    """Gradient descent of every method, plain and lazy, beside linearized training."""
    from ntklab.experiments.grid import Grid
    from ntklab.experiments.training.cells import dynamics_cells
    from ntklab.experiments.training.experiment import DYNAMICS
    from ntklab.experiments.training.heads.config import PairConfig
    from ntklab.figures import METHODS

    setting.note("runs beside their predictions")
    shared: dict[str, Any] = {
        "samples": min(64, setting.size.samples),
        "images": setting.size.images,
        "steps": 100 if setting.quick else 300,
        "optimizer": "gd",
        "loss": "squared",
        "device": "cpu",
    }
    for method in METHODS:
        for alpha, end in ((None, ""), (_LAZY, "-lazy")):
            given = {**shared, "method": method, "alpha": alpha}
            grid = Grid(PairConfig, given, {"seed": (0,) if setting.quick else (0, 1, 2)})
            setting.run(f"dynamics-{method}{end}", DYNAMICS, dynamics_cells(grid))


def _is_fresh(one: "Plate", records: Path, out: Path) -> bool:
    """Is its caption, which is written last, younger than every record that it is drawn from?"""
    caption = out / f"{one.name}.md"
    found = [records / name / "record.json" for name in (*one.needs, *one.uses)]
    ages = [path.stat().st_mtime_ns for path in found if path.exists()]
    return bool(ages) and caption.exists() and caption.stat().st_mtime_ns > max(ages)
