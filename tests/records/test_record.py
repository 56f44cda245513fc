import json

import numpy as np
import pytest

from ntklab.errors import InputError
from ntklab.records import Record


@pytest.fixture
def record(spectrum_row, provenance):
    arrays = {"a.eigenvalues": np.array([2.0, 1.0]), "b.eigenvalues": np.zeros((0,))}
    return Record("spectrum", {"samples": 32, "ranks": (1, 2)}, provenance, [spectrum_row], arrays)


def test_what_is_written_is_read(record, tmp_path):
    path = record.write(tmp_path / "run")
    again = Record.read(tmp_path / "run")
    assert again.to_json("record.safetensors") == path.read_text()
    assert again.config == {"samples": 32, "ranks": [1, 2]}
    for name, array in record.arrays.items():
        np.testing.assert_array_equal(again.arrays[name], array)
        assert again.arrays[name].dtype == array.dtype


def test_equal_records_are_equal_bytes(record, tmp_path):
    for name in ("one", "two"):
        record.write(tmp_path / name)
    for file in ("record.json", "record.safetensors"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_a_record_without_arrays_has_no_arrays_file(spectrum_row, provenance, tmp_path):
    Record("spectrum", {}, provenance, [spectrum_row]).write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["record.json"]
    assert Record.read(tmp_path).arrays == {}


def test_infinity_becomes_null_with_a_reason(spectrum_row, provenance):
    spectrum_row["condition"] = float("inf")
    row = json.loads(Record("spectrum", {}, provenance, [spectrum_row]).to_json())["results"][0]
    assert row["condition"] is None
    assert row["reason"] == "condition is infinite"


def test_a_bad_record_writes_nothing(record, tmp_path):
    del record.results[0]["rank"]
    with pytest.raises(InputError, match="rank"):
        record.write(tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def damage(folder, what):
    if what == "missing":
        (folder / "record.json").unlink()
    elif what == "arrays missing":
        (folder / "record.safetensors").unlink()
    elif what == "arrays damaged":
        (folder / "record.safetensors").write_bytes(b"\x00" * 9)
    elif what == "half":
        (folder / "record.json").write_text('{"schema": "ntk')
    else:
        (folder / "record.json").write_text('{"schema": "ntklab/0"}')


@pytest.mark.parametrize("what", ["missing", "arrays missing", "arrays damaged", "half", "foreign"])
def test_what_cannot_be_read_is_one_sentence(record, tmp_path, what):
    record.write(tmp_path)
    damage(tmp_path, what)
    with pytest.raises(InputError) as caught:
        Record.read(tmp_path)
    assert str(tmp_path) in str(caught.value)
