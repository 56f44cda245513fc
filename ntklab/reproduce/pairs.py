"""The step of `ntklab reproduce` that trains: tables 1, 2 and 5, figures 4 to 6."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ntklab.reproduce.setting import Setting


def pairs(setting: "Setting") -> str:
    """Methods, widths and TT-ranks beside each other; the quick form compares methods alone.

    Heads train on cached features, on the CPU and in one thread: they are too small for more.
    """
    from ntklab.reproduce.training_page import draw, training_section

    sections = []
    for table in (1,) if setting.quick else (1, 2, 5):
        name = f"pairs-table{table}"
        record = setting.make(name)
        draw(record, name, setting.folder / "figures")
        section = training_section(record, name)
        sections.append(section.replace("](training-", "](figures/training-"))
    return "\n".join(sections)
