"""The pixel cache: what a process keeps between tasks, up to a limit in bytes.

One cache per process, shared by the runs in it. Everything is thread-safe. An entry may be dropped
at any time: its users can always load it again.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from threading import Lock
from typing import Any, TypeVar, cast

_Cached = TypeVar("_Cached")


class PixelCache:
    """A cache by bytes, of families: the first element of a tuple key names its family.

    Passes over an image go round in a circle: if each new piece put out the oldest one of the
    same image, nothing would be there when its turn comes again. So an entry never makes room
    for one of its own family; it does for another's, the longest unused first. This, and a limit
    that comes with each call, is what the policies of cachetools cannot state.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._entries: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        """Value and bytes by key, the longest unused first."""
        self._loading: dict[Hashable, Future[Any]] = {}
        self._by_family: Counter[Hashable] = Counter()
        self.nbytes = 0
        """Bytes of all entries."""

    def get_or_load(
        self,
        key: Hashable,
        load: Callable[[], _Cached],
        *,
        nbytes: Callable[[_Cached], int],
        limit: int,
    ) -> _Cached:
        """Return the entry of `key`, or load it and keep it.

        `load` runs without a lock, once: another thread that wants the same key waits for its
        value, and loads itself only if that failed.

        Parameters
        ----------
        key
            Names the value. A tuple's first element is its family.
        load
            Returns the value; its errors are raised here and nothing is kept.
        nbytes
            Bytes of a value.
        limit
            Bytes that the cache may have when this call returns. A value for which other families
            cannot make room is returned and not kept.
        """
        while True:
            with self._lock:
                if key in self._entries:
                    return cast("_Cached", self._used(key))
                other = self._loading.get(key)
                if other is None:
                    mine: Future[_Cached] = Future()
                    self._loading[key] = mine
                    break
            # waits without the lock: the thread that loads needs it to keep the value
            if other.exception() is None:
                return cast("_Cached", other.result())
        try:
            value = load()
            size = nbytes(value)
        except BaseException as error:
            with self._lock:  # first, so that a thread that waited finds no failed load again
                del self._loading[key]
            mine.set_exception(error)
            raise
        with self._lock:
            self._keep(key, value, size, limit)
            del self._loading[key]
        mine.set_result(value)
        return value

    def get_or_load_if_room(
        self, key: Hashable, load: Callable[[], _Cached], *, nbytes: int, limit: int
    ) -> _Cached | None:
        """Return the entry of `key`; where `nbytes` have room, load it and keep it.

        None where they have not: for what is worth its making only if it is kept.
        """
        with self._lock:
            known = key in self._entries or key in self._loading
            if not known and self._by_family[family_of(key)] + nbytes > limit:
                return None
        return self.get_or_load(key, load, nbytes=lambda _: nbytes, limit=limit)

    def get(self, key: Hashable) -> Any:
        """Return the entry of `key`, or None."""
        with self._lock:
            return self._used(key) if key in self._entries else None

    def release(self, family: Hashable) -> None:
        """Drop all entries of a family."""
        with self._lock:
            for key in [k for k in self._entries if family_of(k) == family]:
                self._drop(key)

    def _used(self, key: Hashable) -> Any:
        self._entries.move_to_end(key)
        return self._entries[key][0]

    def _keep(self, key: Hashable, value: object, size: int, limit: int) -> None:
        while self.nbytes > limit:  # it was filled by a run with a higher limit
            self._drop(next(iter(self._entries)))
        family = family_of(key)
        if self._by_family[family] + size > limit:
            return
        while self.nbytes + size > limit:
            self._drop(next(k for k in self._entries if family_of(k) != family))
        self._entries[key] = (value, size)
        self._by_family[family] += size
        self.nbytes += size

    def _drop(self, key: Hashable) -> None:
        _, size = self._entries.pop(key)
        family = family_of(key)
        self.nbytes -= size
        self._by_family[family] -= size
        if not self._by_family[family]:
            del self._by_family[family]


def family_of(key: Hashable) -> Hashable:
    """Return the family of `key`: the first element of a tuple, else the key."""
    return key[0] if isinstance(key, tuple) and key else key


PIXEL_CACHE = PixelCache()
"""That of this process."""


def release_family(family: str) -> None:
    """Drop all entries of a family in this process; a function that can be sent to workers."""
    PIXEL_CACHE.release(family)
