"""The newcomer's path: a clone with nothing beside it, an empty cache, no network; then a wheel.

Every step works, or ends with one sentence that says what it needs. The environment of the tests is
used again instead of a new one: what is new is the clone, the cache and the folder of the wheel.
"""

import os
import re
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NTKLAB = "from ntklab.cli.main import main; main()"
# A port where nothing listens: whatever asks for the network fails at once.
NOWHERE = "http://127.0.0.1:9"

if not (ROOT / ".git").exists():
    pytest.skip("there is no repository to clone", allow_module_level=True)


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """What a newcomer gets: the committed files, and changes of them that are not committed yet."""
    place = tmp_path_factory.mktemp("newcomer") / "ntklab"
    _run(["git", "clone", "--quiet", "--depth", "1", f"file://{ROOT}", str(place)])
    changed = subprocess.run(
        ["git", "diff", "--binary", "HEAD"], cwd=ROOT, capture_output=True, check=True
    ).stdout
    if changed:
        subprocess.run(["git", "apply", "-"], cwd=place, input=changed, check=True)
    assert not (place.parent / "shared").exists()
    return place


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """An environment without cache, shared data, proxies that lead anywhere, or our own tree."""
    ours = ("NTKLAB", "PYTHONPATH", "HF")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    cache = str(tmp_path_factory.mktemp("cache"))
    return kept | {
        **{"XDG_CACHE_HOME": cache, "HF_HOME": cache, "HF_HUB_OFFLINE": "1"},
        **{"http_proxy": NOWHERE, "https_proxy": NOWHERE, "no_proxy": "", "MPLBACKEND": "Agg"},
        **{"OMP_NUM_THREADS": "1", "MPLCONFIGDIR": cache},
    }


def _run(words, *, check=True, **options):
    done = subprocess.run(words, capture_output=True, text=True, check=False, **options)
    if check:
        assert done.returncode == 0, done.stderr[-3000:]
    return done


def _program(line, alone, *, folder, on_path, check=True):
    words = [sys.executable, "-c", NTKLAB, *shlex.split(line)[1:]]
    return _run(words, cwd=folder, env=alone | {"PYTHONPATH": str(on_path)}, check=check)


def _commands(page):
    blocks = "".join(re.findall(r"```(?:bash|console)\n(.*?)```", page.read_text("utf-8"), re.S))
    return sorted(set(re.findall(r"^(ntklab .*?)\s*(?:#.*)?$", blocks, re.MULTILINE)))


def test_the_python_of_the_readme_runs(clone, alone):
    blocks = re.findall(r"```python\n(.*?)```", (clone / "README.md").read_text("utf-8"), re.S)
    env = alone | {"PYTHONPATH": str(clone)}
    done = _run([sys.executable, "-c", "\n".join(blocks)], cwd=clone, env=env)
    assert "rank" in done.stdout


@pytest.mark.parametrize("line", _commands(ROOT / "README.md"))
def test_a_command_of_the_readme_plans_or_says_what_it_needs(line, clone, alone):
    """Those that compute say what they would do; the rest run."""
    help_text = _program(f"{' '.join(line.split()[:2])} --help", alone, folder=clone, on_path=clone)
    if "--dry-run" in help_text.stdout:
        line += " --dry-run"
    elif line.split()[1] in ("check", "figures", "reproduce", "bench"):
        pytest.skip("computes for minutes and has tests of its own")
    done = _program(line, alone, folder=clone, on_path=clone, check=False)
    assert "Traceback" not in done.stderr
    assert done.returncode == 0 or (done.returncode == 2 and done.stderr.startswith("Error: "))


def test_the_notebook_of_the_language_model_runs_on_its_stand_in(clone, alone):
    """In its own size of windows, which the stand-in's text must hold; few steps."""
    pytest.importorskip("nbclient", reason="needs the extra notebooks")
    pytest.importorskip("transformers", reason="needs the extra hf")
    code = (
        "import build\n"
        "(twin,) = build.twins(['07'])\n"
        "small = {'STEPS': 2, 'SAMPLES': 6, 'BATCH': 32}\n"
        "notebook = build.with_parameters(build.read(twin), small)\n"
        "done = build.execute(notebook, threads=1, timeout=300)\n"
        "assert 'the real model is absent' in str(done)\n"
    )
    env = alone | {"PYTHONPATH": f"{clone}{os.pathsep}{clone / 'notebooks'}"}
    _run([sys.executable, "-c", code], cwd=clone / "notebooks", env=env)


def test_every_notebook_says_in_one_line_what_it_needs(clone):
    for twin in sorted((clone / "notebooks").glob("[0-9][0-9]-*.md")):
        needs = [
            line for line in twin.read_text("utf-8").splitlines() if line.startswith("*Needs: ")
        ]
        assert len(needs) == 1, twin.name


@pytest.fixture(scope="module")
def wheel(clone, tmp_path_factory):
    """The wheel, unpacked into a folder of its own."""
    out = tmp_path_factory.mktemp("wheel")
    words = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(out), "."]
    try:
        import hatchling  # noqa: F401
    except ImportError:
        built = _run(words, cwd=clone, check=False)
        if built.returncode:
            pytest.skip("building a wheel needs hatchling, or a package index to take it from")
    else:
        _run([*words, "--no-build-isolation"], cwd=clone)
    (path,) = out.glob("*.whl")
    target = out / "installed"
    with zipfile.ZipFile(path) as archive:
        archive.extractall(target)
    return target


def test_the_wheel_holds_two_packages_and_the_marker_of_types(wheel):
    tops = {path.name for path in wheel.iterdir() if not path.name.endswith(".dist-info")}
    assert tops == {"ntklab", "paper_checks"}
    assert (wheel / "ntklab" / "py.typed").is_file()


def test_the_wheel_works_in_an_empty_folder(wheel, alone, tmp_path):
    code = (
        "import ntklab, torch\n"
        "head = ntklab.build_adapter('lora', 8, 2, rank=2, seed=0, dtype=torch.float64)\n"
        "print(ntklab.__file__, ntklab.spectrum(ntklab.jacobian(head, torch.randn(5, 8).double())))"
    )
    env = alone | {"PYTHONPATH": str(wheel)}
    done = _run([sys.executable, "-c", code], cwd=tmp_path, env=env)
    assert str(wheel) in done.stdout
    assert "rank" in done.stdout
    listed = _program("ntklab check --list", alone, folder=tmp_path, on_path=wheel)
    assert "tensorguide" in listed.stdout
    _program("ntklab info --method lora", alone, folder=tmp_path, on_path=wheel)
    assert not list(tmp_path.iterdir())


def test_figures_from_a_wheel_say_what_makes_their_records(wheel, alone, tmp_path):
    done = _program("ntklab figures bounds", alone, folder=tmp_path, on_path=wheel, check=False)
    assert done.returncode == 2
    assert "make it with ntklab bounds" in done.stderr
    assert not list(tmp_path.iterdir())
