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
        self._slots: OrderedDict[Hashable, _Slot[_V]] = OrderedDict()

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
            slot = self._slots.setdefault(key, _Slot())
            self._slots.move_to_end(key)
            while len(self._slots) > self._most:
                self._slots.popitem(last=False)
        with slot.lock:  # not the lock above: another key must not wait while this one loads
            if not slot.values or not still_good(slot.values[0]):
                slot.values = [load()]
            return slot.values[0]


class _Slot(Generic[_V]):
    """Place of one value, empty until it is loaded."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.values: list[_V] = []
