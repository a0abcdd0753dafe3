"""Collects the warnings of decoders, image by image.

tifffile and pillow log, pillow and NumPy use Python's warnings. Both are global to the process, in
which tasks run side by side in threads; here each warning is assigned to the image whose thread
caused it, and kept off the terminal.
"""

import logging
import threading
import warnings
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

MOST_WARNINGS = 8
"""Different warnings that are kept of an image: the first in alphabetical order."""
LONGEST_WARNING = 300
"""Letters of a warning that are kept."""

_KINDS = (UserWarning, RuntimeWarning)
"""Warnings about what is read; others, such as of deprecation, are about code."""
_LOGGERS = ("tifffile", "PIL")
_ENOUGH = 1000
"""Different warnings that are held at a time, before they are cut to `MOST_WARNINGS`."""


class _Contexts(threading.local):
    """Warnings of each open context of a thread, the innermost last."""

    def __init__(self) -> None:
        self.found: list[dict[str, None]] = []


_here = _Contexts()
_lock = threading.Lock()
_users = 0
_installed = ExitStack()
_shown: Any = None


class _Handler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        if _here.found:
            add_warnings([record.getMessage()])
        elif logging.lastResort is not None and not logging.getLogger().handlers:
            logging.lastResort.handle(record)  # what logging does where there is no handler


_handler = _Handler(logging.WARNING)


@contextmanager
def collecting_warnings() -> Iterator[Collection[str]]:
    """Collect what this thread is warned of, each message once, in the innermost context.

    Yields the messages in the order of time; `collected_warnings` gives them as results hold them.

    Notes
    -----
    Python's warnings have one state for all threads. It is changed when the first thread begins
    to collect and restored when the last one ends; a thread that collects nothing shows its
    warnings as ever.
    """
    global _users
    found: dict[str, None] = {}
    with _lock:
        if _users == 0:
            _install()
        _users += 1
    _here.found.append(found)
    try:
        yield found
    finally:
        _here.found.pop()
        with _lock:
            _users -= 1
            if _users == 0:
                _installed.close()


def collected_warnings() -> tuple[str, ...]:
    """Return what this thread was warned of in its innermost context, at most `MOST_WARNINGS`.

    In alphabetical order, so that it does not depend on which thread came first: the warnings of
    the parts of an image, merged by `add_warnings`, are those of the whole.
    """
    return tuple(sorted(_here.found[-1])[:MOST_WARNINGS]) if _here.found else ()


def add_warnings(messages: Iterable[str]) -> None:
    """Add messages to this thread's innermost context; without one they are dropped."""
    if not _here.found:
        return
    found = _here.found[-1]
    found.update(dict.fromkeys(map(_one_line, messages)))
    if len(found) > _ENOUGH:
        first = collected_warnings()
        found.clear()
        found.update(dict.fromkeys(first))


def _one_line(message: str) -> str:
    """Return a message as one line of at most `LONGEST_WARNING` letters."""
    text = " ".join(message.split())
    return text if len(text) <= LONGEST_WARNING else f"{text[: LONGEST_WARNING - 3]}..."


def _install() -> None:
    """Take over what the process does with warnings, until `_installed` is closed."""
    global _shown
    for name in _LOGGERS:
        logging.getLogger(name).addHandler(_handler)
        _installed.callback(logging.getLogger(name).removeHandler, _handler)
    _installed.enter_context(warnings.catch_warnings())
    _shown = warnings.showwarning
    warnings.showwarning = _collect
    for kind in _KINDS:  # by default Python shows a warning once, not once an image
        warnings.simplefilter("always", kind)


def _collect(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
    if _here.found and issubclass(category, _KINDS):
        add_warnings([str(message)])
    else:
        _shown(message, category, *where, **more)
