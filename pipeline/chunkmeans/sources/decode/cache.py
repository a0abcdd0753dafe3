"""Decoded pictures that are kept in this process, because no part of them decodes by itself.

The chunks of such a picture are asked for one after the other, by several threads.
"""

from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any, TypeVar, cast

Decoded = TypeVar("Decoded")

SMALL = 2**28
"""Bytes up to which the last picture stays when it has been read to its end."""


class Kept:
    """The picture that was decoded last, and only that."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._one_large = Lock()
        self._loading: dict[Hashable, Lock] = {}
        self._key: Hashable = None
        self._value: Any = None
        self._large = False

    def get(
        self, key: Hashable, load: Callable[[], Decoded], nbytes: int, *, last: bool
    ) -> Decoded:
        """Return the picture of `key`: the kept one, or else what `load` returns.

        A picture is decoded by one thread, and the others wait for it. Of large pictures only one
        is there at a time.

        Parameters
        ----------
        key
            Names the picture; another where its file has changed.
        load
            Decodes it; its errors are raised here.
        nbytes
            Bytes it takes to decode it.
        last
            Whether its end is asked for: after that a large one is let go of.
        """
        with self._lock:
            own = self._one_large if nbytes > SMALL else self._loading.setdefault(key, Lock())
        with own:
            value = self._found(key)
            if value is None:
                try:
                    value = load()
                finally:
                    with self._lock:
                        self._loading.pop(key, None)
                with self._lock:
                    self._key, self._value, self._large = key, value, nbytes > SMALL
        if last:
            self._let_go(key)
        return cast("Decoded", value)

    def _found(self, key: Hashable) -> Any:
        """Return the kept picture; where it is another and large, make room."""
        with self._lock:
            if self._key == key:
                return self._value
            if self._large:
                self._key = self._value = None
                self._large = False
            return None

    def _let_go(self, key: Hashable) -> None:
        with self._lock:
            if self._large and self._key == key:
                self._key = self._value = None
                self._large = False


KEPT = Kept()
"""Of this process."""
