"""Pages made when the docs are built: every command and option, every figure with its command."""

import importlib.util
import re
from pathlib import Path

import matplotlib as mpl
import pytest

from ntklab.experiments.manifest import make_line
from ntklab.figures import catalogue

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def generate():
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_command_has_a_page_with_every_option(generate, tmp_path):
    from ntklab.cli.main import COMMANDS, TOOLS

    pages = {path.stem: path.read_text("utf-8") for path in generate.write_command_pages(tmp_path)}
    assert {*COMMANDS, *TOOLS, "index"} <= pages.keys()
    for name, command in generate.commands():
        page = pages[name.replace(" ", "-")]
        for parameter in command.params:
            if parameter.param_type_name == "option" and not parameter.hidden:
                assert all(word in page for word in parameter.opts), (name, parameter.opts)
        assert "```bash\nntklab" in page, name
        assert f"\n{name.replace(' ', '-')}\n" in pages["index"]


def test_the_gallery_has_every_figure_with_its_command(generate, tmp_path):
    page = generate.write_gallery(tmp_path, ROOT / "figures").read_text("utf-8")
    for plate in catalogue():
        if not all((ROOT / "figures" / "records" / record).is_dir() for record in plate.needs):
            assert f"{plate.name}.png" not in page  # waits for its record
            continue
        assert f"ntklab figures {plate.name}" in page
        assert (tmp_path / f"{plate.name}.png").is_file()
        for record in plate.needs or plate.uses:
            assert make_line(record, "runs") in page


def test_links_to_other_projects_need_no_network(generate, tmp_path):
    inventory = pytest.importorskip("sphinx.util.inventory", reason="needs the extra docs")
    for project, (root, path) in generate.write_inventories(tmp_path).items():
        with Path(path).open("rb") as stream:
            found = inventory.InventoryFile.load(stream, root, lambda a, b: a + b)
        classes = found["py:class"] if not hasattr(found, "data") else found.data["py:class"]
        assert f"{project}.{'Tensor' if project == 'torch' else 'ndarray'}" in classes


def test_every_public_package_is_in_the_reference():
    reference = "".join(path.read_text("utf-8") for path in (DOCS / "api").glob("*.md"))
    modules = re.findall(r"automodule:: (\S+)", reference)
    inside = {"cli", "lazy_names", "host_memory", "registry", "compute", "__init__", "__pycache__"}
    for path in (ROOT / "ntklab").iterdir():
        if path.stem not in inside and (path.suffix == ".py" or path.is_dir()):
            assert f"ntklab.{path.stem}" in modules, path.stem


def test_my_own_model_in_ten_lines_runs(tmp_path, monkeypatch, capsys):
    mpl.use("Agg")
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", (DOCS / "own-model.md").read_text("utf-8"), re.S)
    lines = [line for line in code.splitlines() if line.strip()]
    assert len(lines) <= 12
    exec(compile(code, "own-model.md", "exec"), {"__name__": "page"})
    printed = capsys.readouterr().out
    assert "NTK regime" in printed
    assert (tmp_path / "run.csv").is_file()
    assert (tmp_path / "run.png").is_file()
