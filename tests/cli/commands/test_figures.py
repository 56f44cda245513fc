import pytest

from ntklab.figures import catalogue


def test_figures_of_shapes_need_no_records(run, tmp_path):
    result = run("figures", "architecture", "--records", tmp_path, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.stderr
    written = {line.rsplit("/", 1)[-1] for line in result.stdout.split()}
    assert written == {f"architecture.{kind}" for kind in ("pdf", "png", "csv", "md")} | {
        "README.md"
    }
    assert "LoRA 2056" in (tmp_path / "out" / "README.md").read_text()


def test_all_leaves_out_what_has_no_record_with_a_sentence(run, tmp_path):
    result = run("figures", "--records", tmp_path, "--out", tmp_path / "out", "--venue", "tmlr2023")
    assert result.exit_code == 0, result.stderr
    absent = [one.name for one in catalogue() if one.needs or one.uses]
    for name in absent:
        assert f"left out {name}: " in result.stderr
        assert not (tmp_path / "out" / f"{name}.png").exists()
    assert "make it with  ntklab bounds --method all" in result.stderr
    assert result.stderr.count("`ntklab reproduce` makes the records of the project") == 1
    assert (tmp_path / "out" / "shapes.png").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("drifts",), "unknown figure 'drifts': did you mean 'drift'?"),
        (("shapes", "--venue", "neurip"), "unknown venue 'neurip': did you mean 'neurips'?"),
        (("bounds",), "holds no record 'bounds'; make it with ntklab bounds"),
    ],
)
def test_what_cannot_be_drawn_is_one_sentence(run, tmp_path, arguments, sentence):
    result = run("figures", *arguments, "--records", tmp_path, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()
