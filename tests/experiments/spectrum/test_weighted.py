"""The row of the softmax-weighted kernel beside dense Jacobians, and beside ARPACK."""

import importlib

import numpy as np
import pytest
import torch

from ntklab.errors import InputError
from ntklab.experiments.spectrum import (
    SPECTRUM,
    SpectrumConfig,
    adapter_for,
    jacobian_for,
    run_cell,
    sampled_task,
    weighted,
)
from ntklab.experiments.spectrum.weighted import run_weighted_cell, start_probabilities

preview = importlib.import_module("ntklab.experiments.spectrum.planned")

SMALL = {"task": "synthetic", "samples": 6}


def dense_values(config):
    """Eigenvalues of Σ_n J_nᵀ (diag p − ppᵀ) J_n from whole matrices, descending."""
    task = sampled_task(config)
    adapter = adapter_for(config, task)
    p = torch.softmax(adapter(task.train.features).detach(), 1)
    J = jacobian_for(config, task, adapter).dense().reshape(*p.shape, -1)
    G = sum(j.T @ (torch.diag(q) - q.outer(q)) @ j for j, q in zip(J, p, strict=True))
    return torch.linalg.eigvalsh(G).flip(0).numpy()


@pytest.mark.parametrize("method", ["lora", "tensorguide", "tt-lora", "tt-delta", "tera"])
def test_eigenvalues_are_those_of_whole_matrices(method):
    config = SpectrumConfig.of(weighted=True, method=method, **SMALL)
    found = run_weighted_cell(config)
    wanted = dense_values(config)
    values = found.arrays["weighted_eigenvalues"]
    count = min(len(values), len(wanted))
    np.testing.assert_allclose(values[:count], wanted[:count], atol=1e-10 * wanted[0])
    row = found.parts[-1]
    assert row["output"] == "softmax-weighted"
    assert row["rank"] <= row["rank_bound"] <= 6


def test_the_plain_row_is_that_of_a_plain_cell():
    config = SpectrumConfig.of(weighted=True, method="lora", **SMALL)
    assert run_weighted_cell(config).row == run_cell(config).row


def test_out_of_reach_kernels_give_their_largest_eigenvalues(monkeypatch):
    config = SpectrumConfig.of(weighted=True, method="lora", rank=4, **SMALL)
    real = weighted.spectrum

    def refuse(operator):
        raise InputError("too large.")

    monkeypatch.setattr(weighted, "spectrum", refuse)
    monkeypatch.setattr(weighted, "TOP", 3)
    found = run_weighted_cell(config)
    monkeypatch.setattr(weighted, "spectrum", real)
    np.testing.assert_allclose(
        found.arrays["weighted_eigenvalues"], dense_values(config)[:3], rtol=1e-5
    )
    row = found.parts[-1]
    assert row["lambda_max"] == found.arrays["weighted_eigenvalues"][0]
    assert row["lambda_min"] is None
    assert "largest eigenvalues: too large." in row["reason"]


def test_on_a_language_model_p_is_the_frozen_models(monkeypatch):
    config = SpectrumConfig.of(weighted=True, method="lora", **SMALL)
    task = sampled_task(config)
    adapter = adapter_for(config, task)

    class Frozen:
        bias = None

    Frozen.weight = torch.randn(task.n_classes, task.n_features, dtype=torch.float64)
    monkeypatch.setattr(weighted, "next_token_samples", lambda **_: Frozen)
    config = config.with_(task="wikitext")
    found = start_probabilities(config, task, adapter)
    wanted = torch.softmax(task.train.features @ Frozen.weight.T, 1)
    torch.testing.assert_close(found, wanted)


def test_rows_that_do_not_fit_leave_the_time_open(monkeypatch):
    def refuse(J):
        raise InputError("rows do not fit.")

    config = SpectrumConfig.of(weighted=True, method="lora", **SMALL)
    assert preview.preview(config).seconds > 0
    preview.preview.cache_clear()
    monkeypatch.setattr(preview, "estimated_seconds", refuse)
    planned = preview.previews([config])
    assert planned[0].seconds is None
    assert "at a time not estimated" in SPECTRUM.plan([config]).sentences[0]
    preview.preview.cache_clear()
