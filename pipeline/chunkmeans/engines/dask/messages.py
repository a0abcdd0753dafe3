"""Notes that tasks leave for the driver, beside their values: what became of an item.

A value that stays on its worker need not be fetched to learn that it is there, how long it took
and where it is. Dask's events carry that along with its own messages, so that the driver is told
of many items without a question to anybody. An event may be lost with its worker: whoever waits
for a note must be able to do without.
"""

from collections.abc import Callable
from threading import Lock
from typing import Any
from uuid import uuid4

from distributed import Client, Worker
from distributed.protocol import pickle

TOPIC = "chunkmeans"
"""Name of our events: one, as a scheduler never forgets a name."""


class Notes:
    """Notes that came for those who expect them. Thread-safe."""

    def __init__(self, client: Client) -> None:
        self._lock = Lock()
        self._came: dict[str, bytes | None] = {}
        self._woken: dict[str, Callable[[], object]] = {}
        client.subscribe_topic(TOPIC, self._take)

    def __len__(self) -> int:
        """Return how many notes are expected, or came and were not read."""
        return len(self._came)

    def expect(self) -> str:
        """Return a name for a new note."""
        name = uuid4().hex
        with self._lock:
            self._came[name] = None
        return name

    def wake(self, name: str, call: Callable[[], object]) -> None:
        """Have `call` called, in another thread, if a note comes that no value will follow."""
        with self._lock:
            if name in self._came:
                self._woken[name] = call

    def read(self, name: str) -> Any:
        """Return the note, which is then expected no more; None if it has not come."""
        with self._lock:
            came = self._came.pop(name, None)
            self._woken.pop(name, None)
        return None if came is None else pickle.loads(came)

    def _take(self, event: tuple[float, dict[str, Any]]) -> None:
        _, message = event
        with self._lock:
            name, woken = message["name"], None
            if name in self._came:
                self._came[name] = message["note"]
                woken = self._woken.get(name) if message["last"] else None
        if woken is not None:
            woken()


def leave(worker: Worker, name: str, note: object, *, last: bool = False) -> None:
    """Leave a note on a task of `worker`; with `last`, no value of that task will follow."""
    worker.log_event(TOPIC, {"name": name, "note": pickle.dumps(note), "last": last})
