import pytest
from typer.testing import CliRunner

from ntklab.cli.main import app


@pytest.fixture
def run():
    """Run `ntklab` in this process; the result has exit_code, stdout and stderr."""

    def call(*arguments, **options):
        return CliRunner().invoke(app, [str(a) for a in arguments], **options)

    return call


@pytest.fixture
def small():
    """Options of a spectrum that takes no time."""
    return ("--task", "synthetic", "--samples", "8", "--device", "cpu")
