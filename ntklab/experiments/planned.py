"""From the options of a command, as values, to its cells, and to the line that a shell takes.

    spectra = PLANNERS["spectrum"]
    spectra.cells({"method": ("lora", "tera"), "seed": range(5), "samples": 64})
    spectra.line({"method": ("lora", "tera"), "seed": range(5), "samples": 64})

An option is a setting of the command's configuration by its key, or a word of the command alone
(`table`, `quick`). A tuple or a range is an axis where the setting can be one.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ntklab.configuration import Configuration, Setting
from ntklab.errors import unknown
from ntklab.experiments.approximation.config import ApproximationConfig
from ntklab.experiments.bounds.config import BoundsConfig
from ntklab.experiments.grid import Grid
from ntklab.experiments.spectrum.config import SpectrumConfig
from ntklab.experiments.training.heads.config import PairConfig
from ntklab.experiments.training.language.config import LanguageConfig
from ntklab.experiments.training.prompt.config import PromptConfig

if TYPE_CHECKING:
    from ntklab.experiments.run import Experiment
    from ntklab.records import Record

Options = Mapping[str, Any]
#: An experiment with the configurations to compute.
Planned = tuple["Experiment[Any]", list[Any]]


@dataclass(frozen=True)
class Planner:
    """How the options of a command become an experiment and its cells.

    Attributes:
        command: the command's name.
        kind: the class of its configurations.
        make: from a grid, and from the options that are no settings, to experiment and cells.
    """

    command: str
    kind: type[Configuration]
    make: Callable[..., Planned]

    def plan(self, options: Options) -> Planned:
        """The experiment and every configuration of it.

        Raises:
            InputError: for a value that cannot work.
        """
        rules = _rules(self.kind)
        own = {key: value for key, value in options.items() if key not in rules}
        axes = {k: _every(rules[k], v) for k, v in options.items() if _is_axis(rules.get(k), v)}
        given = {k: v for k, v in options.items() if k in rules and k not in axes}
        return self.make(Grid(self.kind, given, axes), **own)

    def line(self, options: Options) -> str:
        """The command as a shell takes it.

        Example:
            >>> PLANNERS["sweep"].line({"method": ("lora",), "rank": (1, 2), "seed": range(5)})
            'ntklab sweep --method lora --rank 1,2 --seeds 0:5'
            >>> PLANNERS["pair"].line({"table": 2, "quick": True})
            'ntklab pair --table 2 --quick'
        """
        rules = _rules(self.kind)
        words = [word for k, v in options.items() for word in _written(k, v, rules.get(k))]
        return " ".join(["ntklab", self.command, *words])


def _rules(kind: type[Configuration]) -> dict[str, Setting]:
    flat = kind.flat_fields().items()
    return {key: one.setting for key, one in flat if one.setting is not None}


def _is_axis(rule: Setting | None, value: Any) -> bool:
    if rule is None or rule.several is None or not isinstance(value, tuple | range):
        return False
    return rule.several.grammar != "lists" or not isinstance(value[0], int)


def _every(rule: Setting, values: Sequence[Any]) -> Sequence[Any]:
    """The values of an axis, where a word stands for all of them."""
    word = rule.several.every if rule.several else ""
    return tuple(rule.words or rule.hints) if word and tuple(values) == (word,) else values


def _written(key: str, value: Any, rule: Setting | None) -> Iterator[str]:
    """An option on the command line; nothing for what is None or False."""
    name = f"--{key.replace('_', '-')}"
    if value is None or value is False:
        return
    if value is True:
        yield name
    elif rule is not None and rule.several is not None and _is_axis(rule, value):
        name = next(word for word in rule.several.usage.split() if word.startswith("--"))
        several = [_text(entry) for entry in value]
        if rule.several.grammar == "seeds":
            several = [_seeds(value)]
        elif not rule.several.repeated:
            several = [",".join(several)]
        for text in several:
            yield f"{name} {text}"
    else:
        yield f"{name} {_text(value)}"


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return ",".join(map(_text, value)) if isinstance(value, tuple) else str(value)


def _seeds(seeds: Sequence[int]) -> str:
    """Seeds as `--seeds` takes them."""
    first, stop = seeds[0], seeds[-1] + 1
    whole = list(seeds) == list(range(first, stop))
    return f"{first}:{stop}" if whole else ",".join(map(str, seeds))


def _spectra(grid: Grid[Any]) -> Planned:
    from ntklab.experiments.spectrum import SPECTRUM

    return SPECTRUM, grid.cells()


def _sweep(grid: Grid[Any]) -> Planned:
    from ntklab.experiments.spectrum import SWEEP

    return SWEEP, grid.cells()


def _bounds(grid: Grid[Any]) -> Planned:
    from ntklab.experiments.bounds import BOUNDS

    return BOUNDS, grid.cells()


def _approximation(grid: Grid[Any], *, quick: bool = False) -> Planned:
    from ntklab.experiments.approximation import APPROXIMATION, curve_cells

    names = {"target": "targets", "width": "widths", "tt_ranks": "tt_ranks", "seed": "seeds"}
    axes: dict[str, Any] = {names[key]: values for key, values in grid.axes.items()}
    return APPROXIMATION, curve_cells(grid.given, quick=quick, **axes)


def _pairs(grid: Grid[Any], *, table: int = 1, quick: bool = False) -> Planned:
    from ntklab.experiments.training.cells import pair_cells
    from ntklab.experiments.training.experiment import PAIR

    methods, seeds = grid.axes.get("method", ("all",)), grid.axes.get("seed", ())
    return PAIR, pair_cells(grid.given, methods, seeds, table=table, quick=quick)


def _dynamics(grid: Grid[Any]) -> Planned:
    from ntklab.experiments.training.cells import dynamics_cells
    from ntklab.experiments.training.experiment import DYNAMICS

    return DYNAMICS, dynamics_cells(grid)


def _training(grid: Grid[Any], *, end_to_end: bool = False) -> Planned:
    from ntklab.experiments.training.cells import train_cells
    from ntklab.experiments.training.experiment import END_TO_END, TRAIN

    return END_TO_END if end_to_end else TRAIN, train_cells(grid, end_to_end=end_to_end)


def _language(grid: Grid[Any], *, task: str, table: int | None = None) -> Planned:
    from ntklab.experiments.training.cells import language_cells
    from ntklab.experiments.training.experiment import LANGUAGE

    methods, seeds = (grid.axes.get(axis, ()) for axis in ("method", "seed"))
    return LANGUAGE, language_cells(grid.given, methods, seeds, table=table)


def _prompts(grid: Grid[Any], *, task: str, panel: str = "methods", quick: bool = False) -> Planned:
    from ntklab.experiments.training.prompt.cells import prompt_cells
    from ntklab.experiments.training.prompt.experiment import PROMPT

    given, seeds = grid.given, grid.axes.get("seed", ())
    methods = (given.get("method", "all"),)
    return PROMPT, prompt_cells(given, methods, seeds, panel=panel, quick=quick)


#: What the manifest speaks of, by name; `language` is `train` with the task wikitext, `prompt` is
#: `pair` with the task prompt.
PLANNERS = {
    "spectrum": Planner("spectrum", SpectrumConfig, _spectra),
    "sweep": Planner("sweep", SpectrumConfig, _sweep),
    "bounds": Planner("bounds", BoundsConfig, _bounds),
    "approx": Planner("approx", ApproximationConfig, _approximation),
    "pair": Planner("pair", PairConfig, _pairs),
    "dynamics": Planner("dynamics", PairConfig, _dynamics),
    "train": Planner("train", PairConfig, _training),
    "language": Planner("train", LanguageConfig, _language),
    "prompt": Planner("pair", PromptConfig, _prompts),
}


def run_command(
    command: str, *, out: Path | str | None = None, jobs: int = 1, **options: Any
) -> "Record":
    """The record that a command computes, from Python: tables and figures are made of records.

    Args:
        command: "spectrum", "sweep", "bounds", "approx", "pair", "dynamics" or "train".
        out: folder of the run, which keeps finished cells; nothing is kept if None.
        jobs: cells at a time; −1 for one a processor.
        **options: of the command, with underscores for hyphens; a tuple or a range where the
            command takes several values (`method`, `seed`, `width`, `rank`, `tt_ranks`).

    Raises:
        InputError: an unknown command or option, or a value that cannot work.

    Example:
        >>> rows = run_command("spectrum", task="synthetic", method=("lora", "tera"), samples=4)
        >>> [(row["method"], row["rank"]) for row in rows.results]
        [('lora', 8), ('tera', 8)]
    """
    from ntklab.experiments.run import run

    if command not in PLANNERS:
        raise unknown("command", command, list(PLANNERS))
    planner = PLANNERS[command]
    settings = _rules(planner.kind)
    words = _own_words(planner)
    for name in options.keys() - settings.keys() - words:
        raise unknown(f"option of ntklab {planner.command}", name, [*settings, *words])
    experiment, cells = planner.plan(options)
    return run(experiment, cells, out=None if out is None else Path(out), jobs=jobs)


def _own_words(planner: Planner) -> set[str]:
    """Options of a command that are no settings."""
    return set(signature(planner.make).parameters) - {"grid"}
