"""The catalogue against a folder of small records, and against the committed figures."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from ntklab.cli.commands.figures import FIGURE_NAMES, draw_figures
from ntklab.errors import InputError
from ntklab.experiments.manifest import MANIFEST, sized
from ntklab.experiments.training.panel import PANEL
from ntklab.figures import catalogue, draw_plate, plate, write_index
from ntklab.figures.catalogue import of_gpu
from ntklab.records import Record
from ntklab.reproduce.training_page import END_TO_END

COMMITTED = Path(__file__).parents[2] / "figures"
RECORDS = COMMITTED / "records"
# Records of training have an owner of their own, who draws them again.
MINE = [one for one in catalogue() if not any("pairs" in name for name in (*one.needs, *one.uses))]
# The panel of the prompt task takes hours: until its record is there, its figures wait for it.
DRAWN = [one for one in catalogue() if one.needs != (PANEL,) or (RECORDS / PANEL).exists()]


def bounds_record():
    row = {
        "kind": "bound", "method": "lora", "name": "trace", "value": 2.0, "measured": 0.5,
        "vacuous": False, "seed": 0, "equation": "18", "form": "paper", "direction": "upper",
        "task": "synthetic", "samples": 8,
    }  # fmt: skip
    made = {
        "versions": dict.fromkeys(("python", "torch", "numpy", "scipy", "ntklab"), "1"),
        "device": "cpu", "dtype": "float64", "threads": 1, "commit": "0123456789", "dirty": False,
        "started": "2026-01-02T03:04:05+00:00", "seconds": 1.0,
    }  # fmt: skip
    return Record("bounds", {"samples": 8}, made, [row])


def test_the_program_names_every_figure():
    assert tuple(one.name for one in catalogue()) == FIGURE_NAMES
    for one in catalogue():
        assert {*one.needs, *one.uses} <= MANIFEST.keys()


def test_a_figure_is_four_files_and_its_caption_says_where_it_comes_from(tmp_path):
    bounds_record().write(tmp_path / "records" / "bounds")
    paths = draw_plate(plate("bounds"), tmp_path / "records", tmp_path / "out")
    assert [path.name for path in paths] == [
        f"bounds.{kind}" for kind in ("pdf", "png", "csv", "md")
    ]
    caption = paths[-1].read_text()
    assert "N = 8 samples, one seed, so no interval" in caption
    assert "`bounds` (ntklab bounds, commit 0123456, 2026-01-02)" in caption
    index = write_index(tmp_path / "out").read_text()
    assert "![Every bound beside what it bounds](bounds.png)" in index
    assert caption.strip() in index
    assert "architecture" not in index  # not drawn here


def test_an_absent_record_is_named_with_the_command_that_makes_it(tmp_path):
    for name, record in (("bounds", "bounds"), ("drift", "dynamics-lora")):
        with pytest.raises(InputError) as refused:
            draw_plate(plate(name), tmp_path, tmp_path)
        told = f"holds no record '{record}'; make it with  {MANIFEST[record].line()} --out "
        assert told in str(refused.value)
    with pytest.raises(InputError, match="did you mean 'conditioning'"):
        plate("condition")


@pytest.mark.parametrize("name", [one.name for one in MINE if one.needs or one.uses])
def test_a_record_of_another_command_gives_a_sentence(name, tmp_path):
    one = plate(name)
    other = bounds_record() if name != "bounds" else Record("x", {}, bounds_record().provenance, [])
    for record in (*one.needs, *one.uses[:1]):
        other.write(tmp_path / "records" / record)
    with pytest.raises(InputError, match=r"(make it with|holds no|has no)"):
        draw_plate(one, tmp_path / "records", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", [one.name for one in MINE if one in DRAWN])
def test_committed_figures_show_their_committed_records(name):
    """The CSV beside each figure is the table of its records: nothing is kept by hand."""
    one = plate(name)
    there = [n for n in (*one.needs, *one.uses) if (RECORDS / n / "record.json").exists()]
    records = {record: Record.read(RECORDS / record) for record in there}
    figure, table = one.draw(records, venue="neurips")
    figure.draw_without_rendering()
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert min(box.x0, box.y0) >= -0.02, "something is clipped"
    assert box.x1 <= width + 0.02, "something is clipped"
    assert box.y1 <= height + 0.02, "something is clipped"
    with (COMMITTED / f"{name}.csv").open(newline="") as file:
        kept = list(csv.DictReader(file))
    assert len(kept) == len(table)
    for row, drawn in zip(kept, table, strict=True):
        for key, value in drawn.items():
            if isinstance(value, float):
                assert float(row[key]) == pytest.approx(value, rel=1e-9, abs=1e-300), key
            else:
                assert row[key] == ("" if value is None else str(value)), key
    caption = (COMMITTED / f"{name}.md").read_text()
    assert caption.startswith(one.caption(records))
    assert ("seeds" in caption) or ("seed" in caption)


def test_the_index_shows_every_committed_figure():
    index = (COMMITTED / "README.md").read_text()
    for one in DRAWN:
        assert f"({one.name}.png)" in index
        assert (COMMITTED / f"{one.name}.pdf").exists()


def test_committed_records_are_small_clean_and_made_by_the_command_of_the_manifest():
    needed = {name for one in catalogue() for name in (*one.needs, *one.uses)}
    assert {one.record for one in sized("full")} == needed | {END_TO_END}
    for entry in (
        one for one in sized("full") if one.record != PANEL or (RECORDS / PANEL).exists()
    ):
        record = json.loads((RECORDS / entry.record / "record.json").read_text())
        assert record["command"] == entry.line().split()[1], entry.record
        assert record["provenance"]["dirty"] is False, entry.record
    assert sum(path.stat().st_size for path in RECORDS.rglob("*")) < 16e6


def test_records_of_a_gpu_have_figures_of_their_own(tmp_path):
    """Beside those of the CPU, with the device; without such a record nothing is said of it."""
    assert {"table3-gpu", "prompt-accuracy-gpu"} <= {one.name for one in of_gpu()}
    assert plate("table3-gpu").missing(RECORDS).endswith("make it with  ntklab gpu-records.")
    record = Record.read(RECORDS / "table3")
    made = replace(record, provenance={**record.provenance, "device": "cuda:0"})
    made.write(tmp_path / "records" / "table3-gpu")
    paths = draw_figures(["all"], tmp_path / "records", tmp_path / "out")
    drawn = {path.stem for path in paths}
    assert "table3-gpu" in drawn
    assert "table3" not in drawn
    assert (
        "Measured on cuda:0. Record: `table3-gpu`" in (tmp_path / "out/table3-gpu.md").read_text()
    )
    assert "table3-gpu.png" in (tmp_path / "out" / "README.md").read_text()


def test_figures_of_one_method_have_one_colour(monkeypatch):
    """A method's colour in the figures of kernels and of training is that of its style."""
    from ntklab.figures.drift import drift_figure
    from ntklab.figures.style import METHODS

    there = [n for n in plate("drift").uses if "pairs" not in n]
    records = {name: Record.read(RECORDS / name) for name in there}
    figure, _ = drift_figure(records)
    drawn = {(line.get_color(), line.get_marker()) for line in figure.axes[0].lines}
    assert {(style.colour, style.marker) for style in METHODS.values()} <= drawn
