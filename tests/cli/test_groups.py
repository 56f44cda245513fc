"""Groups of options: what typer and a command make of a dataclass."""

import inspect
from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from ntklab.cli.groups import option, spelled_out
from ntklab.cli.main import app
from ntklab.cli.options import Program


@dataclass(frozen=True, kw_only=True)
class Shape:
    width: Annotated[int, option("--width -w M", "Width M.", min=1)] = 4
    word: Annotated[str, option("--word WORD", "A word.", words=("one", "two"))] = "one"
    wide: Annotated[bool, option("--wide", "A flag.")] = False


@dataclass(frozen=True, kw_only=True)
class LongerShape(Shape):
    width: Annotated[int, option("--width -w M", "Width M, longer.")] = 8


def program(kind):
    found = []

    def command(ctx: typer.Context, *, first: int = 0, shape: kind, last: int = 1) -> None:
        """A command."""
        found.append((shape, first, last, dict(ctx.params)))

    one = typer.Typer()
    one.command()(spelled_out(command, Program))
    return one, found


def test_a_group_is_its_options_in_its_place():
    one, found = program(Shape)
    result = CliRunner().invoke(one, ["-w", "7", "--wide", "--last", "3"])
    assert result.exit_code == 0, result.output
    [(shape, first, last, options)] = found
    assert (shape, first, last) == (Shape(width=7, wide=True), 0, 3)
    assert options == {
        **{"first": 0, "width": 7, "word": "one", "wide": True, "last": 3},
        **{"config": None, "debug": False},
    }
    assert CliRunner().invoke(one, ["--width", "0"]).exit_code == 2


def test_a_group_that_differs_says_one_field_again():
    one, found = program(LongerShape)
    CliRunner().invoke(one, [])
    assert found[0][0] == LongerShape(width=8)
    text = CliRunner().invoke(one, ["--help"], terminal_width=100).output
    assert "Width M, longer." in text
    names = list(inspect.signature(one.registered_commands[0].callback).parameters)
    assert names == ["ctx", "first", "width", "word", "wide", "last", "config", "debug"]


def test_a_file_of_options_reaches_a_group_and_the_command_line_wins(tmp_path):
    one, found = program(Shape)
    path = tmp_path / "run.toml"
    path.write_text('width = 5\nword = "two"\n')
    CliRunner().invoke(one, ["--config", str(path), "--width", "6"])
    assert found[0][0] == Shape(width=6, word="two")


def test_one_name_twice_is_refused():
    def command(*, width: int = 3, shape: Shape) -> None:
        """A command."""

    with pytest.raises(ValueError, match="width"):
        spelled_out(command)


def test_every_command_can_be_configured_and_debugged():
    for command in app.registered_commands:
        assert list(inspect.signature(command.callback).parameters)[-2:] == ["config", "debug"]
