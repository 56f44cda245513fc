"""The step of `ntklab reproduce` that trains: tables 1, 2 and 5, figures 4 to 6."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ntklab.reproduce.setting import Setting


def pairs(setting: "Setting") -> str:
    """Methods, widths and TT-ranks beside each other; the quick form compares methods alone.

    Heads train on cached features, on the CPU and in one thread: they are too small for more.
    """
    from ntklab.experiments.training.cells import pair_cells
    from ntklab.experiments.training.experiment import PAIR
    from ntklab.reproduce.training_page import draw, training_section

    sections = []
    for table in (1,) if setting.quick else (1, 2, 5):
        setting.note(f"training runs of table {table}")
        name = f"pairs-table{table}"
        given, seeds = {"images": setting.size.images}, setting.size.training_seeds
        cells = pair_cells(given, seeds=seeds, table=table, quick=setting.quick)
        record = setting.run(name, PAIR, cells)
        draw(record, name, setting.folder / "figures")
        section = training_section(record, name)
        sections.append(section.replace("](training-", "](figures/training-"))
    return "\n".join(sections)
