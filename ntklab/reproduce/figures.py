"""The step of `ntklab reproduce` that draws: every figure, and the records that they lack."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ntklab.figures import Plate
    from ntklab.reproduce.setting import Setting


def all_figures(setting: "Setting") -> str:
    """Kernels over width, rank and core, runs beside their predictions, and every figure.

    A figure that an earlier step has drawn from the same records is not drawn again.
    """
    from ntklab.figures import catalogue, draw_plate, write_index

    for name in ("per-core", *setting.names("sweep", "dynamics")):
        setting.make(name)
    records, out = setting.records, setting.folder / "figures"
    sections = ["## Figures\n"]
    for one in catalogue():
        if one.missing(records) is None and not _is_fresh(one, records, out):
            caption = draw_plate(one, records, out)[-1].read_text(encoding="utf-8")
            sections.append(f"![{one.title}](figures/{one.name}.png)\n\n{caption}")
    write_index(out)
    return "\n".join([*sections, "All figures with their captions: [figures](figures/README.md)\n"])


def _is_fresh(plate: "Plate", records: Path, out: Path) -> bool:
    """Is its caption, which is written last, younger than every record that it is drawn from?"""
    caption = out / f"{plate.name}.md"
    paths = [records / name / "record.json" for name in (*plate.needs, *plate.uses)]
    ages = [path.stat().st_mtime_ns for path in paths if path.exists()]
    return bool(ages) and caption.exists() and caption.stat().st_mtime_ns > max(ages)
