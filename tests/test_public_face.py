"""What a user meets at the surface: types that mypy sees, short reprs, an import that is cheap."""

import dataclasses
import importlib
import inspect
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = (
    *("tasks", "tensor_train", "adapters", "adapters.inject", "jacobians", "spectra", "bounds"),
    *("dynamics", "training", "records", "statistics", "testing", "figures"),
)
HOLDS_MUCH = ("Tensor", "Float[", "Int[", "Shaped[", "ndarray", "NDArray")

# Beside those that Python has loaded before: torch and numpy alone are more than a thousand.
MOST_MODULES = 60

SCRIPT = """\
import torch, ntklab
model = torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))
J = ntklab.jacobian(model, torch.randn(5, 8))
s = ntklab.spectrum(J)
reveal_type(J); reveal_type(s); reveal_type(s.lambda_min); reveal_type(s.to_frame)
"""


def public_classes():
    for package in PACKAGES:
        module = importlib.import_module(f"ntklab.{package}")
        for name in getattr(module, "__all__", ()):
            thing = getattr(module, name)
            if inspect.isclass(thing):
                yield pytest.param(thing, id=f"{package}.{name}")


@pytest.mark.parametrize("cls", list(public_classes()))
def test_every_public_class_has_a_short_repr(cls):
    if inspect.isabstract(cls) or getattr(cls, "_is_protocol", False):
        pytest.skip("has no instances of its own")
    assert cls.__repr__ is not object.__repr__, "write a __repr__ of one line"
    made_by_dataclass = hasattr(cls.__repr__, "__wrapped__")
    if dataclasses.is_dataclass(cls) and made_by_dataclass:
        heavy = [
            field.name
            for field in dataclasses.fields(cls)
            if field.repr and any(word in str(field.type) for word in HOLDS_MUCH)
        ]
        assert not heavy, f"prints the entries of {heavy}: take ntklab.display.ShortRepr"


def test_mypy_sees_the_types_of_a_five_line_script(tmp_path):
    """As a user's mypy does: from outside, through the marker `py.typed`."""
    pytest.importorskip("mypy")
    assert (ROOT / "ntklab" / "py.typed").is_file()
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    # The cache of `make lint`, which has read torch already; without it this takes a minute.
    cache = os.environ.get("MYPY_CACHE_DIR", str(ROOT / ".mypy_cache"))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml")),
            *("--cache-dir", cache, str(script)),
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    for type_ in (
        *("ntklab.jacobians.operator.Jacobian", "ntklab.spectra.result.Spectrum"),
        *('"float"', "DataFrame"),
    ):
        assert type_ in done.stdout or type_.replace("DataFrame", "Any") in done.stdout, done.stdout
    assert "error" not in done.stdout, done.stdout
    assert done.stdout.count("Revealed type") == 4


def test_importing_ntklab_loads_a_handful_of_modules():
    """By count, since a clock depends on the machine: 0.1 s is that of a hundred small modules."""
    code = "import sys; before = set(sys.modules); import ntklab; print(*set(sys.modules) - before)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    loaded = done.stdout.split()
    assert len(loaded) <= MOST_MODULES, sorted(loaded)
    assert not {name.partition(".")[0] for name in loaded} & {"torch", "numpy", "scipy", "numba"}


def test_one_version_everywhere_and_a_dated_entry_of_the_changelog():
    import ntklab

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == ntklab.__version__
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {ntklab.__version__}\n" in citation
    (date,) = re.findall(r"date-released: (\S+)", citation)
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"\n## [{ntklab.__version__}] - {date}\n" in changelog
