"""Rows per core: K = Σ_k K_k, in the row of every core and through the record."""

import pytest
import torch

from ntklab.adapters import METHODS
from ntklab.experiments.executors import compute
from ntklab.experiments.run import record_of
from ntklab.experiments.spectrum import SPECTRUM, SpectrumConfig, compare, run_cell
from ntklab.experiments.spectrum.cell import adapter_for, jacobian_for, sampled_task
from ntklab.records import RunFolder


def config_of(method: str, **options: object) -> SpectrumConfig:
    return SpectrumConfig.of(method=method, task="synthetic", samples=12, per_core=True, **options)


@pytest.mark.parametrize("method", METHODS)
def test_core_kernels_add_up_and_have_the_spectra_of_their_columns(method):
    config = config_of(method)
    cell = run_cell(config)
    task = sampled_task(config)
    J = jacobian_for(config, task, adapter_for(config, task))
    rows, start = J.dense(torch.float64), 0
    assert sum(part["trace_share"] for part in cell.parts) == pytest.approx(1, rel=1e-12)
    assert sum(part["parameter_share"] for part in cell.parts) == pytest.approx(1, rel=1e-12)
    for part in cell.parts:
        block = rows[:, start : start + part["params"]]
        start += part["params"]
        largest = float(torch.linalg.eigvalsh(block @ block.T)[-1])
        assert part["lambda_max"] == pytest.approx(largest, rel=1e-10)
        assert part["rank"] <= part["rank_bound"]
    assert start == rows.shape[1]


def test_centred_parts_have_the_size_that_softmax_sees():
    parts = run_cell(config_of("lora", centred=True)).parts
    assert all(part["rank"] <= 12 for part in parts)
    assert sum(part["trace_share"] for part in parts) == pytest.approx(1, rel=1e-12)


def test_parts_survive_the_run_folder_and_stand_beside_the_whole(tmp_path):
    config = config_of("tensorguide", width=8)
    folder = RunFolder(tmp_path / "run", {})
    fresh = compute([config], run_cell, folder=folder)
    kept = compute([config], run_cell, folder=folder)
    assert kept[0].parts == fresh[0].parts
    record = record_of(SPECTRUM, [config], kept, {}, {})
    assert [row.get("core") for row in record.results] == [None, *(f"cores.{k}" for k in range(4))]
    assert compare(record.results)[0]["seeds"] == 1


def test_float32_rows_say_what_they_cost():
    assert run_cell(config_of("lora")).row["kernel_error"] is None
    error = run_cell(config_of("tensorguide", width=8, dtype="float32")).row["kernel_error"]
    assert 0 < error < 1e-4
