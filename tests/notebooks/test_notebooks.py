"""Every notebook runs as it stands with small parameters, and its committed outputs are its own."""

import base64
import importlib.util
import io
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

for needed in ("jupytext", "nbclient", "ipykernel", "transformers"):
    pytest.importorskip(needed, reason="the extras notebooks and hf are not installed")

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"

# Small enough that all of them together take little; the same cells, the same assertions.
SMALL = {
    "01": {"IMAGES": 60, "SAMPLES": 24, "SEEDS": 1},
    "02": {
        "IMAGES": 60,
        "SAMPLES": 16,
        "SEEDS": 2,
        "GAUGE_SAMPLES": 5,
        "GAUGE_POINTS": 3,
        "WIDE_SAMPLES": (60, 66),
    },
    "03": {"STEPS": 12, "ALPHAS": (1, 100), "ADAM_STEPS": 6, "IMAGES": 60, "SAMPLES": 10},
    "04": {
        "IMAGES": 60,
        "SAMPLES": 20,
        "SIZES": (8, 20),
        "EASY_SIZES": (20, 40),
        "DRAWS": 50,
        "EPOCHS": 1,
    },
    "05": {"WIDTHS": (8, 16), "STEPS": 10, "SAMPLES": 256, "SEEDS": 1, "BIG": 1024},
    "06": {"IMAGES": 60, "SAMPLES": 12, "TOKENS": 5, "SEQUENCES": 3},
    "07": {
        "MODEL": "small",
        "CONTEXT": 24,
        "TRAIN_WINDOWS": 2,
        "TEST_WINDOWS": 2,
        "SAMPLES": 6,
        "STEPS": 3,
        "BATCH": 16,
    },
    "08": {"MODEL": "small", "STEPS": 3},
    "09": {"SHOTS": 4, "VALID": 4, "TEST": 16, "STEPS": 8, "RATES": (0.003, 0.03)},
}
NUMBERS = sorted(SMALL)

# A path from the root of some machine, however it is written.
ABSOLUTE = re.compile(r"(?<![\w.\-/:])/(?:home|root|work|tmp|usr|opt|Users|private|var)/\w")


def _module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("notebook_build", FOLDER / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


build = _module()


def _twin(number: str) -> Path:
    (twin,) = build.twins([number])
    return twin


def _committed(number: str):
    import nbformat

    return nbformat.read(_twin(number).with_suffix(".ipynb"), as_version=4)


def _texts(notebook) -> str:
    """Everything that a reader can see of the outputs, pictures left out."""
    seen = []
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            seen.append(output.get("text", ""))
            seen += [
                str(v) for k, v in output.get("data", {}).items() if not k.startswith("image/")
            ]
    return "\n".join(seen)


def test_every_notebook_has_small_parameters():
    assert [twin.name[:2] for twin in build.twins()] == NUMBERS


@pytest.mark.parametrize("number", NUMBERS)
def test_runs_with_small_parameters(number):
    notebook = build.with_parameters(build.read(_twin(number)), SMALL[number])
    done = build.execute(notebook, threads=1, timeout=300)
    outputs = [output for cell in done.cells for output in cell.get("outputs", ())]
    assert not [output for output in outputs if output.output_type == "error"]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert any("text/markdown" in output.get("data", {}) for output in outputs)


@pytest.mark.parametrize("number", NUMBERS)
def test_notebook_and_twin_are_in_step(number):
    committed, twin = _committed(number), build.read(_twin(number))
    for name in ("cell_type", "source", "id"):
        assert [cell[name] for cell in committed.cells] == [cell[name] for cell in twin.cells]
    tags = [[cell.metadata.get("tags", []) for cell in one.cells] for one in (committed, twin)]
    assert tags[0] == tags[1]


@pytest.mark.parametrize("number", NUMBERS)
def test_committed_outputs_are_whole_and_light(number):
    path = _twin(number).with_suffix(".ipynb")
    notebook = _committed(number)
    assert path.stat().st_size < build.LARGEST_BYTES
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell.outputs]
    assert not [one for one in outputs if one.output_type == "error"]
    # A warning or a progress bar on stderr is not what a reader came for.
    assert not [one for one in outputs if one.get("name") == "stderr"]
    assert sum("image/png" in one.get("data", {}) for one in outputs) >= 2
    assert not ABSOLUTE.search(path.read_text("utf-8"))
    assert not ABSOLUTE.search(_twin(number).read_text("utf-8"))


@pytest.mark.parametrize("number", NUMBERS)
def test_every_computed_number_is_a_number(number):
    """Prose is computed by f-strings: nan, inf or an object's address in it is a defect."""
    text = _texts(_committed(number))
    assert not re.search(r"\b(nan|inf)\b|object at 0x|<Figure", text.replace("<Figure size", ""))


@pytest.mark.parametrize("number", NUMBERS)
def test_pictures_are_not_blank(number):
    from PIL import Image

    for cell in _committed(number).cells:
        for output in cell.get("outputs", ()):
            if encoded := output.get("data", {}).get("image/png"):
                image = Image.open(io.BytesIO(base64.b64decode(encoded))).convert("L")
                low, high = image.getextrema()
                assert high - low > 128
                assert image.width >= 600


def test_absolute_paths_are_recognized():
    assert ABSOLUTE.search('open("/' + 'home/someone/x")')
    assert not ABSOLUTE.search("../../shared/data/wikitext-2 and https://x.org/home/page a/tmp/b")


def test_unknown_parameters_are_refused():
    with pytest.raises(KeyError, match="SAMPELS"):
        build.with_parameters(build.read(_twin("01")), {"SAMPELS": 3})


def test_links_between_notebooks_lead_somewhere():
    for page in (*build.twins(), FOLDER / "README.md"):
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text("utf-8")):
            if not target.startswith("http"):
                assert (FOLDER / target).exists(), f"{page.name} points to {target}"
