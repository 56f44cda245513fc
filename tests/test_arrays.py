"""Numpy arrays and DataLoaders give what tensors give, wherever a tensor is taken."""

import importlib
import inspect

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import ntklab
from ntklab import bounds, dynamics, spectra, tensor_train
from ntklab.arrays import all_batches, takes_arrays, tensor_of
from ntklab.errors import InputError

PACKAGES = ("tensor_train", "jacobians", "spectra", "bounds", "dynamics", "training")
TENSORS = ("Tensor", "Float[", "Int[", "Shaped[")
# They take arrays in their own way (as inputs of a model, as operators), or take part in sums
# whose tensors are made inside the library.
OTHERWISE = {
    *("jacobian", "ntk", "vocabulary_kernel", "spectrum", "singular_values"),
    *("apply_train", "pull_back_layer", "shifts_pay"),
    "linearization_in_weights",  # takes a model, and a function that calls it
}


def takers():
    for package in PACKAGES:
        module = importlib.import_module(f"ntklab.{package}")
        for name in module.__all__:
            thing = getattr(module, name)
            if inspect.isfunction(thing) and name not in OTHERWISE:
                annotations = (
                    str(p.annotation) for p in inspect.signature(thing).parameters.values()
                )
                if any(word in text for text in annotations for word in TENSORS):
                    yield pytest.param(thing, id=f"{package}.{name}")


@pytest.mark.parametrize("function", list(takers()))
def test_every_public_function_of_tensors_takes_arrays(function):
    taken = takes_arrays(lambda: None).__code__
    assert inspect.unwrap(function) is not function
    assert function.__code__ is taken, "decorate it with ntklab.arrays.takes_arrays"


def kernel():
    rows = torch.randn(6, 9, dtype=torch.float64)
    return rows @ rows.T


K, Y = kernel(), torch.randn(6, dtype=torch.float64)


@pytest.mark.parametrize(
    "result",
    [
        lambda a: spectra.spectrum(a(K)).eigenvalues,
        lambda a: spectra.cka(a(K), a(K @ K)),
        lambda a: spectra.kernel_target_alignment(a(K), a(Y)),
        lambda a: spectra.top_k(a(K), 2),
        lambda a: spectra.spectral_density(a(K), probes=2, steps=3).nodes,
        lambda a: spectra.enclose(a(K)).upper,
        lambda a: [b.value for b in bounds.side_by_side(a(K), a(Y))],
        lambda a: bounds.trace_bound(a(K), n_samples=6, radius=1.0).value,
        lambda a: (
            dynamics.linearize(a(K), a(Y[:, None]), a(Y[:, None])).descent([0, 3], lr=0.1).loss
        ),
        lambda a: dynamics.SquaredDynamics.of(a(K), a(Y)).flow([1.0]).change_at(a(K[:2])),
        lambda a: tensor_train.tt_svd(a(K.reshape(2, 3, 6))).cores[0],
        lambda a: ntklab.jacobian(nn.Linear(6, 1, bias=False), a(K.float())).gram(),
    ],
)
def test_arrays_give_what_tensors_give(result):
    torch.manual_seed(3)
    of_tensors = result(lambda tensor: tensor)
    torch.manual_seed(3)
    of_arrays = result(lambda tensor: tensor.numpy())
    if isinstance(of_tensors, tuple):
        of_tensors, of_arrays = of_tensors[0], of_arrays[0]
    torch.testing.assert_close(of_arrays, of_tensors, rtol=1e-12, atol=1e-12)


def test_arrays_in_lists_and_mappings_are_taken():
    @takes_arrays
    def kinds(first, *, second):
        return type(first[0]).__name__, type(second["a"]).__name__, second["b"]

    assert kinds([np.ones(2)], second={"a": np.ones(2), "b": "text"}) == (
        "Tensor",
        "Tensor",
        "text",
    )


@pytest.mark.parametrize(
    "array",
    [np.arange(4.0)[::-1], np.arange(4.0).astype(">f8"), np.broadcast_to(1.0, 4)],
    ids=["reversed", "foreign byte order", "read-only"],
)
def test_arrays_that_torch_cannot_share_are_copied(array, recwarn):
    assert tensor_of(array).tolist() == array.tolist()
    assert not recwarn.list


def test_an_array_of_words_is_refused():
    with pytest.raises(InputError, match="holds no numbers"):
        tensor_of(np.array(["a"]))


X, LABELS = torch.randn(10, 3), torch.arange(10) % 2


def loader(*tensors, **options):
    return DataLoader(TensorDataset(*tensors), batch_size=4, **options)


@pytest.mark.parametrize(
    "given",
    [
        loader(X, LABELS),
        loader(X),
        DataLoader(X, batch_size=3),
        DataLoader([{"input": row} for row in X], batch_size=4),
    ],
    ids=["pairs", "inputs", "a tensor", "mappings"],
)
def test_a_kernel_of_a_loader_is_that_of_its_samples(given):
    model = nn.Linear(3, 2)
    wanted = ntklab.ntk(model, X)
    torch.testing.assert_close(ntklab.ntk(model, given), wanted)
    torch.testing.assert_close(ntklab.jacobian(model, given).gram(), wanted)


def test_a_loader_that_shuffles_is_refused():
    with pytest.raises(InputError, match="shuffle=False"):
        ntklab.jacobian(nn.Linear(3, 2), loader(X, LABELS, shuffle=True))


def test_a_loader_gives_the_data_of_a_run_pair_by_pair():
    data = ntklab.Data.of(loader(X, X.sum(1, keepdim=True), shuffle=True))
    torch.testing.assert_close(data.inputs.sum(1, keepdim=True), data.targets)
    assert data.n_samples == 10


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (DataLoader(X, batch_size=3), "no samples with targets"),
        (X, "no samples with targets"),
        (loader(X, X, X), "3 parts"),
        (DataLoader([torch.ones(2), torch.ones(3)]), "samples of one shape"),
    ],
)
def test_data_that_are_no_pairs_are_refused(given, sentence):
    with pytest.raises(InputError, match=sentence):
        ntklab.Data.of(given)


def test_an_empty_loader_is_refused():
    with pytest.raises(InputError, match="no batch"):
        all_batches(DataLoader([], batch_size=1))


def test_training_takes_arrays_pairs_and_loaders():
    losses = []
    for data in (
        ntklab.Data(X, LABELS),
        (X.numpy().astype(np.float64), LABELS.numpy().astype(np.int32)),
        loader(X, LABELS),
    ):
        torch.manual_seed(1)
        run = ntklab.train(nn.Linear(3, 2), data, ntklab.TrainConfig(steps=3, optimizer="gd"))
        losses.append(run.final["train_loss"])
    assert losses[1:] == losses[:1] * 2


def test_a_seed_is_a_generator():
    from ntklab.adapters import METHODS

    for method in METHODS:
        seeded = ntklab.build_adapter(method, 12, 2, seed=5)
        drawn = ntklab.build_adapter(method, 12, 2, generator=torch.Generator().manual_seed(5))
        other = ntklab.build_adapter(method, 12, 2, seed=6)
        assert all(
            torch.equal(a, b) for a, b in zip(seeded.parameters(), drawn.parameters(), strict=True)
        )
        assert any(
            not torch.equal(a, b)
            for a, b in zip(seeded.state_dict().values(), other.state_dict().values(), strict=True)
        )
    assert torch.equal(ntklab.LoRA(4, 2, 1, seed=3).A, ntklab.LoRA(4, 2, 1, seed=3).A)
    with pytest.raises(InputError, match="give one of the two"):
        ntklab.build_adapter("lora", 4, 2, seed=1, generator=torch.Generator())
