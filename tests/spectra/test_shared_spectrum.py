"""Spectra from stored blocks and from triangles of a cluster, against those of this process."""

import pytest
import torch

pytest.importorskip("dask.distributed", reason="needs the extra cluster")
pytest.importorskip("zarr", reason="needs the extra cluster")

from ntklab import build_adapter, jacobian, spectrum
from ntklab.errors import InputError
from ntklab.spectra.operator import DenseJacobian


def head(samples, dtype=torch.float64):
    adapter = build_adapter("tensorguide", 16, 3, width=16, activation="relu", dtype=dtype)
    return jacobian(adapter, torch.randn(samples, 16, dtype=dtype))


def off(first, second):
    size = min(len(first.eigenvalues), len(second.eigenvalues))
    difference = (first.eigenvalues[:size] - second.eigenvalues[:size]).abs().max()
    return float(difference) / first.lambda_max


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("samples", [9, 200])
def test_both_sides_agree_with_one_process(cluster, samples, centred):
    J = head(samples)
    here, there = (spectrum(J, centred=centred, **how) for how in ({}, {"scheduler": cluster}))
    wide = there.size < J.shape[1]
    assert there.route == ("gram" if wide else "svd")
    assert off(here, there) < (1e-13 if wide else 1e-14)
    assert there.rank == here.rank
    assert there.size == here.size
    assert there.lambda_min_nonzero_error is not None


def test_a_float32_model_keeps_its_own_error(cluster):
    J = head(60, torch.float32)
    there = spectrum(J, scheduler=cluster)
    assert there.model is not None
    assert there.model.sigma_error > 0
    assert off(spectrum(J), there) * there.lambda_max <= float(there.eigenvalue_errors.max())


def test_the_spectrum_from_the_store_is_the_one_in_memory_at_a_thousand_samples(cluster, tmp_path):
    adapter = build_adapter("tensorguide", 32, 2, width=256, budget=2500, dtype=torch.float64)
    J = jacobian(adapter, torch.randn(1000, 32, dtype=torch.float64), memory="2GiB")
    assert J.shape[0] == 2000 < J.shape[1]
    place = tmp_path / "k.zarr"
    there = spectrum(J, scheduler=cluster, store=place)
    assert there.route == "gram"
    here = torch.linalg.eigvalsh(J.gram()).flip(0)
    assert float((there.eigenvalues - here).abs().max()) <= 1e-10 * there.lambda_max
    again = spectrum(J, store=place)  # from the store alone: no cluster is asked
    assert torch.equal(again.eigenvalues, there.eigenvalues)


def test_a_store_also_keeps_the_triangle_of_a_tall_jacobian(cluster, tmp_path):
    J, place = head(200), tmp_path / "k.zarr"
    first = spectrum(J, scheduler=cluster, store=place)
    assert first.route == "svd"
    again = spectrum(J, scheduler="tcp://127.0.0.1:9", store=place)  # nobody is there to answer
    assert torch.equal(again.eigenvalues, first.eigenvalues)


def test_what_is_no_jacobian_of_a_model_is_not_shared():
    with pytest.raises(InputError, match="a DenseJacobian cannot be shared"):
        spectrum(DenseJacobian(torch.eye(3)), scheduler="local:1")


def test_the_triangle_keeps_to_the_memory(cluster):
    J = head(400)
    J.memory = 1000
    with pytest.raises(InputError, match="allow"):
        spectrum(J, scheduler=cluster)
