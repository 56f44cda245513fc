import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ntklab.adapters import METHODS
from ntklab.errors import InputError
from ntklab.experiments.run import record_of
from ntklab.experiments.spectrum import (
    SPECTRUM,
    SpectrumConfig,
    adapter_for,
    run_cell,
    sampled_task,
)
from ntklab.records import Record, collect, now


def config_of(method, **options):
    return SpectrumConfig.of(**{"method": method, "task": "synthetic", "samples": 12} | options)


def slow_jacobian(config):
    """One autograd call an output, in float64."""
    task = sampled_task(config)
    model = adapter_for(config, task)
    params = [p for p in model.parameters() if p.requires_grad]
    rows = []
    for x in task.train.features:
        for output in model(x[None])[0]:
            grads = torch.autograd.grad(output, params, retain_graph=True, allow_unused=True)
            filled = [
                torch.zeros_like(p) if g is None else g for g, p in zip(grads, params, strict=True)
            ]
            rows.append(torch.cat([g.flatten() for g in filled]))
    return torch.stack(rows).numpy(), task


@given(
    method=st.sampled_from(sorted(METHODS)),
    preset=st.sampled_from(["ntk", "released", "paper"]),
    samples=st.integers(2, 12),
    seed=st.integers(0, 100),
)
@settings(max_examples=20, deadline=None)
def test_the_row_is_what_an_explicit_jacobian_gives(method, preset, samples, seed):
    config = config_of(method, preset=preset, samples=samples, seed=seed)
    cell = run_cell(config)
    J, task = slow_jacobian(config)
    sigma = np.linalg.svd(J, compute_uv=False)
    rank = int((sigma > max(J.shape) * np.finfo(float).eps * sigma[0]).sum())
    row = cell.row
    assert (row["outputs"], row["params"]) == J.shape
    assert row["rank"] == rank
    assert row["rank"] <= row["rank_bound"]
    assert row["lambda_max"] == pytest.approx(sigma[0] ** 2, rel=1e-9)
    assert row["trace"] == pytest.approx((J**2).sum(), rel=1e-9)
    values = np.repeat(cell.arrays["eigenvalues"], cell.arrays["multiplicity"])
    np.testing.assert_allclose(
        np.pad(values, (0, J.shape[0] - len(values)))[:rank],
        sigma[:rank] ** 2,
        rtol=1e-9,
        atol=1e-12 * sigma[0] ** 2,
    )
    assert row["lambda_min"] == (0.0 if rank < J.shape[0] else row["lambda_min_nonzero"])

    y = np.eye(task.n_classes)[task.train.labels.numpy()] - 1 / task.n_classes
    y = y.reshape(-1)
    K = J @ J.T
    aligned = y @ K @ y / (np.linalg.norm(K) * (y @ y))
    assert row["kernel_target_alignment"] == pytest.approx(aligned, rel=1e-9, abs=1e-12)
    U = np.linalg.svd(J, full_matrices=False)[0][:, :rank]
    outside = y - U @ (U.T @ y)
    assert row["label_residual"] == pytest.approx(outside @ outside / (y @ y), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_centring_projects_out_the_mean_over_outputs(method):
    config = config_of(method, centred=True)
    row = run_cell(config).row
    J, task = slow_jacobian(config)
    n, c = config.samples, task.n_classes
    middle = J.reshape(n, c, -1) - J.reshape(n, c, -1).mean(axis=1, keepdims=True)
    sigma = np.linalg.svd(middle.reshape(n * c, -1), compute_uv=False)
    assert row["size"] == n * (c - 1)
    assert row["lambda_max"] == pytest.approx(sigma[0] ** 2, rel=1e-9)
    assert row["rank"] == int((sigma > 1e-10 * sigma[0]).sum())
    assert row["rank"] <= row["rank_bound"]


def test_a_cell_depends_on_its_configuration_alone():
    config = config_of("tensorguide", seed=2)
    one, two = run_cell(config), run_cell(config)
    assert one.row == two.row
    for name in one.arrays:
        np.testing.assert_array_equal(one.arrays[name], two.arrays[name])
    other = run_cell(config_of("tensorguide", seed=3))
    assert other.row["lambda_max"] != one.row["lambda_max"]


def test_a_seed_draws_start_and_samples_but_not_the_data():
    config = config_of("lora", task="quantum-dot", images=40, samples=16)
    tasks = [
        sampled_task(config_of("lora", task="quantum-dot", images=40, samples=16, seed=s))
        for s in (0, 1)
    ]
    assert tasks[0].source["features_hash"] == tasks[1].source["features_hash"]
    assert not torch.equal(tasks[0].train.features, tasks[1].train.features)
    assert torch.equal(tasks[0].test.features, tasks[1].test.features)
    starts = [adapter_for(config_of("lora", seed=s), tasks[0]).A for s in (0, 1)]
    assert not torch.equal(*starts)
    row = run_cell(config).row
    assert (row["outputs"], row["data_condition"]) == (32, "noisy")


def test_engines_agree():
    rows = [run_cell(config_of("tt-lora", engine=e)).row for e in ("structured", "jacrev", "loop")]
    assert [row["engine"] for row in rows] == ["structured", "jacrev", "loop"]
    for row in rows[1:]:
        assert row["rank"] == rows[0]["rank"]
        assert row["trace"] == pytest.approx(rows[0]["trace"], rel=1e-12)
        assert row["lambda_min"] == pytest.approx(rows[0]["lambda_min"], rel=1e-8)


def test_a_zero_kernel_says_why_its_figures_are_absent():
    row = run_cell(config_of("lora", scale=0.0)).row
    assert row["rank"] == 0
    assert row["lambda_min_nonzero"] is None
    assert row["condition"] is None
    assert "the kernel is zero" in row["reason"]


def test_labels_that_do_not_fit_into_memory_are_a_gap_with_a_reason(monkeypatch):
    def refuse(*_, vectors=False, **options):
        if vectors:
            raise InputError("too large")
        return spectrum(*_, **options)

    from ntklab.experiments.spectrum import cell as module

    spectrum = module.spectrum
    monkeypatch.setattr(module, "spectrum", refuse)
    row = run_cell(config_of("tera")).row
    assert row["label_residual"] is None
    assert "label_residual" in row["reason"]


@pytest.mark.parametrize("method", METHODS)
def test_a_cell_is_a_valid_row_of_a_record(method, tmp_path):
    config = config_of(method)
    provenance = collect(device="cpu", dtype="float64", started=now(), seconds=0.0)
    record = record_of(SPECTRUM, [config], [run_cell(config)], {}, provenance)
    record.write(tmp_path)
    row = Record.read(tmp_path).results[0]
    assert row["method"] == method
    assert f"{row['cell']}.eigenvalues" in record.arrays
    assert row["peak_memory_bytes"] > 0


def test_more_samples_than_there_are_is_refused():
    with pytest.raises(InputError, match="33 samples were asked for"):
        sampled_task(config_of("lora", task="quantum-dot", images=40, samples=33))
