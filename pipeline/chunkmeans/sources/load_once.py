"""Values that a process made last, each made by one thread while others wait for it."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

_V = TypeVar("_V")


class LoadOnce(Generic[_V]):
    """The values that were used last, by key: at most `most`, the least recently used goes first.

    Safe in threads: only threads that ask for the same key wait for each other.
    """

    def __init__(self, most: int) -> None:
        self._most, self._lock = most, Lock()
        self._slots: OrderedDict[Hashable, tuple[Lock, list[_V]]] = OrderedDict()

    def get(
        self,
        key: Hashable,
        load: Callable[[], _V],
        still_good: Callable[[_V], bool] = lambda value: True,
    ) -> _V:
        """Return the value of `key`: the known one if `still_good`, or else what `load` returns.

        Errors of `load` are raised here, and nothing is stored of them.
        """
        with self._lock:
            own, values = self._slots.setdefault(key, (Lock(), []))
            self._slots.move_to_end(key)
            while len(self._slots) > self._most:
                self._slots.popitem(last=False)
        with own:  # not the lock above: another key must not wait while this one loads
            if not values or not still_good(values[0]):
                values[:] = [load()]
            return values[0]
