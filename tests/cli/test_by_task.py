"""Two configurations behind one command: which options exist, which count, which are refused."""

from dataclasses import dataclass
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from ntklab.cli.by_task import ByTask
from ntklab.cli.convert import Settings
from ntklab.cli.groups import option, spelled_out
from ntklab.configuration import Configuration, setting
from ntklab.errors import InputError
from ntklab.experiments.grid import Grid


@dataclass(frozen=True, kw_only=True)
class Images(Configuration):
    task: str = setting("images", "A task.", "TASK")
    steps: int = setting(10, "Updates.", "COUNT")
    samples: int = setting(16, "Samples.", "COUNT")


@dataclass(frozen=True, kw_only=True)
class Words(Configuration):
    steps: int = setting(120, "Updates.", "COUNT")
    context: int = setting(64, "Tokens.", "TOKENS")
    keep: bool = setting(False, "Keep.")


CHOICE = ByTask(
    Settings(Images),
    Settings(Words),
    "words",
    first_alone=("sharp",),
    second_alone=("windows",),
    instead={"samples": "--windows"},
)


@pytest.fixture
def run():
    grids: list[Grid[Any]] = []

    def command(
        grid: Annotated[Grid[Any], CHOICE],
        *,
        sharp: Annotated[bool, option("--sharp", "Sharp.")] = False,
        windows: Annotated[int | None, option("--windows COUNT", "Windows.")] = None,
    ) -> None:
        """A command."""
        grids.append(grid)

    program = typer.Typer()
    program.command()(spelled_out(command))

    def call(*words):
        grids.clear()
        result = CliRunner().invoke(program, words)
        if result.exception is not None:
            raise result.exception
        return grids[0].kind, dict(grids[0].given)

    return call


def test_the_first_has_its_defaults(run):
    assert run() == (Images, {"task": "images", "steps": 10, "samples": 16})


def test_the_second_has_what_a_person_gave(run):
    assert run("--task", "words") == (Words, {})
    given = {"steps": 3, "context": 8, "keep": True}
    assert run("--task", "words", "--steps", "3", "--context", "8", "--keep") == (Words, given)


def test_a_default_that_is_given_counts(run):
    assert run("--task", "words", "--steps", "10") == (Words, {"steps": 10})


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--context", "8"), "--context has no meaning for --task images"),
        (("--windows", "8"), "--windows has no meaning for --task images"),
        (("--task", "words", "--sharp"), "--sharp has no meaning for --task words"),
        (
            ("--task", "words", "--samples", "8"),
            r"--samples \(see --windows\) has no meaning for --task words",
        ),
    ],
)
def test_an_idle_option_is_refused(run, words, sentence):
    with pytest.raises(InputError, match=sentence):
        run(*words)
