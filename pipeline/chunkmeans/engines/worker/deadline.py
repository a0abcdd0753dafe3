"""A limit on the time of what may never come back: a decoder that hangs, in native code too.

Nothing ends a thread from outside; what can be ended is its process. So a limit holds where the
process can be spared because somebody starts another one, and nowhere else: in a worker that a
nanny watches, and in a process of one item's own. Before such a process ends it tells what took so
long, so that the item is not tried again on the next worker.

A decoder that does not even let go of Python's lock cannot be told of: then a timer of the
interpreter, which needs no lock, ends the process without a word.
"""

import faulthandler
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic, sleep
from typing import NoReturn, TextIO

from chunkmeans.engines.base import OutOfTime

GRACE = 5.0
"""Seconds over the limit after which a process ends that cannot say anything, or stood still."""
LAST_WORDS = 0.5
"""Seconds that what a process tells takes to leave it."""
IDLE = 10.0
"""Seconds without anything limited after which no time is counted: the process may be others'."""


@dataclass(eq=False, slots=True)
class _Running:
    """Something that may take so long and no longer."""

    left: float
    """Seconds."""
    why: str
    tell: Callable[[OutOfTime], object]
    over: bool = False


class _Thread(threading.local):
    tell: Callable[[OutOfTime], object] | None = None


_here = _Thread()
_running: set[_Running] = set()
_lock = threading.Lock()
_limits: set[float] = set()
"""Of what ran since the clock was started."""
_trace: TextIO | None = None
_clock: threading.Thread | None = None


@contextmanager
def spared(tell: Callable[[OutOfTime], object], trace: TextIO | None = None) -> Iterator[None]:
    """Let what this thread does `limited` in here end the process; `tell` is called before.

    Parameters
    ----------
    tell
        Takes why the process is about to end; from another thread.
    trace
        Gets a line where the process ends without a word; None: nobody does.
    """
    global _trace
    before, _here.tell = _here.tell, tell
    _trace = trace or _trace
    try:
        yield
    finally:
        _here.tell = before


@contextmanager
def limited(seconds: float, why: str) -> Iterator[None]:
    """End this process, if it can be spared, when what is done in here takes too long.

    Parameters
    ----------
    seconds
        How long it may take. Of time in which the whole process stood still nothing counts that
        would be told.
    why
        What is told, for people.
    """
    tell = _here.tell
    if tell is None:
        yield
        return
    running = _Running(seconds, why, tell)
    with _lock:
        _running.add(running)
        if _clock is None or seconds not in _limits:
            _limits.add(seconds)
            _begin()
    try:
        yield
    finally:
        with _lock:
            _running.discard(running)
            over = running.over
        if over:  # it was told that this failed; nothing of it may go on
            threading.Event().wait()


def _begin() -> None:
    """See to it that time is counted, and by a limit that is new."""
    global _clock
    _arm()
    if _clock is None:
        _clock = threading.Thread(target=_count, name="overtime", daemon=True)
        _clock.start()


def _count() -> None:
    global _clock
    last, idle = monotonic(), 0.0
    while True:
        pause = _pause()
        sleep(pause)
        now = monotonic()
        passed, last = min(now - last, 2 * pause), now
        with _lock:
            for running in _running:
                running.left -= passed
                running.over = running.left < 0
            late = [running for running in _running if running.over]
            idle = 0.0 if _running else idle + passed
            if idle > IDLE:
                faulthandler.cancel_dump_traceback_later()
                _limits.clear()
                _clock = None
                return
            _arm()
        if late:
            _end(late)


def _pause() -> float:
    """Seconds between two looks at the clock."""
    return max(0.02, min(1.0, min(_limits) / 10))


def _arm() -> None:
    """Put off the end of this process, which comes when this is not called again."""
    global _trace
    if _trace is None:
        _trace = open(os.devnull, "w")  # noqa: SIM115 (the timer needs it as long as we live)
    faulthandler.dump_traceback_later(max(_limits) + GRACE, exit=True, file=_trace)


def _end(late: list[_Running]) -> NoReturn:
    for running in late:
        running.tell(OutOfTime(running.why))
    sleep(LAST_WORDS)
    os._exit(1)
