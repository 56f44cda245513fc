import json

import pytest

from ntklab.records import Record, check_record

TINY = (
    *("--width", "4:16", "--tt-ranks", "1,2,2,1,1", "--samples", "64", "--steps", "10"),
    *("--jobs", "1", "--device", "cpu"),
)
BARRON = ("--target", "barron", *TINY)


def test_json_is_one_valid_record_of_both_targets(run):
    result = run("approx", "--quick", "--task", "synthetic", "--format", "json", *TINY)
    assert result.exit_code == 2  # a synthetic task has no number of images
    assert "images" in result.stderr
    result = run("approx", "--quick", "--format", "json", *BARRON)
    assert result.exit_code == 0, result.stderr
    record = json.loads(result.stdout)
    check_record(record)
    kinds = [row["kind"] for row in record["results"]]
    assert kinds == ["dense", "truncation", "linear", "adapter"] * 2
    assert record["config"]["barron"]["steps"] == 10
    assert record["config"]["widths"] == [4, 16]


def test_a_folder_is_resumed_and_grows(run, tmp_path):
    assert run("approx", *BARRON, "--out", tmp_path).exit_code == 0
    times = {path: path.stat().st_mtime_ns for path in tmp_path.glob("cells/*")}
    more = run("approx", *BARRON, "--seeds", "0:2", "--out", tmp_path)
    assert more.exit_code == 0, more.stderr
    now = {path: path.stat().st_mtime_ns for path in tmp_path.glob("cells/*")}
    assert times.items() <= now.items()
    assert len(now) == 2 * len(times) == 12
    assert len(Record.read(tmp_path).results) == 16
    other = run("approx", *BARRON, "--steps", "11", "--out", tmp_path)
    assert other.exit_code == 2
    assert "barron.steps = 10, not 11" in other.stderr


def test_a_plot_comes_with_its_numbers_and_the_table_names_every_term(run, tmp_path):
    result = run("approx", *BARRON, "--plot", tmp_path / "a.pdf")
    assert result.exit_code == 0, result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.json", "a.pdf", "a.png"]
    for word in ("C/√M", "ε_TT/‖w‖", "eq 8", "eq 9", "adapter"):
        assert word in result.stdout


def test_a_dry_run_lists_the_networks_and_trains_none(run, tmp_path):
    out = tmp_path / "run"
    result = run("approx", "--quick", "--dry-run", "--out", out)
    assert result.exit_code == 0, result.stderr
    assert "4096" in result.stdout
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--target", "baron"), "did you mean 'barron'"),
        (("--tt-ranks", "2,2,1"), "ranks"),
        (("--width", "0"), "'0'"),
        (("--plot", "a.gif"), "a.gif"),
    ],
)
def test_bad_input_is_one_sentence(run, arguments, words, tmp_path):
    result = run("approx", *BARRON, *arguments, "--out", tmp_path / "run")
    assert result.exit_code == 2
    assert words in result.stderr
    assert result.stderr.count("\n") == 1
