import os
import signal
from functools import partial

import pytest
from chunkmeans.engines.base import OutOfMemory, OutOfTime, WorkerKilled
from chunkmeans.engines.worker.isolated import run_isolated

from tests.engines import tasks


def kill_itself(item):
    os.kill(os.getpid(), item)


def kill_at_two(bundle):
    if 2 in bundle:
        os.kill(os.getpid(), signal.SIGSEGV)


def kill_together(bundle):
    if len(bundle) > 1:
        os.kill(os.getpid(), signal.SIGSEGV)


def test_a_healthy_item_comes_back_with_its_value():
    outcome = run_isolated(tasks.square, 7, 2**30)
    assert (outcome.item, outcome.value, outcome.error, outcome.attempts) == (7, 49, None, 1)


def test_an_error_comes_back_as_it_does_anywhere():
    outcome = run_isolated(partial(tasks.always, FileNotFoundError("gone")), 7, 2**30)
    assert isinstance(outcome.error, FileNotFoundError)


@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [
        (signal.SIGSEGV, WorkerKilled, "killed by SIGSEGV"),
        (signal.SIGKILL, OutOfMemory, "SIGKILL, likely for want of memory"),
    ],
)
def test_a_process_that_is_killed_says_by_what(number, kind, words):
    outcome = run_isolated(kill_itself, number, 2**30)
    assert type(outcome.error) is kind
    assert words in str(outcome.error)


@pytest.mark.parametrize(
    ("task", "named"), [(kill_at_two, "2"), (kill_together, "1, 2, 3 and 1 more")]
)
def test_of_a_bundle_the_part_that_kills_is_named_or_all_where_none_does_it_alone(task, named):
    outcome = run_isolated(task, (1, 2, 3, 4), 2**30)
    assert outcome.item == (1, 2, 3, 4)
    assert type(outcome.error) is WorkerKilled
    assert str(outcome.error) == (
        f"{named}: even in an isolated process, it was killed by SIGSEGV (signal 11), likely a "
        "crash of its decoder"
    )


def test_more_memory_than_allowed_ends_it_and_says_both_numbers():
    outcome = run_isolated(tasks.swallow_memory, 1, 400 * 2**20)
    assert type(outcome.error) is OutOfMemory
    assert "MiB where 400 MiB are allowed; raise `memory`" in str(outcome.error)


@pytest.mark.parametrize(
    ("task", "words"),
    [
        (tasks.hang, "7 takes too long"),
        (partial(tasks.hang, lock=True), "7: even in an isolated process, it did not come back"),
    ],
)
def test_more_time_than_allowed_ends_it(task, words):
    outcome = run_isolated(task, 7, 2**30)
    assert type(outcome.error) is OutOfTime
    assert words in str(outcome.error)
