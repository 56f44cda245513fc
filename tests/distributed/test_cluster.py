import sys

import pytest

from ntklab.distributed import completed, connect, worker_memory
from ntklab.errors import InputError, MissingExtraError

pytestmark = pytest.mark.usefixtures("ends")


def test_without_the_extra_the_sentence_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "dask.distributed", None)
    with pytest.raises(MissingExtraError, match=r"ntklab\[cluster\]"), connect("local:1"):
        pass


def test_a_client_is_taken_as_it_is(cluster):
    with connect(cluster) as client:
        assert client is cluster
    assert cluster.status == "running"  # and not closed


def test_nobody_answers(monkeypatch):
    pytest.importorskip("dask.distributed")
    monkeypatch.setattr("ntklab.distributed.cluster._PATIENCE", 1)
    nobody = pytest.raises(InputError, match=r"no dask scheduler answers at tcp://127\.0\.0\.1:9")
    with nobody, connect("tcp://127.0.0.1:9"):
        pass
    with pytest.raises(InputError, match=r"answers at absent\.json"), connect("absent.json"):
        pass
    with pytest.raises(InputError, match="local:0 has no workers"), connect("local:0"):
        pass


def test_results_come_as_they_are_finished_and_a_task_raises_its_own_error(cluster):
    futures = [cluster.submit(pow, k, 2) for k in range(5)]
    assert sorted(completed(futures, "kept")) == [0, 1, 4, 9, 16]
    with pytest.raises(ZeroDivisionError):
        list(completed([cluster.submit(divmod, 1, 0)], "kept"))
    with pytest.raises(FileNotFoundError):
        list(completed([cluster.submit(open, "/no/such/file")], "kept"))


def test_results_come_to_whoever_asked_whatever_became_of_another_client(cluster):
    """The other one is dask's default here, and its loop runs no more."""
    distributed = pytest.importorskip("dask.distributed")
    with (
        distributed.LocalCluster(n_workers=0, processes=False, dashboard_address=None) as nobody,
        distributed.Client(nobody) as other,
    ):
        other.close()
        nobody.close()
        assert list(completed([cluster.submit(pow, 2, 5, pure=False)], "kept")) == [32]
    assert list(completed([], "kept")) == []


def test_a_future_that_the_scheduler_gave_up_is_a_sentence(cluster):
    future = cluster.submit(pow, 3, 3, pure=False)
    future.cancel()
    with pytest.raises(InputError, match="went away: blocks stand in K"):
        list(completed([future], "blocks stand in K"))


def test_a_result_that_cannot_be_fetched_is_a_sentence(cluster, monkeypatch):
    """The connection breaks while a finished result is on its way: the client still runs."""
    from distributed.comm.core import CommClosedError

    future = cluster.submit(pow, 3, 4, pure=False)

    def broken(timeout=None):
        raise CommClosedError("connection reset by peer")

    assert future.result() == 81
    monkeypatch.setattr(future, "result", broken)
    assert cluster.status == "running"
    with pytest.raises(InputError, match="went away: blocks stand in K"):
        list(completed([future], "blocks stand in K"))


def test_without_any_worker_there_is_a_sentence_in_the_end():
    """A worker that dies as it starts is not started again; dask alone would wait for ever."""
    distributed = pytest.importorskip("dask.distributed")
    dask = pytest.importorskip("dask")
    with (
        dask.config.set({"distributed.scheduler.no-workers-timeout": "1ms"}),
        distributed.LocalCluster(n_workers=0, processes=False, dashboard_address=None) as nobody,
        distributed.Client(nobody) as client,
        pytest.raises(InputError, match=r"no worker is left, .*: blocks stand in K; take"),
    ):
        list(completed([client.submit(pow, 3, 5)], "blocks stand in K"))


def test_memory_is_that_of_all_workers(cluster):
    assert (worker_memory(cluster) or 1) > 0
