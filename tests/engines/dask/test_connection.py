"""Questions to a scheduler end in an answer, also where Dask's own time-outs get in the way."""

import socket
from types import SimpleNamespace

import pytest
from chunkmeans.engines.dask.connection import (
    CHECK_INTERVAL,
    Connection,
    NoWorkers,
    Workers,
    await_answer,
)
from chunkmeans.errors import ClusterError
from distributed.scheduler import NoValidWorkerError
from distributed.security import Security


class Slow:
    """A future whose value is cut off on its way a few times."""

    def __init__(self, *errors, status="finished"):
        self.errors, self.status, self.asked = list(errors), status, []

    def result(self, timeout):
        self.asked.append(timeout)
        if self.errors:
            raise self.errors.pop(0)
        return 7


@pytest.fixture
def connection():
    client = SimpleNamespace(
        scheduler=SimpleNamespace(address="tcp://here"),
        status="running",
        nthreads=lambda **_: {"w": 1},
        run_on_scheduler=lambda *_, **__: None,
        subscribe_topic=lambda *_: None,
    )
    return Connection(client, 1, Workers())


def test_a_scheduler_that_does_not_answer_is_an_error_that_says_how_to_go_on(connection):
    def silent(callback_timeout):
        raise TimeoutError(f"timed out after {callback_timeout} s.")

    connection.client.nthreads = silent
    words = "tcp://here has not answered for 5 seconds; .* the same command resumes"
    with pytest.raises(ClusterError, match=words):
        connection.check(0.0)


def test_whoever_takes_connections_and_says_nothing_is_left_after_a_while():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(TimeoutError, match=r"silent for 0\.5 s"):
            await_answer(address, 0.5, Security())


def test_a_scheduler_that_waited_long_enough_for_workers_is_not_lost(connection):
    gave_up = NoValidWorkerError("task", set(), set(), {}, timeout=9)
    with pytest.raises(NoWorkers, match="has had no worker for longer than it waits"):
        connection.fetch(Slow(gave_up))


def test_who_ended_workers_is_not_told_by_a_scheduler_that_runs_no_functions(connection):
    def refuse(*_, **__):
        raise ValueError("Cannot run function as the scheduler has been explicitly disallowed")

    connection.client.run_on_scheduler = refuse
    assert connection.deaths([SimpleNamespace(key="a")]) == {}


def test_a_value_that_is_cut_off_on_its_way_is_asked_for_again_with_more_patience(connection):
    future = Slow(TimeoutError(), UnboundLocalError("result"), TimeoutError())
    assert connection.fetch(future) == 7
    assert future.asked == [times * CHECK_INTERVAL for times in (1, 2, 4, 8)]


def test_a_task_that_is_not_done_is_looked_after_as_often_as_ever(connection):
    future = Slow(TimeoutError(), TimeoutError(), status="pending")
    assert connection.fetch(future) == 7
    assert future.asked == [CHECK_INTERVAL] * 3


@pytest.mark.parametrize("kind", [TimeoutError, UnboundLocalError])
def test_an_error_of_the_task_itself_is_raised(connection, kind):
    with pytest.raises(kind, match="mine"):
        connection.fetch(Slow(kind("mine"), status="error"))
