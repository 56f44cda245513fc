"""Every recipe of the docs is short, complete and runs in an empty folder."""

import re
from pathlib import Path

import matplotlib as mpl
import pytest

RECIPES = Path(__file__).resolve().parents[1] / "docs" / "recipes"
PAGES = sorted(path.stem for path in RECIPES.glob("*.md") if path.stem != "index")
LONGEST = 15


def blocks(page):
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def test_there_are_seven_and_the_index_names_them():
    index = (RECIPES / "index.md").read_text(encoding="utf-8")
    assert len(PAGES) == 7
    assert all(f"\n{name}\n" in index for name in PAGES)


@pytest.mark.parametrize("name", PAGES)
def test_a_recipe_runs_as_it_is_copied(name, tmp_path, monkeypatch, capsys):
    if name == "peft-gpt2":
        pytest.importorskip("peft", reason="needs the extra hf")
    if name == "cluster":
        pytest.importorskip("zarr", reason="needs the extra cluster")
    monkeypatch.chdir(tmp_path)
    mpl.use("Agg")
    code = "\n".join(blocks(RECIPES / f"{name}.md"))
    lines = [line for line in code.splitlines() if line.strip() and not line.startswith("import")]
    assert len(lines) <= LONGEST
    scope = {"__name__": "recipe"}
    exec(compile(code, f"{name}.md", "exec"), scope)  # the page is the program
    printed = capsys.readouterr().out
    assert printed or any(tmp_path.iterdir())
    assert "nan" not in printed


def test_linearized_training_agrees_with_the_loop_of_the_recipe(capsys):
    scope = {"__name__": "recipe"}
    exec(compile(blocks(RECIPES / "linearized-training.md")[0], "recipe", "exec"), scope)
    numbers = [float(x) for x in re.findall(r"\d+\.\d+", capsys.readouterr().out)]
    assert numbers[0] == pytest.approx(numbers[1], rel=0.02)
