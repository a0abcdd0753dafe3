"""Deadlines: a limit on the time of what may never return, such as a decoder that hangs.

A thread cannot be ended from outside, in native code least of all; a process can. So a deadline
holds where the process is expendable because another one takes its place, and nowhere else: in a
worker that a nanny watches, and in an isolated process. Before such a process ends it reports what
took so long, so that the item is not retried on the next worker.

A decoder that never releases Python's lock keeps it from reporting: then a timer of the
interpreter, which needs no lock, ends the process without a report.
"""

import faulthandler
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from time import monotonic, sleep
from typing import TextIO

from chunkmeans.engines.base import OutOfTime

GRACE = 5.0
"""Seconds over the limit after which a process ends that cannot report, or stood still."""
REPORT_SECONDS = 0.5
"""Seconds that a report takes to leave the process."""
IDLE = 10.0
"""Seconds without a deadline after which the clock stops: the process may be the user's own."""


@dataclass(eq=False, slots=True)
class _Running:
    """A piece of work with a deadline."""

    left: float
    """Seconds."""
    why: str
    report: Callable[[OutOfTime], object]
    over: bool = False


_report: ContextVar[Callable[[OutOfTime], object] | None] = ContextVar("report", default=None)
"""Of this thread."""
_running: set[_Running] = set()
_lock = threading.Lock()
_limits: set[float] = set()
"""Of what ran since the clock was started."""
_trace: TextIO | None = None
_clock: threading.Thread | None = None


@contextmanager
def expendable(
    report: Callable[[OutOfTime], object], trace: TextIO | None = None
) -> Iterator[None]:
    """Let deadlines of this thread end the process while this is open.

    Parameters
    ----------
    report
        Called, from another thread, with why the process is about to end.
    trace
        Gets a line where the process ends without a report; None: the line is dropped.
    """
    global _trace
    before = _report.set(report)
    _trace = trace or _trace
    try:
        yield
    finally:
        _report.reset(before)


@contextmanager
def limited(seconds: float, why: str) -> Iterator[None]:
    """End this process, if it is expendable, when what is done in here takes too long.

    Parameters
    ----------
    seconds
        How long it may take. Time in which the whole process stood still does not count, as long
        as Python's lock is released now and then.
    why
        The text of the error that is reported.
    """
    global _clock
    report = _report.get()
    if report is None:
        yield
        return
    running = _Running(seconds, why, report)
    with _lock:
        _running.add(running)
        if _clock is None or seconds not in _limits:
            _limits.add(seconds)
            _postpone_end()
            if _clock is None:
                _clock = threading.Thread(target=_count, name="deadline", daemon=True)
                _clock.start()
    try:
        yield
    finally:
        with _lock:
            _running.discard(running)
            over = running.over
        if over:  # its failure was reported; the thread must not go on
            threading.Event().wait()


def _count() -> None:
    """Count the time of all that runs; end the process at the first deadline."""
    global _clock
    last, idle = monotonic(), 0.0
    while True:
        pause = max(0.02, min(1.0, min(_limits) / 10))
        sleep(pause)
        now = monotonic()
        # at most twice the pause: longer, and the process was stopped, or its machine slept
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
            _postpone_end()
        for running in late:
            running.report(OutOfTime(running.why))
        if late:
            sleep(REPORT_SECONDS)
            os._exit(1)


def _postpone_end() -> None:
    """Restart the interpreter's timer, which ends this process when this is not called again."""
    global _trace
    if _trace is None:
        _trace = open(os.devnull, "w")  # noqa: SIM115 (the timer needs it as long as we live)
    faulthandler.dump_traceback_later(max(_limits) + GRACE, exit=True, file=_trace)
