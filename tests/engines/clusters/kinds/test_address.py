"""A scheduler that runs already: found by address or file, computes, and goes on after the run."""

import asyncio
import json
import logging
import socket
import threading

import dask
import pytest
from chunkmeans.config import Cluster
from chunkmeans.config.models import Wait
from chunkmeans.errors import ClusterError, ConfigError
from distributed import LocalCluster

from tests.engines import tasks
from tests.engines.refused import assert_refused
from tests.support.engines import open_engine

GIB = 2**30


@pytest.fixture(scope="module")
def scheduler():
    # a worker that is this process would be paused, for ever, once the tests have grown it
    awake = dask.config.set({"distributed.worker.memory.pause": False})
    with (
        awake,
        LocalCluster(
            n_workers=1,
            threads_per_worker=2,
            processes=False,
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
            host="127.0.0.1",
            protocol="tcp",
            memory_limit=GIB,
        ) as cluster,
    ):
        yield cluster.scheduler_address


def test_a_running_scheduler_computes_and_goes_on_after_the_run(scheduler):
    for _ in range(2):
        with open_engine("address", {"address": scheduler}) as engine:
            assert (engine.workers, engine.threads, engine.memory) == (1, 2, GIB)
            assert engine.map_reduce(tasks.square, range(5), tasks.plus, name="sum") == 30


@pytest.mark.parametrize(("asked", "given"), [(GIB // 2, GIB // 2), (2 * GIB, GIB)])
def test_no_more_memory_is_used_than_asked_for_or_than_a_worker_has(scheduler, asked, given):
    with open_engine("address", {"address": scheduler}, memory=asked) as engine:
        assert engine.memory == given


def test_a_scheduler_that_does_not_answer_is_an_error():
    options = {"address": "tcp://127.0.0.1:9", "timeout": 5}
    with pytest.raises(ClusterError, match=r"answers at tcp://127.0.0.1:9: (conn|time-out)"):
        open_engine("address", options)


@pytest.mark.parametrize(
    ("first", "says"),
    [
        (ConnectionRefusedError(111, "refused"), "connection refused; is the scheduler running"),
        (asyncio.CancelledError(), r"time-out \(no luck after 9 s\); is the address right"),
        (TimeoutError(), r"time-out \(no luck after 9 s\); is the address right"),
        (socket.gaierror(-2, "not known"), r"no machine of that name is known here \(not known\)"),
        (MemoryError(2**61), "something else than a Dask scheduler listens there"),
        (ValueError("unknown address scheme 'x'"), "unknown address scheme 'x'"),
    ],
)
def test_why_a_scheduler_does_not_answer_is_told_in_words(monkeypatch, first, says):
    def refuse(*_args, **_kwargs):
        try:
            raise first
        except BaseException as error:
            raise OSError("no luck after 9 s") from error

    monkeypatch.setattr("chunkmeans.engines.clusters.kinds.address.await_answer", refuse)
    with pytest.raises(ClusterError, match=rf"answers at tcp://127\.0\.0\.1:9: {says}"):
        open_engine("address", {"address": "tcp://127.0.0.1:9"})


def test_a_scheduler_without_workers_is_an_error_after_the_time_to_wait():
    with LocalCluster(
        n_workers=0, host="127.0.0.1", dashboard_address="127.0.0.1:0", processes=False,
        protocol="tcp", silence_logs=logging.CRITICAL,
    ) as cluster:  # fmt: skip
        options = {"address": cluster.scheduler_address}
        section = Cluster(kind="address", options=options, wait=Wait(timeout=0.2))
        with pytest.raises(ClusterError, match=r"has had no worker for 0.2 seconds; start workers"):
            open_engine(section)


def test_a_scheduler_is_found_by_the_file_that_it_wrote(scheduler, tmp_path):
    file = tmp_path / "scheduler.json"
    file.write_text(json.dumps({"type": "Scheduler", "address": scheduler}))
    with open_engine("scheduler_file", {"scheduler_file": str(file)}) as engine:
        assert engine.map_reduce(tasks.square, range(5), tasks.plus, name="sum") == 30


def test_a_file_that_is_about_to_be_written_is_waited_for(scheduler, tmp_path):
    file = tmp_path / "scheduler.json"

    def write():
        part = tmp_path / "part"
        part.write_text(json.dumps({"address": scheduler}))
        part.rename(file)

    timer = threading.Timer(0.3, write)
    timer.start()
    with open_engine("scheduler_file", {"scheduler_file": str(file)}) as engine:
        assert engine.workers == 1
    timer.join()


def test_a_file_that_nobody_writes_is_an_error_after_the_time_to_wait(tmp_path):
    file = tmp_path / "scheduler.json"
    section = Cluster(
        kind="scheduler_file", options={"scheduler_file": str(file)}, wait=Wait(timeout=0.2)
    )
    with pytest.raises(ClusterError, match=r"has written it within 0.2 seconds; start one"):
        open_engine(section)


@pytest.mark.parametrize("text", ["", "[]", "{}"])
def test_a_file_that_no_scheduler_wrote_is_refused(tmp_path, text):
    file = tmp_path / "scheduler.json"
    file.write_text(text)
    assert_refused("scheduler_file", {"scheduler_file": str(file)}, "is not what dask scheduler")


@pytest.mark.parametrize(
    ("kind", "other"), [("address", "scheduler_file"), ("scheduler_file", "address")]
)
def test_each_of_the_two_takes_its_own_option_only(kind, other):
    assert_refused(kind, {other: "x"}, f"cluster.options.{other}: kind {kind} does not know it")
    assert_refused(kind, {}, f"cluster.options.{kind}: missing; give the scheduler's")


def test_workers_that_are_there_are_not_scaled(scheduler):
    with pytest.raises(ConfigError, match=r"cluster.scale: kind address has no use for it"):
        open_engine(Cluster(kind="address", options={"address": scheduler}, scale=2))
