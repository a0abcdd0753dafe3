"""A limit on the time of calls into other people's code, which may wait for an answer for ever.

Classes of Dask ask services (a gateway, an API server, an sshd) that may take a connection and
never say a word.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from typing import TypeVar

Value = TypeVar("Value")


class TooLate(Exception):
    """A call did not return in time."""


def within(
    seconds: float, call: Callable[[], Value], undo: Callable[[Value], object] | None = None
) -> Value:
    """Return what a call returns, in a thread that nothing waits for if it never does.

    Parameters
    ----------
    seconds
        How long to wait.
    call
        What to call.
    undo
        Called with what comes after all when nobody wants it any more.

    Raises
    ------
    TooLate
        If it did not return in time. Its own errors are raised too.
    """
    future: Future[Value] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:
            future.set_exception(error)

    def leave(done: "Future[Value]") -> None:
        if done.exception() is None and undo is not None:
            with suppress(Exception):
                undo(done.result())

    threading.Thread(target=run, name="chunkmeans-start", daemon=True).start()
    try:
        wait([future], seconds)
    except BaseException:  # Ctrl-C
        future.add_done_callback(leave)
        raise
    if not future.done():
        future.add_done_callback(leave)
        raise TooLate
    return future.result()
