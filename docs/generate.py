"""Pages that are made when the docs are built, so that they cannot be behind: commands, gallery."""

import shutil
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from ntklab.experiments.manifest import make_line
from ntklab.figures import catalogue

#: Names that signatures mention, with the place of each below the root of its own pages. Written
#: here as inventories, so that links need no network when the docs are built.
INVENTORIES = {
    "torch": (
        "https://docs.pytorch.org/docs/stable/",
        {
            "torch.Tensor": "tensors.html#torch.Tensor",
            "torch.Generator": "generated/torch.Generator.html#torch.Generator",
            "torch.nn.Module": "generated/torch.nn.Module.html#torch.nn.Module",
            "torch.nn.Linear": "generated/torch.nn.Linear.html#torch.nn.Linear",
            "torch.device": "tensor_attributes.html#torch.device",
            "torch.dtype": "tensor_attributes.html#torch.dtype",
            "torch.utils.data.DataLoader": "data.html#torch.utils.data.DataLoader",
        },
    ),
    "numpy": (
        "https://numpy.org/doc/stable/",
        {
            "numpy.ndarray": "reference/generated/numpy.ndarray.html#numpy.ndarray",
            "numpy.random.Generator": "reference/random/generator.html#numpy.random.Generator",
        },
    ),
}


def write_inventories(folder: Path) -> dict[str, tuple[str, str]]:
    """One `objects.inv` a project, and what `intersphinx_mapping` says of them."""
    mapping = {}
    for project, (root, places) in INVENTORIES.items():
        lines = "".join(f"{name} py:class 1 {place} -\n" for name, place in places.items())
        head = f"# Sphinx inventory version 2\n# Project: {project}\n# Version: \n"
        head += "# The remainder of this file is compressed using zlib.\n"
        path = folder / f"{project}.inv"
        path.write_bytes(head.encode() + zlib.compress(lines.encode()))
        mapping[project] = (root, str(path))
    return mapping


def write_command_pages(folder: Path) -> list[Path]:
    """A page a command from its help: what it does, examples, options by what owns them."""
    written = [folder / "index.md"]
    names = []
    for name, command in commands():
        path = folder / f"{name.replace(' ', '-')}.md"
        path.write_text(command_page(name, command), encoding="utf-8")
        written.append(path)
        names.append(path.stem)
    toctree = "\n".join(["```{toctree}", ":maxdepth: 1", "", *names, "```"])
    written[0].write_text(
        "# Commands\n\nMade from `ntklab COMMAND --help`. Every command that computes takes `--out"
        " DIR`, which keeps finished cells, and `--format json`, which prints the record.\n\n"
        f"{toctree}\n",
        encoding="utf-8",
    )
    return written


def commands() -> Iterator[tuple[str, Any]]:
    """Every command by its name, those of a group by both words."""
    from ntklab.cli.main import app

    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        if hasattr(command, "commands"):
            yield from ((f"{name} {inner}", one) for inner, one in command.commands.items())
        else:
            yield name, command


def command_page(name: str, command: Any) -> str:
    """The page of one command."""
    said, _, examples = (command.help or "").partition("\b\nExamples:\n")
    parts = [f"# ntklab {name}", _prose(said)]
    if examples:
        shown = "\n".join(line.strip() for line in examples.split("\n\n")[0].splitlines())
        parts.append(f"```bash\n{shown.strip()}\n```")
        parts += [_prose(rest) for rest in examples.split("\n\n")[1:]]
    context = command.context_class(command, info_name=f"ntklab {name}")
    usage = " ".join(command.collect_usage_pieces(context))
    parts.append(f"```text\nntklab {name} {usage}\n```")
    sections: dict[str, list[str]] = {}
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None:
            heading = getattr(parameter, "rich_help_panel", None) or "Options"
            sections.setdefault(heading, []).append(f"`{record[0]}`\n: {_prose(record[1])}")
    for heading in sorted(sections, key=lambda heading: heading == "Options"):
        parts.append(f"## {heading}\n\n" + "\n\n".join(sections[heading]))
    return "\n\n".join(part for part in parts if part) + "\n"


def write_gallery(folder: Path, figures: Path) -> Path:
    """Every committed figure with its caption and the command that draws it."""
    parts = [
        "# Gallery",
        "Drawn from records by `ntklab figures NAME --records FOLDER`; the CSV of a figure holds"
        " every number that it shows. `--venue icml` takes another venue's size and fonts.",
    ]
    for plate in catalogue():
        picture, caption = figures / f"{plate.name}.png", figures / f"{plate.name}.md"
        if not (picture.exists() and caption.exists()):
            continue
        shutil.copy(picture, folder / picture.name)
        made = "".join(f"{make_line(name, 'runs')}\n" for name in plate.needs or plate.uses)
        records = " --records runs" if made else ""
        parts.append(
            f"## {plate.title}\n\n![{plate.title}]({picture.name})\n\n"
            f"{_prose(caption.read_text(encoding='utf-8'))}\n\n"
            f"```bash\n{made}ntklab figures {plate.name}{records}\n```"
        )
    path = folder / "gallery.md"
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return path


def _prose(text: str) -> str:
    """Paragraphs on one line each; signs that Markdown would take are left as they are meant."""
    paragraphs = (" ".join(part.split()) for part in text.replace("\b", "").split("\n\n"))
    return "\n\n".join(part.replace("*", r"\*").replace("<", r"\<") for part in paragraphs if part)
