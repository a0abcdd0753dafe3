import errno
import gc
import pickle
import weakref

import pytest
from chunkmeans.engines.base import Outcome
from chunkmeans.engines.worker.attempt import PAUSES, attempt, portable
from chunkmeans.errors import ChunkError, ConfigError, SourceError

from tests.test_retry import caused

SLEEP = "chunkmeans.engines.worker.attempt.sleep"


@pytest.mark.parametrize("failures", [0, 1, 2, 3, 4])
def test_there_are_three_attempts_with_growing_rests(monkeypatch, failures):
    calls, rests = [], []
    monkeypatch.setattr(SLEEP, rests.append)

    def task(item):
        calls.append(item)
        if len(calls) <= failures:
            raise TimeoutError(f"late {len(calls)}")
        return "value"

    outcome = attempt(task, 5)
    assert outcome.attempts == len(calls) == min(failures + 1, 3)
    assert rests == list(PAUSES)[: outcome.attempts - 1]
    assert rests == sorted(rests)
    assert outcome.value == ("value" if failures < 3 else None)
    assert (outcome.error is None) == (failures < 3)


def test_seconds_are_of_the_last_attempt(monkeypatch):
    monkeypatch.setattr(SLEEP, lambda _: pytest.fail("no reason to rest"))
    outcome = attempt(lambda _: 1 / 0, 5)
    assert 0 <= outcome.seconds < 0.1


def test_an_interrupt_is_no_outcome():
    def interrupt(item):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        attempt(interrupt, 5)


def test_a_kept_error_holds_nothing_of_the_task():
    class Array:
        pass

    seen = []

    def inner(array):
        raise OSError(errno.ENOSPC, "full")

    def task(item):
        array = Array()
        seen.append(weakref.ref(array))
        try:
            inner(array)
        except OSError as error:
            raise SourceError("a.tif: full") from error

    outcome = attempt(task, 5)
    gc.collect()
    assert outcome.error.args == ("a.tif: full",)
    assert seen[0]() is None


def test_the_traceback_survives_as_text_with_its_cause():
    def task(item):
        try:
            raise ValueError("the reason")
        except ValueError as error:
            raise SourceError("a.tif: broken") from error

    error = pickle.loads(pickle.dumps(attempt(task, "a.tif").error))
    assert str(error) == "a.tif: broken"
    (note,) = error.__notes__
    assert note.startswith("while working on a.tif:\n")
    assert "ValueError: the reason" in note
    assert "in task" in note


class Local(Exception):
    def __reduce__(self):
        raise TypeError("never")


@pytest.mark.parametrize("error", [Local("own words"), caused(Local("own words"), OSError("x"))])
def test_an_error_that_does_not_pickle_becomes_a_chunk_error(error):
    kept = portable(error, 7)
    assert type(kept) is ChunkError
    assert str(kept) == "Local: own words"
    assert "own words" in kept.__notes__[0]


def test_an_error_of_ours_stays_what_it_is():
    error = ConfigError("k: 0")
    assert portable(error, 7) is error


def test_a_watcher_gets_no_value():
    assert Outcome(1, "value", None, 2, 0.5).without_value() == Outcome(1, None, None, 2, 0.5)
