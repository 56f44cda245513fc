"""Each record's command, by two routes: through the command line, and from the manifest."""

import json
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ntklab import InputError
from ntklab.adapters.spec import SIZES as SHAPES
from ntklab.cli import console
from ntklab.cli.main import app
from ntklab.experiments.grid import AXES
from ntklab.experiments.manifest import MANIFEST, SIZES, sized
from ntklab.experiments.planned import PLANNERS
from ntklab.experiments.run import run
from ntklab.experiments.training.panel import PANEL
from ntklab.reproduce.records_page import records_page

RECORDS = Path(__file__).parents[2] / "figures" / "records"
MADE = [(one.record, size) for size in SIZES for one in sized(size)]
# The panel may wait for its record.
HERE = [one.record for one in sized("full") if one.record != PANEL or (RECORDS / PANEL).is_dir()]


@pytest.fixture
def asked(monkeypatch):
    """What a command line asks the runner to compute; nothing is computed."""

    class Asked(Exception):
        pass

    def stop(experiment, configs, how):
        raise Asked(experiment, list(configs))

    def ask(line):
        result = CliRunner().invoke(app, shlex.split(line)[1:])
        assert isinstance(result.exception, Asked), (line, result.stderr)
        return result.exception.args

    monkeypatch.setattr(console, "run", stop)
    return ask


@pytest.mark.parametrize(("record", "size"), MADE)
def test_the_command_line_asks_for_what_the_manifest_says(record, size, asked, monkeypatch):
    monkeypatch.setattr("ntklab.experiments.training.language.cell.language_data", lambda *_: None)
    monkeypatch.setattr("ntklab.cli.prompts.read_first", lambda cells: None)
    here = {"device": "cpu"} if size == "gpu" else {}  # a GPU that is not there is refused
    entry = MANIFEST[record]
    experiment, cells = entry.plan(size, **here)
    by_line, configs = asked(entry.line(size, **here))
    assert by_line.name == experiment.name
    assert by_line.cell is experiment.cell
    assert configs == cells


def is_a_part_of_the_panel(config, rows, cells):
    """Some variants of the manifest and no other, each with all of its seeds and its settings."""
    flat = [one.to_dict() for one in cells]
    seeds = {one["seed"] for one in flat}
    asked_for = {(one.variant, seed) for one in cells for seed in seeds}
    measured = [(row["variant"], row["seed"]) for row in rows]
    assert {*measured} == {(name, seed) for name, _ in measured for seed in seeds} <= asked_for
    assert len(measured) == len({*measured})
    assert {name for name, _ in measured} == {*config["variants"]}
    shared = {key for key in flat[0] if len({json.dumps(one[key]) for one in flat}) == 1}
    for key in shared & config.keys() - {"model", "rates", "lr"}:
        assert json.dumps(config[key]) == json.dumps(flat[0][key]), key


@pytest.mark.parametrize("record", [name for name in HERE if name != "table3"])
def test_the_full_size_is_the_configuration_of_the_committed_record(record):
    kept = json.loads((RECORDS / record / "record.json").read_text())
    config, rows = kept["config"], kept["results"]
    _, cells = MANIFEST[record].plan("full")
    flat = [one.to_dict() for one in cells]
    axes = (*AXES, "variants", "settings", "rates", "batch", "lr")
    if record == PANEL:
        axes += ("model",)  # whichever is here: the record names that of its run
        if "--finished" in kept["provenance"]["command_line"].split():
            is_a_part_of_the_panel(config, rows, cells)
            return
        assert {one.variant for one in cells} == {*config["variants"]}
        config.pop("variants")
    for key, value in config.items():  # what all cells share
        if key in flat[0] and key not in axes:
            assert {json.dumps(one[key]) for one in flat} == {json.dumps(value)}, key
    for axis in ("method", "seed", "data_condition"):
        measured = {row[axis] for row in rows if axis in row}
        if measured and axis in flat[0]:
            assert {one[axis] for one in flat} == measured, axis
    if "axes" in config:
        for key in SHAPES:
            asked_for = {json.dumps(one[key]) for one in flat} - {"null"}
            assert asked_for == {json.dumps(value) for value in config["axes"][key]} - {"null"}
    if "variants" in config:
        assert {f"{one.settings}: {one.variant}" for one in cells} == {*config["variants"]}
        assert len({row["cell"] for row in rows}) == len(cells)
    if record == "approximation":
        assert {one["width"] for one in flat} == set(config["widths"])
        for one in flat:
            shared = config[one["target"]]
            assert {key: one[key] for key in shared} == shared


def test_a_quick_form_is_smaller():
    for entry in sized("quick"):
        if entry.full is not None:
            fewer, more = (len(entry.plan(size)[1]) for size in ("quick", "full"))
            assert fewer <= more, entry.record


@pytest.mark.parametrize("record", ["per-core", "dynamics-lora", "dynamics-lora-lazy"])
def test_quick_forms_run(record):
    """The cheapest as they are; the rest run in the tests of `ntklab reproduce`, made smaller."""
    experiment, cells = MANIFEST[record].plan("quick")
    made = run(experiment, cells)
    assert made.command == experiment.name
    assert {row["seed"] for row in made.results} == {one.compute.seed for one in cells}
    assert all(row["reason"] is None for row in made.results)


def test_the_page_of_the_committed_records_is_the_manifest():
    page = (RECORDS / "README.md").read_text(encoding="utf-8")
    assert page == records_page()
    names = {path.name for path in RECORDS.iterdir() if path.is_dir()}
    folders = {name for name in names if not name.endswith("-gpu")}
    assert folders == {*HERE}


def test_an_unknown_size_is_refused():
    with pytest.raises(InputError, match="unknown size 'fast'"):
        MANIFEST["bounds"].plan("fast")
    with pytest.raises(InputError, match="'bounds' has no size 'gpu': it has quick, full"):
        MANIFEST["bounds"].plan("gpu")


def test_a_line_says_what_shells_read():
    line = PLANNERS["sweep"].line(
        {"method": ("all",), "tt_ranks": ((1, 2, 1), (1, 1, 1)), "seed": (0, 3), "per_core": False}
    )
    assert line == "ntklab sweep --method all --tt-ranks 1,2,1 --tt-ranks 1,1,1 --seeds 0,3"
