"""Every figure by name: the records that it needs, the function that draws it, its caption.

To add a figure, write its module (a function of records that returns the figure with its table, and
one that returns its caption) and give it a line in `_plates`. Names of records are the names of
folders under `figures/records`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ntklab.errors import InputError, unknown
from ntklab.experiments.manifest import ON_GPU, make_line, sized
from ntklab.figures.captions import sources
from ntklab.figures.save import save_figure
from ntklab.files import write_text
from ntklab.records import Record

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Records = Mapping[str, Record]
Table = list[dict[str, Any]]


@dataclass(frozen=True)
class Plate:
    """One figure of the catalogue.

    Attributes:
        name: of its files.
        title: of its section in the index.
        needs: records without which it is not drawn; empty for what shapes alone decide.
        draw: records and venue → the figure and the table that it shows.
        caption: records → what it shows, with N, seeds and interval.
        uses: records that are drawn where they are there; without `needs`, one must be.
        command: what makes records that the manifest has no line for.
    """

    name: str
    title: str
    needs: tuple[str, ...]
    draw: Callable[..., tuple["Figure", Table]]
    caption: Callable[[Records], str]
    uses: tuple[str, ...] = ()
    command: str = ""

    def missing(self, folder: Path) -> str | None:
        """Why the figure cannot be drawn from this folder of records; None if it can.

        Example:
            >>> print(plate("bounds").missing(Path("runs")))
            bounds: runs holds no record 'bounds'; make it with  ntklab bounds --method all \
--device cpu --samples 256 --gauge --seeds 0:5 --out runs/bounds.
        """
        lacking = [name for name in self.needs if not _is_there(folder, name)]
        if not lacking and not self.needs and self.uses:
            lacking = [] if any(_is_there(folder, n) for n in self.uses) else [self.uses[0]]
        if not lacking:
            return None
        line = self.command or make_line(lacking[0], folder.as_posix())
        where = f"{folder.as_posix()} holds no record '{lacking[0]}'"
        return f"{self.name}: {where}; make it with  {line}."


def plate(name: str) -> Plate:
    """The figure of that name.

    Raises:
        InputError: for another name; the nearest is proposed.
    """
    plates = {drawing.name: drawing for drawing in (*catalogue(), *of_gpu())}
    if name not in plates:
        raise unknown("figure", name, plates)
    return plates[name]


def draw_plate(
    plate: Plate,
    records: Path,
    out: Path,
    *,
    venue: str = "neurips",
    read: Callable[[Path], Record] = Record.read,
) -> list[Path]:
    """Draw one figure from a folder of records.

    Args:
        plate: from `catalogue`.
        records: folder of records.
        out: where NAME.pdf, NAME.png, NAME.csv and the caption NAME.md go.
        venue: see `ntklab.figures.venue_style`.
        read: how a record is read, so that several figures may share one reading.

    Returns:
        The four paths.

    Raises:
        InputError: if a record is missing, damaged, or lacks a column.
    """
    reason = plate.missing(records)
    if reason:
        raise InputError(reason)
    drawn = {name: read(records / name) for name in plate.needs}
    drawn |= {name: read(records / name) for name in plate.uses if _is_there(records, name)}
    figure, table = plate.draw(drawn, venue=venue)
    paths = save_figure(figure, out / f"{plate.name}.pdf", table)
    said = plate.caption(drawn) + (f" {sources(drawn)}" if drawn else "")
    paths.append(out / f"{plate.name}.md")
    write_text(paths[-1], said + "\n")
    return paths


def write_index(out: Path) -> Path:
    """`README.md` of a folder of figures: each that is there with its caption, and other pages.

    Args:
        out: folder that `draw_plate` has written into.

    Returns:
        The path.
    """
    sections = []
    for plate in (*catalogue(), *of_gpu()):
        caption = out / f"{plate.name}.md"
        if caption.exists():
            files = " · ".join(f"[{kind}]({plate.name}.{kind})" for kind in ("pdf", "png", "csv"))
            text = caption.read_text(encoding="utf-8").strip()
            sections.append(
                f"## {plate.title}\n\n![{plate.title}]({plate.name}.png)\n\n{text}\n\n{files}\n"
            )
    captions = {f"{plate.name}.md" for plate in (*catalogue(), *of_gpu())} | {"README.md"}
    pages = sorted(path.name for path in out.glob("*.md") if path.name not in captions)
    if pages:
        links = "\n".join(f"- [{name.removesuffix('.md')}]({name})" for name in pages)
        sections.append(f"## Pages of tables\n\n{links}\n")
    write_text(out / "README.md", "\n".join([_HEAD, *sections]))
    return out / "README.md"


def catalogue() -> tuple[Plate, ...]:
    """Every figure, in the order in which a reader wants them."""
    return (*_of_shapes(), *_of_kernels(), *_of_bounds(), *_of_training(), *_of_prompts())


def of_gpu() -> tuple[Plate, ...]:
    """The same figures from records that `ntklab gpu-records` makes, of those that it makes.

    They stand apart, under names that end in `-gpu`: no figure shows a CPU's runs as a GPU's.
    """
    made = {entry.record for entry in sized("gpu")}
    return tuple(_of_gpu(one) for one in catalogue() if one.needs and made >= {*one.needs})


_HEAD = """# Figures

Drawn by `ntklab figures all` from the records beside them; the CSV of a figure holds every number
that it shows. One colour and one marker a method, in all figures.
"""


def _of_shapes() -> Sequence[Plate]:
    from ntklab.figures.architecture import architecture_caption, architecture_figure
    from ntklab.figures.shapes import shapes_caption, shapes_figure

    return (
        Plate("architecture", "The adapters", (), architecture_figure, architecture_caption),
        Plate("shapes", "Shapes of tensor trains", (), shapes_figure, shapes_caption),
    )


def _of_kernels() -> Sequence[Plate]:
    from ntklab.figures.conditioning import conditioning_caption, conditioning_figure
    from ntklab.figures.cores import cores_caption, cores_figure
    from ntklab.figures.spectrum import spectrum_caption, spectrum_figure

    presets = {
        "ntk": "the NTK parameterization",
        "released": "the start of the authors' code",
        "paper": "the start of the paper's text",
    }
    spectra = [
        Plate(
            f"spectrum-{preset}", f"Spectra at {words}", (f"spectrum-{preset}",),
            _alone(spectrum_figure), _alone(spectrum_caption),
        )
        for preset, words in presets.items()
    ]  # fmt: skip
    return (
        *spectra,
        Plate(
            "conditioning", "Smallest eigenvalue, condition and effective dimension",
            ("sweep-widths", "sweep-ranks"), conditioning_figure, conditioning_caption,
        ),
        Plate(
            "cores", "What each core gives to the kernel", ("per-core",),
            _alone(cores_figure), _alone(cores_caption),
        ),
    )  # fmt: skip


def _of_bounds() -> Sequence[Plate]:
    from ntklab.figures.approximation import approximation_caption, approximation_figure
    from ntklab.figures.bounds import bounds_caption, bounds_figure
    from ntklab.figures.generalization import generalization_caption, generalization_figure

    return (
        Plate(
            "generalization", "Rademacher and generalization bounds beside measured gaps",
            ("bounds",), generalization_figure, generalization_caption,
            uses=("pairs-table1",),
        ),
        Plate(
            "bounds", "Every bound beside what it bounds", ("bounds",),
            _alone(bounds_figure), _alone(bounds_caption),
        ),
        Plate(
            "approximation", "Approximation over width and TT-rank", ("approximation",),
            _alone(approximation_figure), _alone(approximation_caption),
        ),
    )  # fmt: skip


def _of_training() -> Sequence[Plate]:
    from ntklab.figures.drift import drift_caption, drift_figure
    from ntklab.figures.language import perplexity_caption, perplexity_figure
    from ntklab.figures.prediction import prediction_caption, prediction_figure
    from ntklab.figures.style import METHODS
    from ntklab.figures.training import curves_figure
    from ntklab.figures.training_caption import curves_caption

    plain = tuple(f"dynamics-{method}" for method in METHODS)
    lazy = tuple(f"{name}-lazy" for name in plain)
    curves = {
        "methods": ("pairs-table1", "Training of every method", 1),
        "widths": ("pairs-table2", "Training over the width", 2),
        "tt-ranks": ("pairs-table5", "Training over the TT-ranks", 5),
    }
    return (
        Plate(
            "prediction", "Predicted beside measured loss", (),
            prediction_figure, prediction_caption, uses=plain,
        ),
        Plate(
            "prediction-lazy", "Predicted beside measured loss, lazy training", (),
            prediction_figure, prediction_caption, uses=lazy,
        ),
        Plate(
            "drift", "How far the kernel moves", (), drift_figure, drift_caption,
            uses=(*plain, *lazy, "pairs-table1"),
        ),
        *(
            Plate(
                f"training-{name}", title, (record,), _alone(curves_figure),
                _alone(curves_caption),
            )
            for name, (record, title, table) in curves.items()
        ),
        Plate(
            "table3", "Heads of a language model", ("table3",), _alone(perplexity_figure),
            _alone(perplexity_caption),
        ),
    )  # fmt: skip


def _of_prompts() -> Sequence[Plate]:
    from ntklab.experiments.training.panel import PANEL
    from ntklab.figures.prompt import (
        accuracy_caption,
        accuracy_figure,
        learning_caption,
        learning_figure,
        ranking_caption,
        ranking_figure,
    )

    figures = {
        "accuracy": ("Predicted and measured accuracy", accuracy_figure, accuracy_caption),
        "ranking": ("Figures of the kernel beside accuracy", ranking_figure, ranking_caption),
        "curves": ("Predicted and measured learning curves", learning_figure, learning_caption),
    }
    return tuple(
        Plate(f"prompt-{name}", title, (PANEL,), _alone(figure), _alone(caption))
        for name, (title, figure, caption) in figures.items()
    )


def _of_gpu(one: Plate) -> Plate:
    def renamed(records: Records) -> Records:
        return {name.removesuffix(ON_GPU): record for name, record in records.items()}

    def draw(records: Records, **more: Any) -> tuple["Figure", Table]:
        return one.draw(renamed(records), **more)

    def caption(records: Records) -> str:
        devices = dict.fromkeys(str(made.provenance["device"]) for made in records.values())
        return f"{one.caption(renamed(records))} Measured on {', '.join(devices)}."

    needs = tuple(f"{name}{ON_GPU}" for name in one.needs)
    title, command = f"{one.title}, by ntklab gpu-records", "ntklab gpu-records"
    return Plate(f"{one.name}{ON_GPU}", title, needs, draw, caption, command=command)


def _alone(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of one record, for a figure that needs one."""

    def of_records(records: Records, **more: Any) -> Any:
        (record,) = records.values()
        return function(record, **more)

    return of_records


def _is_there(folder: Path, name: str) -> bool:
    return (folder / name / "record.json").is_file()
