"""A record as the command leaves it, of part of the panel, read by all that reads the panel."""

import numpy as np
import pytest

from ntklab.claims.run import CheckConfig, run_check
from ntklab.experiments.run import run
from ntklab.experiments.training.panel import PANEL, Panel
from ntklab.experiments.training.prompt.config import PromptConfig
from ntklab.experiments.training.prompt.experiment import PROMPT
from ntklab.figures.catalogue import draw_plate, plate
from ntklab.figures.prompt import learning_table
from ntklab.records import Record
from ntklab.reproduce.prediction_page import CLAIMS, result_section
from tests.tasks.prompt.conftest import folders, table  # noqa: F401 - fixtures


@pytest.fixture(scope="module")
def records(folders, table, tmp_path_factory):  # noqa: F811
    """LoRA by both optimizers and a probe by Adam, two seeds: a panel that is not finished."""
    few = {
        **{"data": str(table), "rating_column": "rating", "model": str(folders["llama"])},
        **{"words": "bad,good", "layers": "-2:", "shots": 4, "test": 10, "epochs": 3, "batch": 4},
        **{"watched": 2, "lr": 0.01},
    }
    runs = [("lora", "adam"), ("lora", "sgd"), ("linear-probe", "adam")]
    cells = [
        PromptConfig.of(method=method, optimizer=optimizer, seed=seed, **few)
        for method, optimizer in runs
        for seed in range(2)
    ]
    folder = tmp_path_factory.mktemp("records")
    run(PROMPT, cells, out=folder / PANEL)
    return folder


@pytest.mark.parametrize("name", ["accuracy", "ranking", "curves"])
def test_every_figure_is_drawn(records, tmp_path, name):
    paths = draw_plate(plate(f"prompt-{name}"), records, tmp_path)
    assert all(path.stat().st_size > 100 for path in paths)


def test_curves_are_those_of_the_run(records):
    record = Record.read(records / PANEL)
    rows = learning_table(record)
    assert {row["variant"] for row in rows} == {"lora layers=-2:"}  # the probe has no run by SGD
    cells = [row["cell_sgd"] for row in record.results if row["method"] == "lora"]
    for series, name in (("measured", "sgd_test"), ("predicted", "predicted_test")):
        first = next(row for row in rows if row["series"] == series and row["step"] == 0)
        values = [record.arrays[f"{cell}.{name}_accuracy"][0] for cell in cells]
        assert first["median"] == pytest.approx(np.median(values))
    assert all(np.isfinite(row["median"]) for row in rows)


def test_every_claim_reads_it_and_ranks_nothing(records):
    verdicts = {}
    for name in CLAIMS:
        row = run_check(CheckConfig(name, records=str(records))).row
        assert row["failed"] is None, row["failed"]
        verdicts[name] = row["verdict"]
    assert verdicts["tensorguide/thesis_lambda_min"] == "DATA"
    assert verdicts["condition_number/across_methods"] == "DATA"


def test_the_page_shows_what_there_is(records):
    text = result_section(records)
    assert "| lora layers=-2: |" in text


def test_a_record_is_small(records):
    """Kernels and outputs of single sentences stay in the folder of the run."""
    record = Record.read(records / PANEL)
    names = {name.split(".")[1] for name in record.arrays}
    assert {"adam_step", "sgd_step", "predicted_test_accuracy"} <= names
    assert not [name for name in names if "kernel" in name or "outputs" in name]
    assert Panel.of(record).first("linear-probe layers=-2:")["target_modules"] == "the head"
