import subprocess
import sys

import pytest

from ntklab.cli import config_file, console, options
from ntklab.cli.main import app

COMMANDS = [command.callback.__name__.replace("_", "-") for command in app.registered_commands]
HEAVY = ("torch", "numpy", "scipy", "matplotlib", "seaborn", "transformers", "rich.table")


@pytest.mark.parametrize("arguments", [["--help"], ["spectrum", "--help"], ["--version"]])
def test_help_loads_nothing_heavy(arguments):
    code = (
        "import sys\n"
        "from ntklab.cli.main import app\n"
        f"try: app({arguments!r})\n"
        "except SystemExit as stop: assert not stop.code\n"
        f"print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_two_copyable_examples(run, command):
    text = run(command, "--help").stdout
    examples = [line.strip() for line in text.splitlines() if line.startswith("    ntklab ")]
    assert len(examples) >= 2
    for example in examples:
        assert example.startswith(f"ntklab {command} ")
        words = example.split()[2:]
        for option in (word for word in words if word.startswith("--")):
            assert option in text  # each option of an example exists


def test_common_options_are_the_same_everywhere(run):
    spectrum, info = run("spectrum", "--help").stdout, run("info", "--help").stdout
    for option in ("--method", "--preset", "--width", "--tt-ranks", "--format", "--config"):
        assert option in spectrum
        assert option in info


def test_without_arguments_the_commands_are_listed(run):
    text = run().output
    for command in COMMANDS:
        assert command in text


def test_completion_knows_the_methods():
    code = "import sys; sys.argv = ['ntklab']\nfrom ntklab.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={
            "_NTKLAB_COMPLETE": "complete_bash",
            "COMP_WORDS": "ntklab spectrum --method te",
            "COMP_CWORD": "3",
            "PATH": "",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert "tensorguide" in done.stdout.split()


def test_ctrl_c_anywhere_is_130(run, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(options.Show, "check", stop)
    result = run("info")
    assert result.exit_code == 130
    assert result.stderr == "stopped.\n"


class Terminal:
    """A stderr that somebody watches."""

    def __init__(self):
        self.text = ""

    def isatty(self):
        return True

    def write(self, text):
        self.text += text

    def flush(self):
        pass


def test_progress_and_notes_go_to_a_terminal_alone(monkeypatch, capsys):
    console.note("not seen")
    with console.progress_bar() as progress:
        assert progress is None
    assert capsys.readouterr().err == ""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    console.note("seen")
    with console.progress_bar() as progress:
        progress(0, 1, None)
    assert "seen" in terminal.text
    assert capsys.readouterr().out == ""


def test_values_of_a_file_are_what_the_command_line_would_give():
    assert config_file._as_given([1, 2], multiple=False) == "1,2"
    assert config_file._as_given("lora", multiple=True) == ["lora"]
    assert config_file._as_given(["a"], multiple=True) == ["a"]
    assert config_file._as_given(3, multiple=False) == 3


def test_the_list_of_commands_says_whole_sentences(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    commands = run("--help").stdout.split("Commands:")[1]
    assert "..." not in commands
    assert "and the smallest eigenvalue with its error." in " ".join(commands.split())
