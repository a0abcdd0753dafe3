"""What decoders complain of beside their errors, heard image by image.

tifffile logs, pillow and NumPy use Python's warnings; both go to the whole process. Here they go
to the image at whose reading they came up, and not to the terminal.
"""

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_KINDS = (UserWarning, RuntimeWarning)
"""Warnings about what is read; others, such as of deprecation, are about code."""
_LOGGERS = ("tifffile", "PIL")


class _Listeners(threading.local):
    """The lists that a thread collects into, the innermost last."""

    def __init__(self) -> None:
        self.lists: list[list[str]] = []


_here = _Listeners()
_lock = threading.Lock()
_users = 0
_caught: Any = None
_shown: Any = None


class _Handler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        if _here.lists:
            _here.lists[-1].append(_line(record.getMessage()))


_handler = _Handler(logging.WARNING)


@contextmanager
def listening() -> Iterator[list[str]]:
    """Collect what is logged and warned of in this thread; the innermost of several hears it.

    Notes
    -----
    Python's warnings have one state for all threads. It is changed when the first listener comes
    and put back when the last one leaves; a thread without one shows its warnings as ever.
    """
    heard: list[str] = []
    _begin()
    _here.lists.append(heard)
    try:
        yield heard
    finally:
        _here.lists.pop()
        _end()


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
            for kind in _KINDS:
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
    if _here.lists and issubclass(category, _KINDS):
        _here.lists[-1].append(_line(str(message)))
    else:
        _shown(message, category, *where, **more)


def _line(message: str) -> str:
    return " ".join(message.split())
