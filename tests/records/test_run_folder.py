import json

import numpy as np
import pytest

from ntklab.errors import InputError
from ntklab.records import Cell, RunFolder, cell_id
from ntklab.records.run_folder import first_difference

CONFIG = {"samples": 64, "methods": ["lora"]}
CELL = {"method": "lora", "seed": 0}


def stored(seconds=1.0):
    return Cell({"rank": 3}, {"seconds": seconds}, {"eigenvalues": np.arange(3.0)})


def cell_file(folder, suffix="json"):
    return folder.path / "cells" / f"{cell_id(CELL)}.{suffix}"


def test_a_finished_cell_is_found_again(tmp_path):
    RunFolder(tmp_path, CONFIG).save(CELL, stored())
    cell = RunFolder(tmp_path, CONFIG).load(CELL)
    assert cell.row == {"rank": 3, "reason": None}
    assert cell.measured == {"seconds": 1.0}
    np.testing.assert_array_equal(cell.arrays["eigenvalues"], np.arange(3.0))
    assert RunFolder(tmp_path, CONFIG).load({**CELL, "seed": 1}) is None


def test_only_what_was_measured_differs_between_runs(tmp_path):
    one, two = RunFolder(tmp_path / "1", CONFIG), RunFolder(tmp_path / "2", CONFIG)
    one.save(CELL, stored(seconds=1.0))
    two.save(CELL, stored(seconds=2.0))
    texts = [json.loads(cell_file(folder).read_text()) for folder in (one, two)]
    assert [text.pop("measured") for text in texts] == [{"seconds": 1.0}, {"seconds": 2.0}]
    assert texts[0] == texts[1]
    two.save(CELL, stored(seconds=1.0))
    for suffix in ("json", "safetensors"):
        assert cell_file(one, suffix).read_bytes() == cell_file(two, suffix).read_bytes()


def test_another_configuration_is_refused_and_nothing_changes(tmp_path):
    RunFolder(tmp_path, CONFIG).save(CELL, stored())
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(InputError, match="samples = 64, not 32") as caught:
        RunFolder(tmp_path, {**CONFIG, "samples": 32})
    assert "--out" in str(caught.value)
    assert "--force" in str(caught.value)
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}


def test_force_forgets_the_cells_and_nothing_else(tmp_path):
    folder = RunFolder(tmp_path, CONFIG)
    folder.save(CELL, stored())
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "cells" / "notes.txt").write_text("mine too")
    again = RunFolder(tmp_path, {**CONFIG, "samples": 32}, force=True)
    assert again.load(CELL) is None
    assert (tmp_path / "notes.txt").exists()
    assert (tmp_path / "cells" / "notes.txt").exists()


@pytest.mark.parametrize("broken", ["json", "safetensors", "absent arrays", "no row"])
def test_a_half_written_or_damaged_cell_is_computed_again(tmp_path, broken):
    folder = RunFolder(tmp_path, CONFIG)
    folder.save(CELL, stored())
    if broken == "absent arrays":
        cell_file(folder, "safetensors").unlink()
    elif broken == "no row":
        cell_file(folder).write_text('{"config": {}}')
    else:
        half = cell_file(folder, broken).read_bytes()[:20]
        cell_file(folder, broken).write_bytes(half)
    assert folder.load(CELL) is None


def test_a_temporary_left_by_a_killed_run_is_not_a_cell(tmp_path):
    folder = RunFolder(tmp_path, CONFIG)
    folder.save(CELL, stored())
    cell_file(folder).rename(folder.path / "cells" / f".{cell_id(CELL)}.json.ab12.tmp")
    assert folder.load(CELL) is None


def test_a_file_where_a_folder_should_be(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(InputError, match="is a file"):
        RunFolder(tmp_path / "out", CONFIG)


def test_the_first_difference_is_named_by_its_whole_path():
    assert first_difference({"a": [1], "b": 1}, {"a": [2], "b": 2}) == ("a", "[1]", "[2]")
    assert first_difference({"a": {"b": 1}}, {}) == ("a", "{'b': 1}", "None")
    assert first_difference({"a": 1, "b": {"c": 1}}, {"a": 1, "b": {"c": None}})[0] == "b.c"
