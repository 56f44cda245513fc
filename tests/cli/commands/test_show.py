"""Every command's table, made of recorded rows, at any width; records shown and listed."""

import json
import re
import shutil
from pathlib import Path

import pytest
import typer

from ntklab.cli.main import app
from ntklab.tables.terminal import letters

ROOT = Path(__file__).resolve().parents[3]
RECORDS = ROOT / "figures" / "records"
WIDTHS = (60, 80, 100, 120, 160)

#: One record a command, and the headings of the quantities that its question is about.
ASKED = {
    "spectrum-ntk": ("method", "seed", "P", "N·C", "rank", "λ max", "λ min", "λ min⁺", "condition"),
    "per-core": ("core", "of trace", "λ max", "λ min"),
    "sweep-widths": ("method", "M", "TT-ranks", "P", "rank", "λ min"),
    "bounds": ("bound", "value", "measured", "holds", "vacuous"),
    "approximation": ("M", "TT-ranks", "error", "accuracy", "ε_TT/‖w‖", "eq 8"),
    "pairs-table1": ("variant", "P", "noisy", "clean", "pred. error", "drift", "R_S, closed form"),
    "dynamics-tensorguide": ("step", "measured", "predicted", "mended bound", "drift"),
    "released-end-to-end": ("variant", "P", "train loss", "noisy", "clean"),
    "table3": ("variant", "P", "valid ppl", "test ppl", "frozen ppl"),
    "docs/bench": ("contender", "seconds", "× tutorial", "error", "exponent"),
    "docs/claims/tensorguide": ("claim", "verdict", "what it says"),
}
_SMALL = 24  # rows of each kind: a table's width does not come from its length


@pytest.fixture
def few(tmp_path):
    """A record with its first rows of every kind, in a folder of its own."""

    def call(name):
        folder = ROOT / name if name.startswith("docs/") else RECORDS / name
        data = json.loads((folder / "record.json").read_text(encoding="utf-8"))
        kinds = {}
        for row in data["results"]:
            key = (row.get("kind"), row.get("entry"), row.get("head"))
            kinds.setdefault(key, []).append(row)
        data["results"] = [row for rows in kinds.values() for row in rows[:_SMALL]]
        path = tmp_path / "record.json"
        path.write_text(json.dumps(data), encoding="utf-8")
        if data["arrays"]:
            shutil.copy(folder / data["arrays"], tmp_path)
        return tmp_path

    return call


def words_of(text):
    """The text without layout: words in order, whatever the lines."""
    return " ".join(text.split())


@pytest.mark.parametrize("name", ASKED)
def test_no_number_is_cut_and_nothing_asked_is_lost(run, few, name, monkeypatch):
    folder = few(name)
    texts = {}
    for width in (*WIDTHS, 10_000):
        monkeypatch.setenv("COLUMNS", str(width))
        result = run("show", folder)
        assert result.exit_code == 0, result.stderr
        texts[width] = result.stdout
    whole = set(re.findall(r"[^\s\[\],]+", texts[10_000]))
    for width in WIDTHS:
        text = texts[width]
        assert not re.search(r"\d…", text)
        for heading in ASKED[name]:
            assert heading in words_of(text), (width, heading)
        found = set(re.findall(r"[^\s\[\],]+", text))
        assert {word for word in found if re.search(r"\d", word)} <= whole
        assert max(map(letters, text.splitlines())) <= width


#: Commands whose tables are no record's, and the headings of what they are asked for.
LISTS = {
    "info": (("info",), ()),
    "list": (("list", str(RECORDS)), ("record", "command", "seeds")),
    "gpu-records": (("gpu-records", "--device", "cpu", "--dry-run"), ("record", "minutes")),
    "reproduce": (("reproduce", "--quick", "--device", "cpu", "--dry-run"), ("record", "cells")),
    "check": (("check", "--list"), ("claim",)),
}


@pytest.mark.parametrize("name", LISTS)
def test_no_list_cuts_a_number_or_loses_what_is_asked(run, name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    words, headings = LISTS[name]
    texts = {}
    for width in (*WIDTHS, 10_000):
        monkeypatch.setenv("COLUMNS", str(width))
        result = run(*words)
        assert result.exit_code == 0, result.output
        texts[width] = result.stdout
    for width in WIDTHS:
        assert not re.search(r"\d…", texts[width])
        for heading in headings:
            assert heading in words_of(texts[width]), (width, heading)


@pytest.mark.parametrize("form", ["markdown", "latex"])
def test_pages_have_every_column(run, few, form):
    text = run("show", few("bounds"), "--format", form).stdout
    assert "rademacher" in text
    assert text.count("\\toprule" if form == "latex" else "|---") >= 1
    for heading in ("value", "measured", "vacuous", "reason"):
        assert heading in text


def test_data_is_the_record_itself(run, few):
    folder = few("spectrum-ntk")
    shown = json.loads(run("show", folder, "--format", "json").stdout)
    kept = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    assert shown["results"] == kept["results"]
    assert run("show", folder, "--format", "csv").stdout.count("\n") == len(kept["results"]) + 1


def test_a_folder_lists_its_records(run):
    result = run("list", RECORDS, "--format", "json")
    rows = {row["record"]: row for row in json.loads(result.stdout)}
    assert rows["bounds"]["command"] == "bounds"
    assert rows["spectrum-ntk"]["seeds"] == 10
    assert "tensorguide" in rows["sweep-widths"]["methods"]
    assert "sweep-widths" in run("list", RECORDS).stdout


def test_methods_may_share_a_word_and_a_plot_may_be_svg(run, small, tmp_path):
    result = run(
        *("spectrum", "-m", "lora,tera", *small, "--format", "csv"),
        *("--plot", tmp_path / "a.svg"),
    )
    assert [line.count("lora") for line in result.stdout.splitlines()][1:] == [1, 0]
    assert {path.suffix for path in tmp_path.iterdir()} >= {".svg", ".pdf", ".png", ".csv"}
    assert "<svg" in (tmp_path / "a.svg").read_text(encoding="utf-8")


def test_claims_and_venues_are_completed():
    command = typer.main.get_command(app)
    check, figures = (command.commands[name] for name in ("check", "figures"))
    names = next(one for one in check.params if one.name == "names")
    venue = next(one for one in figures.params if one.name == "venue")
    items = names.shell_complete(check.make_context("check", [], resilient_parsing=True), "eq1")
    assert {item.value for item in items} >= {"eq13", "eq17"}
    items = venue.shell_complete(figures.make_context("f", [], resilient_parsing=True), "icml")
    assert "icml2024" in {item.value for item in items}


def test_the_comparison_compares(run, small):
    methods = ("-m", "lora", "-m", "tensorguide")
    result = run("spectrum", *methods, *small, "--seeds", "0:3", "--compare")
    assert result.exit_code == 0, result.stderr
    text = result.stdout
    lines = [line.split() for line in text.splitlines()]
    assert [w for w in text.split() if w in ("difference", "larger")][:2] == [
        "difference",
        "larger",
    ]
    assert any(line[:1] == ["tensorguide"] and "undecided" in line for line in lines)
    assert "fewer than 8 seeds cannot decide" in text
