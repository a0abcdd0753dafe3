"""What Python warns of while an image is worked on belongs to that image.

`warnings.catch_warnings` changes the whole process; tasks run side by side in threads. So one
ear is put on for all of them, and each thread hears its own.
"""

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

MOST = 8
"""Different warnings that are kept of an image."""
LONGEST = 300
"""Letters of a warning that are kept."""

_FOR_DEVELOPERS = (
    DeprecationWarning,
    PendingDeprecationWarning,
    ImportWarning,
    ResourceWarning,
)
_mine = threading.local()
_lock = threading.Lock()
_listening = 0
_before: Any = None


@contextmanager
def hearing() -> Iterator[None]:
    """Keep what this thread is warned of, for `heard`, until the end of the context."""
    outer = getattr(_mine, "found", None)
    _mine.found = []
    _put_on()
    try:
        yield
    finally:
        _take_off()
        _mine.found = outer


def heard() -> list[str]:
    """Return what this thread was warned of since its `hearing` began, each thing once."""
    found = getattr(_mine, "found", None)
    return list(dict.fromkeys(found or ()))[:MOST]


def _put_on() -> None:
    global _listening, _before
    with _lock:
        _listening += 1
        if _listening == 1:
            _before = warnings.catch_warnings()
            _before.__enter__()
            warnings.simplefilter("always")  # the second image is warned of as the first was
            for category in _FOR_DEVELOPERS:
                warnings.simplefilter("ignore", category)
            warnings.showwarning = _ear(warnings.showwarning)


def _take_off() -> None:
    global _listening
    with _lock:
        _listening -= 1
        if _listening == 0:
            _before.__exit__(None, None, None)


def _ear(otherwise: Callable[..., None]) -> Callable[..., None]:
    def show(message: Warning | str, category: type[Warning], *rest: Any, **more: Any) -> None:
        found = getattr(_mine, "found", None)
        if found is None:
            otherwise(message, category, *rest, **more)
        elif len(found) < 1000:
            text = " ".join(f"{category.__name__}: {message}".split())
            found.append(text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}...")

    return show
