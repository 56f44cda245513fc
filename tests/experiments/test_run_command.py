"""A command from Python: the same cells, the same record, the same sentences for what is wrong."""

import pytest

from ntklab.errors import InputError
from ntklab.experiments import run_command

TINY = {"task": "synthetic", "samples": 4}
TIMES = ("seconds", "peak_memory_bytes")


def without_times(rows):
    return [{key: value for key, value in row.items() if key not in TIMES} for row in rows]


def test_it_computes_what_the_command_computes_and_a_folder_keeps_it(tmp_path):
    from ntklab.experiments.run import run
    from ntklab.experiments.spectrum import SPECTRUM, SpectrumConfig

    record = run_command("spectrum", **TINY, method=("lora", "tera"), seed=range(2), out=tmp_path)
    configs = [
        SpectrumConfig.of(**TINY, method=method, seed=seed)
        for method in ("lora", "tera")
        for seed in range(2)
    ]
    alone = run(SPECTRUM, configs)
    assert record.config == alone.config
    assert without_times(record.results) == without_times(alone.results)
    assert (tmp_path / "record.json").is_file()


def test_one_value_and_options_of_the_command_alone_are_taken():
    options = {"target": ("barron",), "width": (8,), "steps": 2, "samples": 16, "seed": (0,)}
    record = run_command("approx", quick=True, **options, tt_ranks=((1, 2, 2, 1, 1),))
    assert {row["kind"] for row in record.results} == {"dense", "linear", "adapter", "truncation"}


@pytest.mark.parametrize(
    ("command", "options", "sentence"),
    [
        ("spectra", {}, "did you mean 'spectrum'"),
        ("spectrum", {"sampels": 4}, "did you mean 'samples'"),
        ("approx", {"quik": True}, "did you mean 'quick'"),
        ("spectrum", {"method": "lorra"}, "did you mean 'lora'"),
    ],
)
def test_wrong_words_are_one_sentence(command, options, sentence):
    with pytest.raises(InputError, match=sentence):
        run_command(command, **options)
