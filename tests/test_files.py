import pytest

from ntklab.errors import InputError
from ntklab.files import check_file, check_folder, whole_file, write_text


def test_a_failing_block_leaves_the_old_file_and_no_temporary(tmp_path):
    target = tmp_path / "a.txt"
    write_text(target, "old")

    def half_write():
        with whole_file(target) as temporary:
            temporary.write_text("ne")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        half_write()
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_folders_are_made_and_a_file_in_the_way_is_named(tmp_path):
    write_text(tmp_path / "deep" / "er" / "a.txt", "x")
    assert (tmp_path / "deep" / "er" / "a.txt").read_text() == "x"
    with pytest.raises(InputError, match="cannot make the folder"):
        write_text(tmp_path / "deep" / "er" / "a.txt" / "b.txt", "x")


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "inside").write_text("x")
    with pytest.raises(InputError, match="cannot write"):
        write_text(tmp_path / "taken", "x")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_places_are_judged_without_being_made(tmp_path):
    (tmp_path / "file").write_text("")
    assert check_folder(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert check_file(tmp_path / "a" / "b.md") == tmp_path / "a" / "b.md"
    assert check_file(tmp_path / "file") == tmp_path / "file"
    for check, place in (
        (check_folder, tmp_path / "file"),
        (check_folder, tmp_path / "file" / "run"),
        (check_file, tmp_path),
        (check_file, tmp_path / "file" / "a.md"),
    ):
        with pytest.raises(InputError, match="name"):
            check(place)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
