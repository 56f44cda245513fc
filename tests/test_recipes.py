"""Every recipe of the docs is short, complete and runs in an empty folder."""

import contextlib
import os
import re
import signal
from pathlib import Path

import matplotlib as mpl
import pytest
import torch

import ntklab

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


#: SLURM's two commands: a job is a process of this machine, in a session of its own.
SBATCH = """#!/bin/sh
for script; do :; done
cp "$script" "$JOBS/$$.sh"
setsid sh "$JOBS/$$.sh" > "$JOBS/$$.out" 2>&1 &
echo $! > "$JOBS/$$.pid"
echo "Submitted batch job $$"
"""
SCANCEL = """#!/bin/sh
for job; do kill -- "-$(cat "$JOBS/$job.pid")"; done
"""


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """`sbatch` and `scancel` on the path; no job outlives the test."""
    (tmp_path / "bin").mkdir()
    for name, text in (("sbatch", SBATCH), ("scancel", SCANCEL)):
        (tmp_path / "bin" / name).write_text(text, encoding="utf-8")
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("JOBS", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    yield tmp_path
    for path in tmp_path.glob("*.pid"):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(int(path.read_text(encoding="utf-8")), signal.SIGKILL)


def test_the_recipe_of_dask_jobqueue_runs_where_a_job_is_a_process(slurm):
    """dask-jobqueue itself, by the lines of the page; of SLURM only its two commands are ours."""
    pytest.importorskip("dask_jobqueue", reason="pip install dask-jobqueue")
    text = (RECIPES / "cluster.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```text\n(from dask_jobqueue.*?)```", text, re.DOTALL)
    scope = {}
    exec(compile(code, "cluster.md", "exec"), scope)
    head = ntklab.build_adapter("lora", 6, 2, rank=1, dtype=torch.float64)
    x = torch.randn(5, 6, dtype=torch.float64)
    with scope["cluster"], scope["client"] as client:
        there = ntklab.ntk(head, x, scheduler=client)
    assert torch.allclose(there, ntklab.ntk(head, x), rtol=1e-12, atol=1e-12)
    jobs = list(slurm.glob("*.sh"))
    assert jobs
    assert all("#SBATCH -t 02:00:00" in job.read_text(encoding="utf-8") for job in jobs)


def test_the_words_for_dask_are_known_to_it():
    pytest.importorskip("distributed", reason="needs the extra cluster")
    from distributed.cli import dask_scheduler, dask_worker

    text = (RECIPES / "cluster.md").read_text(encoding="utf-8")
    for word, module in (("scheduler", dask_scheduler), ("worker", dask_worker)):
        lines = re.findall(rf"dask {word} (.*?)&$", text, re.MULTILINE)
        known = {option for one in module.main.params for option in one.opts}
        assert lines
        assert {option for line in lines for option in re.findall(r"--[a-z-]+", line)} <= known


def test_linearized_training_agrees_with_the_loop_of_the_recipe(capsys):
    scope = {"__name__": "recipe"}
    exec(compile(blocks(RECIPES / "linearized-training.md")[0], "recipe", "exec"), scope)
    numbers = [float(x) for x in re.findall(r"\d+\.\d+", capsys.readouterr().out)]
    assert numbers[0] == pytest.approx(numbers[1], rel=0.02)
