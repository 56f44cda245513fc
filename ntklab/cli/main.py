"""The program `ntklab`: commands, and errors as sentences.

Nothing heavy is imported here: `ntklab --help` must answer before torch would be loaded.
"""

import sys
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from ntklab.cli.ending import exit_code, interrupt_on_sigterm
from ntklab.cli.groups import option, spelled_out
from ntklab.cli.options import Program
from ntklab.cli.streams import (
    FAILED,
    as_stdout_holds,
    flush_stdout,
    is_out_of_memory,
    prepare_streams,
    say,
    stdout_lost,
)
from ntklab.errors import InputError

INPUT_ERROR = 2
_WHOLE = 1000  # letters of a sentence: none is as long
_UsageError: Any = typer.BadParameter.__mro__[1]  # typer has click under its own name by now


class _Command(TyperCommand):
    """A command whose help fits any stdout, with options under the headings of what owns them."""

    def get_help(self, ctx: Any) -> str:
        return as_stdout_holds(super().get_help(ctx))

    def invoke(self, ctx: Any) -> Any:
        """Run the command; after Ctrl-C say how to go on, if it keeps what is finished."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            if not {"out", "force"} <= ctx.params.keys():
                raise
            out = ctx.params["out"]
            how = "give --out DIR to keep finished cells" if out is None else f"run it again: {out}"
            raise KeyboardInterrupt(f"stopped; to go on where it stopped, {how}") from None

    def format_options(self, ctx: Any, formatter: Any) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            line = parameter.get_help_record(ctx)
            if line is not None:
                heading = getattr(parameter, "rich_help_panel", None) or "Options"
                sections.setdefault(heading, []).append(line)
        for heading in sorted(sections, key=lambda heading: heading == "Options"):  # last
            with formatter.section(heading):
                formatter.write_dl(sections[heading])


class _Commands(TyperGroup):
    """Turns errors that a person can mend into one sentence and an exit code."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The first sentence of each command, whole: over several lines where it is long."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        lines = [(n, c.get_short_help_str(limit=_WHOLE)) for n, c in commands if c is not None]
        with formatter.section("Commands"):
            formatter.write_dl(lines)

    def get_help(self, ctx: Any) -> str:
        return as_stdout_holds(super().get_help(ctx))

    def make_context(self, *args: Any, **options: Any) -> Any:
        try:
            return super().make_context(*args, **options)
        except OSError as error:  # of --version or --help, whose stdout is lost
            say(stdout_lost(error))
            raise SystemExit(FAILED) from error

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            say(str(stop) or "stopped.")
            raise typer.Exit(exit_code()) from None
        except InputError as error:
            if ctx.meta.get("ntklab.debug"):
                raise
            say(f"Error: {error}")
            raise typer.Exit(INPUT_ERROR) from error
        except _UsageError as error:
            path = error.ctx.command_path if error.ctx else "ntklab"
            say(f"Error: {error.format_message().rstrip('.')}. See {path} --help.")
            raise typer.Exit(INPUT_ERROR) from error
        except (OSError, MemoryError, RuntimeError) as error:
            sentence = _of_the_system(error)
            if sentence is None or ctx.meta.get("ntklab.debug"):
                raise
            say(sentence)
            raise typer.Exit(FAILED) from error


app = typer.Typer(
    name="ntklab",
    cls=_Commands,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _version(value: bool) -> None:
    if value:
        from ntklab import __version__

        sys.stdout.write(f"ntklab {__version__}\n")
        raise typer.Exit


@app.callback()
def _ntklab(
    version: Annotated[
        bool, option("--version", "Say the version.", is_eager=True, callback=_version)
    ] = False,
) -> None:
    """Empirical neural tangent kernels of low-rank adapters, beside what training measures.

    \b
    Examples:
      ntklab spectrum --method tensorguide --method lora --samples 256 --seeds 0:5
      ntklab info --method tensorguide --width 4096
    """


def _of_the_system(error: Exception) -> str | None:
    """A sentence for what the system refuses while a command runs; None for a fault of ours."""
    if is_out_of_memory(error):
        return "Error: the memory of this machine is used up: take smaller sizes or fewer samples."
    if not isinstance(error, OSError) or error.errno is None:
        return None
    if error.filename is None:  # of files, only streams have no name
        return stdout_lost(error)
    return f"Error: {error.filename} cannot be used: {error.strerror}."


# In the order in which data flows; each module has one function, of its own name.
COMMANDS = ("spectrum", "bounds", "approx", "train", "dynamics", "pair", "check")
TOOLS = ("sweep", "figures", "reproduce", "gpu-records", "bench", "info", "show", "list")

for _command in (*COMMANDS, *TOOLS):
    _name = _command.replace("-", "_")
    _function = getattr(import_module(f"ntklab.cli.commands.{_name}"), _name)
    app.command(cls=_Command)(spelled_out(_function, Program))
app.add_typer(import_module("ntklab.cli.commands.claims").claims, name="claims")


def main() -> None:
    """Run the program on the arguments of this process."""
    prepare_streams()
    interrupt_on_sigterm()
    try:
        app()
    except SystemExit as stop:
        sys.exit(flush_stdout(stop.code))
