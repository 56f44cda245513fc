"""The program `ntklab`: commands, and errors as sentences.

Nothing heavy is imported here: `ntklab --help` must answer before torch would be loaded.
"""

import sys
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ntklab.cli.groups import option, spelled_out
from ntklab.cli.options import Program
from ntklab.errors import InputError

INPUT_ERROR, INTERRUPTED = 2, 130
_UsageError: Any = typer.BadParameter.__mro__[1]  # typer has click under its own name by now


class _Commands(TyperGroup):
    """Turns errors that a person can mend into one sentence and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            _say("stopped.")
            raise typer.Exit(INTERRUPTED) from None
        except InputError as error:
            if ctx.meta.get("ntklab.debug"):
                raise
            _say(f"Error: {error}")
            raise typer.Exit(INPUT_ERROR) from error
        except _UsageError as error:
            path = error.ctx.command_path if error.ctx else "ntklab"
            _say(f"Error: {error.format_message().rstrip('.')}. See {path} --help.")
            raise typer.Exit(INPUT_ERROR) from error


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


def _say(text: str) -> None:
    sys.stderr.write(" ".join(text.split()) + "\n")


# In the order in which data flows; each module has one function, of its own name.
COMMANDS = ("spectrum", "bounds", "approx", "train", "dynamics", "pair", "check")
TOOLS = ("sweep", "figures", "reproduce", "bench", "info")

for _command in (*COMMANDS, *TOOLS):
    _function = getattr(import_module(f"ntklab.cli.{_command}"), _command)
    app.command()(spelled_out(_function, Program))
app.add_typer(import_module("ntklab.cli.claims").claims, name="claims")


def main() -> None:
    """Run the program on the arguments of this process."""
    app()
