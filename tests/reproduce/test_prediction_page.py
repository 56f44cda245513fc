"""The page of the result: from a made-up record, and without one."""

from dataclasses import replace

import pytest

from ntklab.errors import InputError
from ntklab.experiments.training.panel import PANEL
from ntklab.reproduce.prediction_page import BEGIN, CLAIMS, END, write_prediction_page
from tests.prompt_worlds import world


@pytest.fixture
def page(tmp_path):
    path = tmp_path / "prediction.md"
    path.write_text(f"# Title\n\n{BEGIN}\nold\n{END}\n\nThe end.\n")
    return path


def test_without_a_record_nothing_is_claimed(page, tmp_path):
    text = write_prediction_page(tmp_path, page).read_text()
    assert "**Not yet measured.**" in text
    assert text.count(": DATA. ") == len(CLAIMS)
    assert "old" not in text
    assert text.startswith("# Title")
    assert text.endswith("The end.\n")
    assert write_prediction_page(tmp_path, page).read_text() == text


def test_the_numbers_of_a_record_are_on_the_page(page, tmp_path):
    record = world(PANEL, [{"method": "lora", "variant": "lora r=8", "params": 4096}, {}, {}])
    record.write(tmp_path / PANEL)
    text = write_prediction_page(tmp_path, page).read_text()
    values = [row["accuracy_adam"] for row in record.results[:5]]
    assert "Not yet measured" not in text
    assert "| lora r=8 | 4,096 |" in text
    assert f"{100 * sum(values) / 5:.1f} |" in text
    assert "(`lora_rank/kernel_regime`): OK." in text


def test_a_part_of_the_panel_is_called_one(page, tmp_path):
    """What is not measured is empty, and a rate at the end of what was tried has a star."""
    variants = [
        {"variant": "a", "accuracy_sgd": None, "lr_at_end_adam": True},
        {"variant": "b", "lr_at_end_adam": False},
    ]
    record = world(PANEL, [variants[1]])
    record.results.extend(
        row | {"accuracy_sgd": None, "train_loss_sgd": None}
        for row in world(PANEL, [{**variants[0], "accuracy_sgd": 0.0}]).results
    )
    record.write(tmp_path / PANEL)
    text = write_prediction_page(tmp_path, page).read_text()
    assert "5 seeds, 2 of the panel's 26 variants" in text
    assert "Empty: not measured at every seed yet." in text
    (line,) = (line for line in text.splitlines() if line.startswith("| a |"))
    assert line.endswith("\\* |  |")
    (line,) = (line for line in text.splitlines() if line.startswith("| b |"))
    assert "*" not in line
    assert "| waits for `prompt-shapes` |" in text


def test_a_gpu_has_a_table_and_verdicts_of_its_own(page, tmp_path):
    variants = [{"method": "lora", "variant": "lora r=8", "params": 4096}, {}, {}]
    record = world(PANEL, variants)
    record.write(tmp_path / PANEL)
    there = replace(record, provenance={**record.provenance, "device": "cuda:0"})
    there.write(tmp_path / f"{PANEL}-gpu")
    text = write_prediction_page(tmp_path, page).read_text()
    assert text.count("| lora r=8 | 4,096 |") == 2
    assert "on cpu, 5 seeds" in text
    assert "on cuda:0, 5 seeds" in text
    (line,) = (line for line in text.splitlines() if "(`lora_rank/kernel_regime`):" in line)
    assert "): OK." in line
    assert "On cuda:0, by itself: OK." in line


def test_a_page_without_marks_is_refused(tmp_path):
    path = tmp_path / "page.md"
    path.write_text("nothing")
    with pytest.raises(InputError, match="needs the lines"):
        write_prediction_page(tmp_path, path)
