"""What a process keeps between tasks: a bounded cache near the workers.

One cache per process, shared by the runs in it. Everything is thread-safe. A cache forgets at
will: whoever uses it can always load again.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Lock
from typing import Any, TypeVar, cast

Kept = TypeVar("Kept")


@dataclass(frozen=True, slots=True)
class _Entry:
    value: Any
    nbytes: int


class Hold:
    """A cache by bytes, of families: the first element of a tuple key names its family.

    Passes over an image go round in a circle: if each new piece put out the oldest one of the
    same image, nothing would be found when its turn comes again. So an entry never makes room
    for one of its own family; it does for another's, the longest unused first.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._loading: dict[Hashable, Future[Any]] = {}
        self._nbytes = 0
        self._by_family: Counter[Hashable] = Counter()

    @property
    def nbytes(self) -> int:
        """Bytes of everything that is held."""
        return self._nbytes

    def held(
        self, key: Hashable, load: Callable[[], Kept], *, nbytes: Callable[[Kept], int], limit: int
    ) -> Kept:
        """Return what is held under `key`, or load it and hold it.

        `load` runs without a lock, once: another thread that wants the same key waits for its
        value, and loads itself only if that failed.

        Parameters
        ----------
        key
            Names the value. A tuple's first element is its family.
        load
            Returns the value; its errors are raised here and nothing is held.
        nbytes
            Bytes of a value.
        limit
            Bytes that may be held in this process when this call returns. A value for which
            other families cannot make room is returned and not held.
        """
        while True:
            with self._lock:
                if key in self._entries:
                    self._entries.move_to_end(key)
                    return cast("Kept", self._entries[key].value)
                other = self._loading.get(key)
                if other is None:
                    mine: Future[Kept] = Future()
                    self._loading[key] = mine
                    break
            if other.exception() is None:
                return cast("Kept", other.result())
        try:
            value = load()
            self._keep(key, value, nbytes(value), limit)
        except BaseException as error:
            self._land(key)
            mine.set_exception(error)
            raise
        self._land(key)
        mine.set_result(value)
        return value

    def held_if_room(
        self, key: Hashable, load: Callable[[], Kept], *, nbytes: int, limit: int
    ) -> Kept | None:
        """Return what is held under `key`; where `nbytes` have room, load it and hold it.

        None where they have not: for what is worth its making only if it is kept.
        """
        with self._lock:
            known = key in self._entries or key in self._loading
            if not known and self._by_family[family_of(key)] + nbytes > limit:
                return None
        return self.held(key, load, nbytes=lambda _: nbytes, limit=limit)

    def found(self, key: Hashable) -> Any:
        """Return what is held under `key`, or None."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return None
            self._entries.move_to_end(key)
            return entry.value

    def release(self, family: Hashable) -> None:
        """Let go of what is held of a family."""
        with self._lock:
            for key in [k for k in self._entries if family_of(k) == family]:
                self._drop(key)

    def clear(self) -> None:
        """Let go of everything."""
        with self._lock:
            self._entries.clear()
            self._by_family.clear()
            self._nbytes = 0

    def _keep(self, key: Hashable, value: object, size: int, limit: int) -> None:
        with self._lock:
            self._shrink(limit)
            family = family_of(key)
            if self._by_family[family] + size > limit:
                return
            if self._nbytes + size > limit:
                for old in [k for k in self._entries if family_of(k) != family]:
                    self._drop(old)
                    if self._nbytes + size <= limit:
                        break
            self._entries[key] = _Entry(value, size)
            self._by_family[family] += size
            self._nbytes += size

    def _drop(self, key: Hashable) -> None:
        size = self._entries.pop(key).nbytes
        self._nbytes -= size
        self._by_family[family_of(key)] -= size
        if not self._by_family[family_of(key)]:
            del self._by_family[family_of(key)]

    def _land(self, key: Hashable) -> None:
        with self._lock:
            del self._loading[key]

    def _shrink(self, limit: int) -> None:
        while self._nbytes > limit:
            self._drop(next(iter(self._entries)))


def family_of(key: Hashable) -> Hashable:
    """Return what is held together with `key`: the first element of a tuple, else the key."""
    return key[0] if isinstance(key, tuple) and key else key


_HOLD = Hold()

held = _HOLD.held
held_if_room = _HOLD.held_if_room
found = _HOLD.found
clear = _HOLD.clear


def release(family: str) -> None:
    """Let go of what this process holds of a family; a function that can be sent to workers."""
    _HOLD.release(family)
