"""The README's code runs as it stands, and its commands exist with their options."""

import re
import shlex
from functools import cache
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ntklab.cli.main import app

README = Path(__file__).resolve().parents[1] / "README.md"
TEXT = README.read_text(encoding="utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
COMMANDS = sorted(set(re.findall(r"^(ntklab .*?)\s*(?:#.*)?$", TEXT, re.MULTILINE)))


def test_the_python_blocks_run_in_order(capsys):
    scope = {"__name__": "readme"}
    for block in PYTHON:
        exec(compile(block, "README.md", "exec"), scope)  # the page is the program
    printed = capsys.readouterr().out
    assert "width 1024 acts as 64" in printed
    assert printed.count("rank") >= 2


def test_the_first_block_is_two_calls():
    assert "ntklab.spectrum(ntklab.jacobian(model, x))" in PYTHON[0]


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_exists_with_its_options(line):
    _, command, *words = shlex.split(line)
    help_text = CliRunner().invoke(app, [command, "--help"]).output
    for word in words:
        if word.startswith("--"):
            assert word in help_text, f"{command} has no {word}"


def test_links_lead_to_files():
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        if not target.startswith("https://"):
            assert (README.parent / target).exists(), target


@pytest.mark.parametrize(
    "page", ["README.md", "docs/training.md", "docs/installation.md", "docs/models.md"]
)
def test_what_commands_of_a_page_write_is_ignored_by_git(page):
    """Or it is a record of the project itself; so a newcomer's clone stays clean."""
    root = README.parent
    ignored = (root / ".gitignore").read_text(encoding="utf-8").split()
    assert "runs/" in ignored
    text = (root / page).read_text(encoding="utf-8")
    lines = re.findall(r"^ *(?:ntklab |--).*$", text, re.MULTILINE)
    written = re.findall(r"--(?:out|plot|markdown) (\S+)", "\n".join(lines))
    assert written
    for place in written:
        assert place.startswith(("runs/", "figures/records/")), f"{page} writes {place}"


def test_commands_of_the_docs_exist_with_their_options():
    """In blocks and in running text, of every page that is written by hand."""
    docs, wrong = README.parent / "docs", []
    helps = cache(lambda words: CliRunner().invoke(app, [*words, "--help"]).output)
    for page in (*docs.glob("*.md"), *docs.glob("recipes/*.md")):
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        for line in re.findall(
            r"(?:^ *|`)ntklab ((?:claims )?[a-z-]+ -[^`#\n]*)", text, re.MULTILINE
        ):
            command = tuple(re.match(r"(?:claims )?[a-z-]+", line)[0].split())
            options = re.findall(r"(?<![\w-])--[a-z][\w-]*", line)
            wrong += [f"{page.name}: {line}" for one in options if one not in helps(command)]
    assert wrong == []
