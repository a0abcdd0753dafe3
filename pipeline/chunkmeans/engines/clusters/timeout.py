"""A limit on the time of calls into packages that may wait for an answer for ever.

Classes of Dask ask services (a gateway, an API server, an sshd) that may take a connection and
never send a byte.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from typing import TypeVar

from chunkmeans.errors import ClusterError

_Value = TypeVar("_Value")


def call_within(
    seconds: float,
    call: Callable[[], _Value],
    late: str,
    undo: Callable[[_Value], object] = lambda _: None,
) -> _Value:
    """Return what a call returns, in a thread that nothing waits for if it never does.

    Parameters
    ----------
    seconds
        How long to wait.
    call
        What to call.
    late
        The message of the error where that is over.
    undo
        Called with what is returned after that time.

    Raises
    ------
    ClusterError
        If it did not return in time. Its own errors are raised too.
    """
    future: Future[_Value] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:
            future.set_exception(error)

    def discard(done: "Future[_Value]") -> None:
        if done.exception() is None:
            with suppress(Exception):
                undo(done.result())

    threading.Thread(target=run, name="chunkmeans-start", daemon=True).start()
    try:
        wait([future], seconds)
        if not future.done():
            raise ClusterError(late)
    except BaseException:  # too late, or Ctrl-C
        future.add_done_callback(discard)
        raise
    return future.result()
