"""Cache of the picture that a process decoded last, where no part of it decodes by itself.

The chunks of such a picture are requested one after the other, by several threads.
"""

from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any, NamedTuple, TypeVar, cast

_T = TypeVar("_T")

SMALL_PICTURE = 2**28
"""Bytes up to which the last picture stays when it has been read to its end."""


class PictureCache:
    """The picture that was decoded last, and only that."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._one_large = Lock()
        self._loading: dict[Hashable, Lock] = {}
        self.last: _Decoded | None = None

    def get(self, key: Hashable, load: Callable[[], _T], nbytes: int, *, last: bool) -> _T:
        """Return the picture of `key`: the last one, or else what `load` returns.

        A picture is decoded by one thread, and the others wait for it. Of large pictures only one
        is in memory at a time.

        Parameters
        ----------
        key
            Names the picture; another where its file has changed.
        load
            Decodes it; its errors are raised here.
        nbytes
            Bytes it takes to decode it.
        last
            Whether its last pixels are requested: after that a large one is dropped.
        """
        large = nbytes > SMALL_PICTURE
        with self._lock:
            own = self._one_large if large else self._loading.setdefault(key, Lock())
        with own:
            with self._lock:
                found = self.last
                if found is not None and found.key != key:
                    if found.large:  # before another is decoded, for both may not fit
                        self.last = None
                    found = None
            if found is None:
                try:
                    found = _Decoded(key, load(), large)
                finally:
                    with self._lock:
                        self._loading.pop(key, None)
                with self._lock:
                    self.last = found
        if last and large:
            with self._lock:
                if self.last is found:
                    self.last = None
        return cast("_T", found.picture)


class _Decoded(NamedTuple):
    key: Hashable
    picture: Any
    large: bool


PICTURES = PictureCache()
"""Of this process."""
