"""The step of `ntklab reproduce` that trains: tables 1, 2 and 5, figures 4 to 6."""

from typing import TYPE_CHECKING

from ntklab.cli.console import note

if TYPE_CHECKING:
    from ntklab.cli.reproduce_setting import Setting


def pairs(setting: "Setting") -> str:
    """Methods, widths and TT-ranks beside each other; the quick form compares methods alone.

    Heads train on cached features, on the CPU and in one thread: they are too small for more.
    """
    from ntklab.cli.options import Run
    from ntklab.cli.parse import parse_seeds
    from ntklab.cli.training_options import run_pairs
    from ntklab.cli.training_tables import training_section
    from ntklab.experiments.training.cells import pair_cells
    from ntklab.experiments.training.experiment import PAIR

    sections = []
    for table in (1,) if setting.quick else (1, 2, 5):
        note(f"training runs of table {table}")
        name = f"pairs-table{table}"
        seeds = parse_seeds(setting.size.training_seeds)
        given = {"images": setting.size.images}
        cells = pair_cells(given, seeds=seeds, table=table, quick=setting.quick)
        out = setting.folder / "records" / name
        record = run_pairs(PAIR, cells, Run(out=out, force=setting.force))
        section, _ = training_section(record, name, setting.folder / "figures")
        sections.append(section.replace("](training-", "](figures/training-"))
    return "\n".join(sections)
