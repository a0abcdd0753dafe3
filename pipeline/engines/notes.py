"""Notes that tasks leave for the driver, beside their values: what became of an item.

A value that stays on its worker need not be fetched to learn that it is there, how long it took
and where it is. Dask's events carry that along with its own messages, so that the driver is told
of many items without a question to anybody. An event may be lost with its worker: whoever waits
for a note must be able to do without.
"""

from threading import Lock
from typing import Any
from uuid import uuid4

from distributed import Client, get_worker
from distributed.protocol import pickle

TOPIC = "chunkmeans"
"""Name of our events: one, as a scheduler never forgets a name."""


class Notes:
    """Notes that came for those who expect them. Thread-safe."""

    def __init__(self, client: Client) -> None:
        self._lock = Lock()
        self._came: dict[str, bytes | None] = {}
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

    def read(self, name: str) -> Any:
        """Return the note, which is then expected no more; None if it has not come."""
        with self._lock:
            came = self._came.pop(name, None)
        return None if came is None else pickle.loads(came)

    def _take(self, event: tuple[float, dict[str, Any]]) -> None:
        _, message = event
        with self._lock:
            if message["name"] in self._came:
                self._came[message["name"]] = message["note"]


def leave(name: str, note: object) -> None:
    """Leave a note from within a task."""
    get_worker().log_event(TOPIC, {"name": name, "note": pickle.dumps(note)})
