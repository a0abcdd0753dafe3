"""What is warned of while an image is worked on, heard image by image.

tifffile and pillow log, pillow and NumPy use Python's warnings; both go to the whole process, in
which tasks run side by side in threads. Here they go to the image at whose work they came up, and
not to the terminal: each thread hears its own.
"""

import logging
import threading
import warnings
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

MOST = 8
"""Different warnings that are kept of an image: the first in alphabetical order."""
LONGEST = 300
"""Letters of a warning that are kept."""

_KINDS = (UserWarning, RuntimeWarning)
"""Warnings about what is read; others, such as of deprecation, are about code."""
_LOGGERS = ("tifffile", "PIL")
_ENOUGH = 1000
"""Different warnings at a time."""


class _Ears(threading.local):
    """What a thread heard in each of its contexts, the innermost last."""

    def __init__(self) -> None:
        self.found: list[dict[str, None]] = []


_here = _Ears()
_lock = threading.Lock()
_users = 0
_caught: Any = None
_shown: Any = None


class _Handler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        if _here.found:
            hear([record.getMessage()])
        elif logging.lastResort is not None and not logging.getLogger().handlers:
            logging.lastResort.handle(record)  # as it would go if nobody listened


_handler = _Handler(logging.WARNING)


@contextmanager
def hearing() -> Iterator[Collection[str]]:
    """Keep what this thread is warned of, each thing once; the innermost of several hears it.

    Yields what is heard, in the order of time; `heard` returns it as a result tells it.

    Notes
    -----
    Python's warnings have one state for all threads. It is changed when the first thread begins
    to hear and put back when the last one ends; a thread that does not hear shows its warnings as
    ever.
    """
    found: dict[str, None] = {}
    _begin()
    _here.found.append(found)
    try:
        yield found
    finally:
        _here.found.pop()
        _end()


def heard() -> tuple[str, ...]:
    """Return what this thread was warned of in its innermost context.

    In an order that does not depend on what came first, and no more than `MOST`: what parts of an
    image are warned of, merged by `hear`, is what the whole is warned of.
    """
    return tuple(sorted(_here.found[-1])[:MOST]) if _here.found else ()


def hear(messages: Iterable[str]) -> None:
    """Add messages to what this thread's innermost context has heard; in none they are dropped."""
    if not _here.found:
        return
    found = _here.found[-1]
    found.update(dict.fromkeys(map(_line, messages)))
    if len(found) > _ENOUGH:
        kept = heard()
        found.clear()
        found.update(dict.fromkeys(kept))


def _line(message: str) -> str:
    """Return a message as one line that is not too long."""
    text = " ".join(message.split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def _begin() -> None:
    global _users, _caught, _shown
    with _lock:
        if _users == 0:
            for name in _LOGGERS:
                logging.getLogger(name).addHandler(_handler)
            _caught = warnings.catch_warnings()
            _caught.__enter__()
            _shown = warnings.showwarning
            warnings.showwarning = _hear
            for kind in _KINDS:  # the second image is warned of as the first was
                warnings.simplefilter("always", kind)
        _users += 1


def _end() -> None:
    global _users
    with _lock:
        _users -= 1
        if _users == 0:
            _caught.__exit__(None, None, None)
            for name in _LOGGERS:
                logging.getLogger(name).removeHandler(_handler)


def _hear(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
    if _here.found and issubclass(category, _KINDS):
        hear([str(message)])
    else:
        _shown(message, category, *where, **more)
