"""The step of `ntklab reproduce` that trains: tables 1, 2 and 5, figures 4 to 6."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ntklab.reproduce.setting import Setting


def pairs(setting: "Setting") -> str:
    """Methods, widths and TT-ranks beside each other, and whole networks as released.

    The quick form compares methods alone. Heads train on cached features, on the CPU and in one
    thread: they are too small for more.
    """
    from ntklab.experiments.training.markdown import end_to_end_markdown
    from ntklab.reproduce.training_page import END_TO_END, draw, training_section

    sections = []
    for name in setting.names("pair"):
        record = setting.make(name)
        draw(record, name, setting.folder / "figures")
        section = training_section(record, name)
        sections.append(section.replace("](training-", "](figures/training-"))
    if END_TO_END in setting.names("train"):
        sections.append(end_to_end_markdown(setting.make(END_TO_END)))
    return "\n".join(sections)
