"""Attempts: what every engine retries, how often, and the error that is left.

Runs where the task runs, so that attempts and seconds are true. Pure Python, no dask.
"""

import pickle
import traceback
from collections.abc import Callable
from time import perf_counter, sleep

from chunkmeans.engines.base import ItemT, Outcome, ValueT, describe_item
from chunkmeans.errors import ChunkError
from chunkmeans.retry import PAUSES, is_transient


def attempt(task: Callable[[ItemT], ValueT], item: ItemT) -> Outcome[ItemT, ValueT]:
    """Run `task` on `item`, again where its error is transient, and return the outcome.

    The error of an outcome can be sent to another process: its traceback is kept as a note, and
    it holds no frames, hence none of the arrays that the task was working on.
    """
    attempts = 0
    while True:
        attempts, start = attempts + 1, perf_counter()
        try:
            return Outcome(item, task(item), None, attempts, perf_counter() - start)
        except Exception as error:
            seconds = perf_counter() - start
            if attempts > len(PAUSES) or not is_transient(error):
                return Outcome(item, None, portable(error, item), attempts, seconds)
        sleep(PAUSES[attempts - 1])


def portable(error: Exception, item: object) -> Exception:
    """Return `error` fit to be kept and sent: with its traceback as a note, without frames.

    An error that does not survive pickling becomes a `ChunkError` with its text.
    """
    trace = "".join(traceback.format_exception(error)).rstrip()
    cause: BaseException | None = error
    while cause is not None:
        cause.__traceback__ = None
        cause = cause.__cause__ or cause.__context__
    try:
        copy = pickle.loads(pickle.dumps(error))
        faithful = type(copy) is type(error) and str(copy) == str(error)
    except Exception:  # whatever a foreign class does when it is pickled
        faithful = False
    if not faithful:
        error = ChunkError(f"{type(error).__name__}: {error}")
    error.add_note(f"while working on {describe_item(item)}:\n{trace}")
    return error
