"""J as a linear operator: products, tiles, chunks, memory."""

import warnings
from typing import get_args

import numpy as np
import pytest
import scipy.sparse.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ntklab.adapters import build_adapter
from ntklab.errors import InputError
from ntklab.jacobians import ENGINES, jacobian
from ntklab.jacobians.engines.engine import Output, multiply_rows
from ntklab.jacobians.engines.jacrev import Jacrev
from ntklab.jacobians.engines.layerwise.plan import plan_of
from ntklab.tensor_train import BLOCK_BYTES

OUTPUTS = get_args(Output)


def double(*size):
    return torch.randn(*size, dtype=torch.float64)


def network():
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).double()


def head(method="tensorguide"):
    sizes = {"width": 8} if method == "tensorguide" else {}
    return build_adapter(method, 4, 3, dtype=torch.float64, **sizes)


MODELS = {"network": network, "tensorguide": head, "lora": lambda: head("lora")}


@pytest.fixture(params=MODELS, ids=MODELS)
def model(request):
    return MODELS[request.param]()


def truth(model, x):
    return jacobian(model, x, engine="loop").dense()


def test_products_are_those_of_the_matrix(model):
    x = double(6, 4)
    J, dense = jacobian(model, x, chunk=4), truth(model, x)
    v, u = double(J.shape[1], 2), double(J.shape[0], 2)
    torch.testing.assert_close(J @ v, dense @ v)
    torch.testing.assert_close(J.T @ u, dense.T @ u)
    assert (J @ v[:, 0]).shape == (J.shape[0],)
    assert (J.T @ u[:, 0]).shape == (J.shape[1],)
    assert J.T.T is J
    assert J.T.shape == (J.shape[1], J.shape[0])
    # ⟨u, J v⟩ = ⟨Jᵀ u, v⟩
    torch.testing.assert_close((u * (J @ v)).sum(), ((J.T @ u) * v).sum())


def test_the_dual_gram_matrix(model):
    x = double(6, 4)
    dense = truth(model, x)
    torch.testing.assert_close(jacobian(model, x).dual_gram(), dense.T @ dense)


def test_kernels_by_core_sum_to_the_kernel(model):
    x = double(6, 4)
    J, dense = jacobian(model, x), truth(model, x)
    parts = J.core_grams()
    assert list(parts) == [name for name, p in model.named_parameters() if p.requires_grad]
    torch.testing.assert_close(sum(parts.values()), J.gram())
    sizes = [p.numel() for p in model.parameters() if p.requires_grad]
    for part, block in zip(parts.values(), dense.split(sizes, dim=1), strict=True):
        torch.testing.assert_close(part, block @ block.T)


def test_as_a_scipy_operator(model):
    x = double(6, 4)
    J, dense = jacobian(model, x), truth(model, x).numpy()
    operator = J.to_scipy()
    generator = np.random.default_rng(0)
    v, u = generator.normal(size=J.shape[1]), generator.normal(size=J.shape[0])
    V, U = generator.normal(size=(J.shape[1], 3)), generator.normal(size=(J.shape[0], 3))
    np.testing.assert_allclose(operator @ v, dense @ v, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(operator.T @ u, dense.T @ u, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(operator @ V, dense @ V, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(operator.T @ U, dense.T @ U, rtol=1e-10, atol=1e-12)
    assert operator.dtype == np.float64
    found = scipy.sparse.linalg.svds(operator, k=2, return_singular_vectors=False, random_state=0)
    np.testing.assert_allclose(sorted(found), np.linalg.svd(dense)[1][:2][::-1], rtol=1e-9)


def test_a_float32_model_is_a_float64_scipy_operator():
    model = nn.Linear(4, 2)
    J = jacobian(model, torch.randn(3, 4))
    found = J.to_scipy() @ np.ones(J.shape[1])
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, J.dense().sum(1), rtol=1e-6)


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize(
    ("method", "engine"),
    [
        *(("network", engine) for engine in ENGINES if engine != "structured"),
        *((method, engine) for method in ("tensorguide", "tt-delta") for engine in ENGINES),
    ],
)
def test_the_result_does_not_depend_on_the_chunk(method, engine, output):
    model = network() if method == "network" else head(method)
    x, x2 = double(7, 4), double(3, 4)
    whole = jacobian(model, x, engine=engine, chunk=7)
    for chunk in (1, 2, 3, 6, 50):
        J, J2 = (jacobian(model, y, engine=engine, chunk=chunk) for y in (x, x2))
        torch.testing.assert_close(J.dense(), whole.dense(), rtol=1e-12, atol=1e-13)
        for other in (None, J2):
            found, wanted = J.gram(other, output), whole.gram(other, output)
            torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-13)
        torch.testing.assert_close(J.dual_gram(), whole.dual_gram(), rtol=1e-12, atol=1e-13)


class Counting(Jacrev):
    """Remembers how many samples each call was asked for."""

    def __init__(self, functional):
        super().__init__(functional)
        self.calls = []

    def rows(self, x):
        self.calls.append(len(x))
        return super().rows(x)


@pytest.fixture
def counting(monkeypatch):
    monkeypatch.setitem(ENGINES, "counting", Counting)
    return lambda model, x, **options: jacobian(model, x, engine="counting", **options)


@pytest.mark.parametrize("output", OUTPUTS)
def test_tiles_of_little_memory_equal_the_whole(counting, output):
    """Rows of all samples do not fit beside the kernel: blocks of rows, tile by tile."""
    model, x, x2 = network(), double(23, 4), double(9, 4)
    wanted = {None: truth(model, x), "x2": truth(model, x2)}
    rows = {key: value.reshape(-1, 3, value.shape[1]) for key, value in wanted.items()}
    kernel = 23 * 3 * 23 * 3 * 8
    one_sample = 3 * rows[None].shape[2] * 8
    for memory in (kernel, kernel + 6 * one_sample, kernel + 16 * one_sample):
        J, J2 = (counting(model, y, memory=memory, chunk=2) for y in (x, x2))
        torch.testing.assert_close(
            J.gram(output=output),
            multiply_rows(rows[None], rows[None], output),
            rtol=1e-12,
            atol=1e-13,
        )
        # Tiled indeed: some rows are computed more than once.
        if output == "full":
            assert sum(J.engine.calls) > 23
        torch.testing.assert_close(
            J.gram(J2, output),
            multiply_rows(rows[None], rows["x2"], output),
            rtol=1e-12,
            atol=1e-13,
        )


def test_rows_that_fit_are_computed_once(counting):
    J = counting(network(), double(23, 4), memory="64MiB", chunk=5)
    J.gram()
    assert J.engine.calls == [5, 5, 5, 5, 3]


@settings(max_examples=20, deadline=None)
@given(
    n=st.integers(1, 12),
    chunk=st.integers(1, 14),
    output=st.sampled_from(OUTPUTS),
    room=st.integers(0, 30),
)
def test_any_memory_that_holds_the_kernel_gives_it(n, chunk, output, room):
    torch.manual_seed(n)
    model, x = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2)).double(), double(n, 2)
    needed = jacobian(model, x)
    memory = max((2 * n) ** 2 * 8, needed.bytes_per_sample) + room * 2 * 17 * 8
    J = jacobian(model, x, memory=memory, chunk=chunk)
    torch.testing.assert_close(
        J.gram(output=output), needed.gram(output=output), rtol=1e-12, atol=1e-13
    )


def test_results_larger_than_the_memory_are_refused():
    J = jacobian(network(), double(40, 4), memory="64KiB")
    with pytest.raises(
        InputError, match=r"the kernel alone takes 112.5 KiB, more than the 64.0 KiB"
    ):
        J.gram()
    assert J.gram(output="trace").shape == (40, 40)
    small = jacobian(network(), double(40, 4), memory="24KiB")
    with pytest.raises(InputError, match=r"the Jacobian alone takes 40.3 KiB"):
        small.dense()
    with pytest.raises(InputError, match=r"the dual Gram matrix alone takes"):
        small.dual_gram()
    with pytest.raises(InputError, match=r"one kernel for every core alone takes"):
        J.core_grams()


def test_the_estimate_is_what_the_kernel_takes():
    J = jacobian(network(), double(40, 4), memory="64MiB")
    for output in OUTPUTS:
        found = J.estimate(output)
        assert found["kernel"] == J.gram(output=output).nbytes
        assert found["rows"] == J.dense().nbytes
        assert found["chunk"] == 40 * J.bytes_per_sample
        assert found["block"] == 0


def test_the_estimate_of_layers_holds_no_rows():
    x = double(12, 4)
    J = jacobian(network(), x, engine="layerwise", memory="64MiB")
    told, plan = J.estimate(), plan_of(J.engine.functional, x)
    assert told["rows"] == 0
    assert told["kernel"] == J.gram().nbytes
    assert told["chunk"] == 12 * (plan.kept_bytes(J.n_outputs) + plan.graph_bytes)
    assert told["block"] == (8 + 8) * 12 * 3 * 20  # rows of the first weight, and their copy
    tight = jacobian(network(), x, engine="layerwise", memory=14_000)
    assert tight.estimate()["chunk"] <= (14_000 - told["kernel"]) * 3 // 4 < told["chunk"]
    with pytest.raises(InputError, match="what one sample's layers see takes"):
        jacobian(network(), x, engine="layerwise", memory=10_400).estimate()


def test_the_estimate_knows_the_block_of_a_sweep():
    head = build_adapter("tensorguide", 512, 2, width=1024)
    few, many = (jacobian(head, torch.randn(n, 512)).estimate() for n in (1, 64))
    assert few["block"] == 4 * 2 * 1024 * 514  # one sample's cotangents, less than a block
    assert many["block"] == BLOCK_BYTES
    assert jacobian(build_adapter("lora", 512, 2), torch.randn(3, 512)).estimate()["block"] == 0


class OutOfMemory(Jacrev):
    """Runs out of memory above three samples at a time."""

    error = torch.OutOfMemoryError("CUDA out of memory")

    def rows(self, x):
        if len(x) > 3:
            raise self.error
        return super().rows(x)

    def matvec(self, x, v):
        return self.rows(x) @ v

    def rmatvec(self, x, u):
        return torch.einsum("ncp,nck->pk", self.rows(x), u)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
    ],
    ids=["cuda", "python", "cpu"],
)
def test_out_of_memory_halves_the_chunk_and_says_so(monkeypatch, error):
    monkeypatch.setitem(ENGINES, "narrow", OutOfMemory)
    monkeypatch.setattr(OutOfMemory, "error", error)
    model, x = network(), double(11, 4)
    dense = truth(model, x)

    def fresh():
        return jacobian(model, x, engine="narrow", chunk=11)

    for result, wanted in (
        (lambda J: J.dense(), dense),
        (lambda J: J.gram(), dense @ dense.T),
        (lambda J: J.dual_gram(), dense.T @ dense),
        (lambda J: J @ dense[0], dense @ dense[0]),
        (lambda J: J.T @ dense[:, 0], dense.T @ dense[:, 0]),
    ):
        J = fresh()
        with pytest.warns(UserWarning, match="going on with") as caught:
            found = result(J)
        said = [str(w.message) for w in caught]
        assert said == [
            f"out of memory: going on with {chunk} samples at a time." for chunk in (5, 2)
        ]
        torch.testing.assert_close(found, wanted)
    assert J.shape == dense.shape
    # What was learned is kept: a later result does not run out again.
    J = fresh()
    with pytest.warns(UserWarning, match="out of memory"):
        J.dense()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        J.gram()


def test_other_errors_are_sentences_about_the_engine(monkeypatch):
    monkeypatch.setitem(ENGINES, "narrow", OutOfMemory)
    monkeypatch.setattr(OutOfMemory, "error", RuntimeError("shapes do not match"))
    with pytest.raises(InputError, match=r"cannot run this model \(shapes do not match\)"):
        jacobian(network(), double(11, 4), engine="narrow", chunk=11).dense()


def test_one_sample_that_does_not_fit_is_the_end(monkeypatch):
    class Never(Jacrev):
        def rows(self, x):
            raise torch.OutOfMemoryError("no")

    monkeypatch.setitem(ENGINES, "never", Never)
    with (
        pytest.warns(UserWarning, match="going on with [12] samples"),
        pytest.raises(torch.OutOfMemoryError),
    ):
        jacobian(network(), double(5, 4), engine="never", chunk=4).dense()


@pytest.mark.parametrize("shape", [(3,), (5, 2), (68, 1, 1), ()])
def test_vectors_of_another_length_are_refused(shape):
    J = jacobian(nn.Linear(4, 2, bias=False), torch.randn(3, 4))
    with pytest.raises(InputError, match=r"J @ v needs a vector of length 8 .* not shape"):
        J @ torch.ones(shape)
    with pytest.raises(InputError, match=r"J.T @ u needs a vector of length 6 .* not shape"):
        J.T @ torch.ones(shape)


def test_progress_is_told():
    seen = []
    J = jacobian(
        network(), double(7, 4), chunk=3, progress=lambda done, total: seen.append((done, total))
    )
    J.dense()
    assert seen == [(3, 7), (6, 7), (7, 7)]
    seen.clear()
    J.gram()
    assert seen[-1] == (7, 7)


def test_a_kernel_between_different_models_is_refused():
    x = torch.randn(3, 4, dtype=torch.float64)
    first = jacobian(torch.nn.Linear(4, 2, dtype=torch.float64), x)
    second = jacobian(torch.nn.Linear(4, 2, bias=False, dtype=torch.float64), x)
    with pytest.raises(InputError, match="same parameters, but these have 10 and 8"):
        first.gram(second)


def test_inputs_of_another_dtype_are_refused_in_a_sentence():
    with pytest.raises(InputError, match=r"torch\.float32 and"):
        jacobian(torch.nn.Linear(4, 2, dtype=torch.float64), torch.randn(3, 4))
