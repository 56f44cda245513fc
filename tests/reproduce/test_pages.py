"""Pages that stand beside records, and the programs that write them."""

import subprocess
import sys
from pathlib import Path

import pytest

from ntklab.errors import InputError
from ntklab.experiments.manifest import MANIFEST, sized
from ntklab.reproduce.records_page import records_page, write_records_page
from ntklab.reproduce.setting import LEFT_OUT, Setting


def test_the_page_of_records_has_a_line_a_record_and_says_what_a_gpu_lacks(tmp_path):
    page = write_records_page(tmp_path)
    assert page == tmp_path / "README.md"
    text = page.read_text(encoding="utf-8")
    assert text == records_page()
    above, _, below = text.partition("## On a GPU")
    for entry in sized("full"):
        assert f"| `{entry.record}` | `{entry.line('full')}` |" in above
    for entry in sized("gpu"):
        assert f"| `{entry.record}` | `{entry.line('gpu')}` |" in below
    assert "`ntklab gpu-records` makes these" in below


@pytest.mark.parametrize("module", ["records_page", "training_page"])
def test_the_programs_say_how_they_are_called(module):
    command = [sys.executable, "-m", f"ntklab.reproduce.{module}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert f"usage: python -m ntklab.reproduce.{module}" in done.stderr


@pytest.mark.parametrize("quick", [True, False])
def test_a_setting_makes_what_its_size_has(quick):
    setting = Setting(Path("x"), quick=quick)
    names = setting.names()
    assert set(names) | set(LEFT_OUT[setting.size]) >= {one.record for one in sized(setting.size)}
    assert not set(names) & set(LEFT_OUT[setting.size])
    assert setting.names("dynamics") == [name for name in names if name.startswith("dynamics-")]
    assert all(MANIFEST[name].planner == "sweep" for name in setting.names("sweep"))


def test_a_device_that_is_not_there_is_refused_before_anything_is_computed(tmp_path):
    setting = Setting(tmp_path, quick=True, device="quantum")
    with pytest.raises(InputError, match="device 'quantum' is unknown"):
        setting.make("per-core")
    assert list(tmp_path.iterdir()) == []
