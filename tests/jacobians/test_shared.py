"""Rows and kernels by the workers of a cluster, against those of this process."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn

pytest.importorskip("dask.distributed", reason="needs the extra cluster")
pytest.importorskip("zarr", reason="needs the extra cluster")

from ntklab import build_adapter, jacobian, ntk
from ntklab.adapters import METHODS, TensorGuide
from ntklab.distributed import Recipe
from ntklab.errors import InputError, MissingExtraError
from ntklab.jacobians import TokenLogits
from ntklab.jacobians.shared import recipe_of, shared_gram
from ntklab.tensor_train import TTShape
from tests.distributed.builders import blocks_of, inputs, mlp

OUTPUTS = ("full", "trace", "pseudo", "diagonal")
MLP = Recipe("tests.distributed.builders:mlp", {"width": 4, "seed": 0})


def close(first, second):
    return torch.allclose(torch.as_tensor(first), torch.as_tensor(second), rtol=1e-12, atol=1e-12)


@pytest.fixture
def adapter():
    return build_adapter("tensorguide", 16, 3, width=16, activation="relu", dtype=torch.float64)


@pytest.fixture
def features():
    return torch.randn(11, 16, dtype=torch.float64)


@pytest.mark.parametrize("chunk", [1, 4, 50])
def test_to_dask_gives_the_rows(cluster, adapter, features, chunk):
    J = jacobian(adapter, features)
    array = J.to_dask(chunk)
    assert array.shape == J.shape
    assert array.chunks[0][0] == min(chunk, 11) * 3
    assert close(array.compute(scheduler=cluster), J.dense())


def test_to_dask_needs_no_cluster(adapter, features):
    array = jacobian(adapter, features).to_dask(5)
    assert close(array.compute(scheduler="synchronous"), jacobian(adapter, features).dense())


def test_to_dask_refuses_what_cannot_be(adapter, features, monkeypatch):
    with pytest.raises(InputError, match="samples_per_chunk = 0"):
        jacobian(adapter, features).to_dask(0)
    monkeypatch.setitem(sys.modules, "dask.array", None)
    with pytest.raises(MissingExtraError, match=r"ntklab\[cluster\]"):
        jacobian(adapter, features).to_dask(2)


@pytest.mark.parametrize("by", ["rows", "samples"])
@pytest.mark.parametrize("output", OUTPUTS)
def test_kernels_are_those_of_one_process(cluster, adapter, features, by, output):
    J = jacobian(adapter, features)
    shared = shared_gram(J, cluster, output=output, samples_per_chunk=4, by=by)
    assert close(shared.kernel, J.gram(output=output))
    assert shared.computed == shared.blocks == 6


@pytest.mark.parametrize("engine", ["layerwise", "jacrev", "loop"])
def test_any_model_is_shared_by_a_recipe(cluster, engine):
    model, x = mlp(4, 0), inputs(7)
    J = jacobian(model, x, engine=engine)
    shared = shared_gram(J, cluster, samples_per_chunk=3, recipe=recipe_of(J, MLP))
    assert shared.by == ("samples" if engine == "layerwise" else "rows")
    assert close(shared.kernel, J.gram())


def test_the_verb_takes_a_scheduler(cluster):
    model, x = mlp(4, 0), inputs(6)
    there = ntk(model, x, output="trace", scheduler=cluster, recipe=MLP, params=["2.*"])
    assert close(there, ntk(model, x, output="trace", params=["2.*"]))
    with pytest.raises(InputError, match="two sets of inputs"):
        ntk(model, x, x, scheduler=cluster, recipe=MLP)


@pytest.mark.parametrize("method", sorted(METHODS))
@pytest.mark.parametrize("preset", ["ntk", "released"])
def test_the_recipe_of_an_adapter_builds_it_as_it_is_now(method, preset):
    adapter = build_adapter(method, 16, 3, preset=preset, dtype=torch.float64)
    with torch.no_grad():
        for parameter in adapter.parameters():
            parameter.add_(0.1)
    J = jacobian(adapter, torch.randn(4, 16, dtype=torch.float64))
    assert torch.equal(recipe_of(J).build().dense(), J.dense())


def test_readouts_and_a_frozen_base_travel(features):
    base = nn.Linear(16, 3, bias=False, dtype=torch.float64)
    adapter = build_adapter("lora", 16, 3, rank=2, base=base, dtype=torch.float64)
    J = jacobian(adapter, features, readout=TokenLogits((0, 2)))
    made = recipe_of(J).build()
    assert made.n_outputs == 2
    assert torch.equal(made.dense(), J.dense())


def test_models_without_a_recipe_are_refused(features):
    shape = TTShape((1, 2), (16, 19), (1, 2, 1))
    made = TensorGuide(16, 3, 16, shape=shape, activation="relu").double()
    for model in (nn.Linear(16, 3).double(), made):
        with pytest.raises(InputError, match=r"cannot build a .* from words: give recipe=Recipe"):
            ntk(model, features, scheduler="local:1")
    J = jacobian(nn.Linear(16, 3).double(), features, readout=lambda result, x: result)
    with pytest.raises(InputError, match="readout that is a function of yours"):
        recipe_of(J)


def test_a_recipe_of_another_model_is_refused():
    x = inputs(4)
    J = jacobian(mlp(4, 0), x)
    others = (
        Recipe("tests.distributed.builders:mlp", {"width": 4, "seed": 1}),
        Recipe("tests.distributed.builders:mlp", {"width": 5, "seed": 0}),
        Recipe("torch.nn:Linear", {"in_features": 5, "out_features": 2}),
    )
    for other in others:
        with pytest.raises(InputError, match="builds another model than the one given"):
            recipe_of(J, other)
    with pytest.raises(InputError, match="gives a Tensor: it must give a module"):
        recipe_of(J, Recipe("tests.distributed.builders:inputs", {"samples": 2}))


def test_a_kernel_without_a_store_keeps_to_the_memory(cluster, adapter, features):
    with pytest.raises(InputError, match=r"the kernel alone takes .* or give a store"):
        shared_gram(jacobian(adapter, features, memory=8000), cluster)


def test_blocks_that_are_there_are_not_computed_again(cluster, adapter, features, tmp_path):
    J, place = jacobian(adapter, features), tmp_path / "k.zarr"
    first = shared_gram(J, cluster, store=place, samples_per_chunk=4)
    times = blocks_of(place)
    assert (first.computed, first.kernel, len(times)) == (6, None, 6)
    heard = []
    again = shared_gram(J, store=place, progress=lambda *done: heard.append(done))  # nobody asked
    assert again.computed == 0
    assert heard == [(6, 6)]
    (place / "gram" / "c" / "0" / "1").unlink()
    mended = shared_gram(J, cluster, store=place)
    assert mended.computed == 1
    assert {k: v for k, v in blocks_of(place).items() if k in times} != times
    assert close(mended.store.dense(), J.gram())


def test_a_store_of_other_inputs_or_weights_is_refused(cluster, adapter, features, tmp_path):
    place = tmp_path / "k.zarr"
    shared_gram(jacobian(adapter, features), cluster, store=place)
    with pytest.raises(InputError, match="holds blocks with recipe = "):
        shared_gram(jacobian(adapter, features + 1), cluster, store=place)
    with pytest.raises(InputError, match="samples = 11, not 10"):
        shared_gram(jacobian(adapter, features[:10]), cluster, store=place)
    with torch.no_grad():
        next(adapter.parameters()).add_(1)
    with pytest.raises(InputError, match="holds blocks with recipe = "):
        shared_gram(jacobian(adapter, features), cluster, store=place)


def test_the_store_may_be_coarser_than_the_sums(cluster, adapter, features, tmp_path):
    J = jacobian(adapter, features)
    shared = shared_gram(J, cluster, store=tmp_path / "k.zarr", dtype=torch.float32)
    kept = shared.store.dense()
    assert kept.dtype == np.float32
    assert abs(kept - J.gram().numpy()).max() <= 1e-7 * float(J.gram().max())


@pytest.fixture
def mortals(ends):
    """Two workers of their own, for tests that kill them; a client, and their processes.

    Only workers that have long been up are killed: one that dies while it starts is not started
    again.
    """
    from dask.distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50
        ) as workers,
        Client(workers) as client,
    ):
        client.wait_for_workers(2)
        yield client, list(client.run(os.getpid).values())


def fatal_recipe(place, *, after, victims):
    arguments = {"samples": 8, "store": str(place), "after": after, "victims": victims}
    return Recipe("tests.distributed.builders:fatal", arguments)


def test_a_killed_worker_costs_its_blocks_only(mortals, tmp_path):
    place, (client, victims) = tmp_path / "k.zarr", mortals
    J = jacobian(mlp(4, 0), inputs(8), engine="jacrev")
    recipe = fatal_recipe(place, after=3, victims=victims)
    how = {"store": place, "recipe": recipe, "by": "samples", "samples_per_chunk": 2}
    shared = shared_gram(J, client, **how)
    assert shared.computed == 10
    assert close(shared.store.dense(), J.gram())
    after = blocks_of(place)
    for victim in victims:  # both died, and what was finished before was left alone
        before = json.loads((tmp_path / f"death-{victim}.json").read_text())
        assert len(before) >= 3
        assert before.items() <= after.items()
    assert shared_gram(J, **how).computed == 0


def test_a_task_that_kills_its_workers_is_a_sentence_and_blocks_stay(mortals, cluster, tmp_path):
    place, (client, victims) = tmp_path / "k.zarr", mortals
    client.cluster.scheduler.allowed_failures = 0  # instead of three, each of a new worker
    J = jacobian(mlp(4, 0), inputs(8), engine="jacrev")
    how = {"store": place, "by": "samples", "samples_per_chunk": 4}
    recipe = fatal_recipe(place, after=1, victims=victims)
    with pytest.raises(InputError, match=r"workers died again and again .* are kept in "):
        shared_gram(J, client, recipe=recipe, config={"a": 1}, **how)
    workers = client.cluster
    client.close()
    workers.close()  # nobody writes any more
    kept = blocks_of(place)
    assert 1 <= len(kept) < 3
    mended = shared_gram(J, cluster, recipe=recipe_of(J, MLP), config={"a": 1}, **how)
    assert mended.computed == 3 - len(kept)
    assert kept.items() <= blocks_of(place).items()


def test_two_runs_on_one_store_do_not_harm_each_other(cluster, adapter, features, tmp_path):
    J, place = jacobian(adapter, features), tmp_path / "k.zarr"
    how = {"store": place, "samples_per_chunk": 2, "recipe": recipe_of(J)}
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(shared_gram, J, cluster, **how) for _ in range(2)]
        stores = [one.result().store for one in both]
    for store in stores:
        assert close(store.dense(), J.gram())
    assert not [path for path in place.rglob("*") if path.suffix in (".tmp", ".partial")]


def started(*words):
    command = [sys.executable, "-m", f"distributed.cli.dask_{words[0]}", *map(str, words[1:])]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def test_a_scheduler_that_goes_away_is_a_sentence_and_the_same_call_goes_on(tmp_path, cluster):
    file, place = tmp_path / "scheduler.json", tmp_path / "k.zarr"
    scheduler = started("scheduler", "--scheduler-file", file, "--port", "0", "--no-dashboard")
    worker = started("worker", "--scheduler-file", file, "--nthreads", "1", "--no-nanny")
    try:
        while not file.exists() and scheduler.poll() is None:
            time.sleep(0.05)
        J = jacobian(mlp(4, 0), inputs(8), engine="jacrev")
        waits = {"samples": 8, "store": str(place), "after": 2}
        recipe = Recipe("tests.distributed.builders:waiting", waits)
        how = {"store": place, "by": "samples", "samples_per_chunk": 2, "config": {"a": 1}}

        def stop(done, of):
            if done == 2:  # and the worker waits, however long this takes to arrive
                os.kill(scheduler.pid, signal.SIGKILL)

        with pytest.raises(InputError, match=r"the dask scheduler went away: .* are kept in"):
            shared_gram(J, str(file), progress=stop, recipe=recipe, **how)
    finally:
        for process in (scheduler, worker):
            process.kill()
            process.wait()
    kept = blocks_of(place)
    assert len(kept) == 2
    shared = shared_gram(J, cluster, recipe=recipe_of(J, MLP), **how)
    assert shared.computed == 8
    assert kept.items() <= blocks_of(place).items()
    assert close(shared.store.dense(), J.gram())
