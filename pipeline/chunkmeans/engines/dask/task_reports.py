"""Reports that tasks send to the driver beside their values: the outcome of an item.

A value that stays on its worker need not be fetched to learn that it is there, how long it took
and where it is. Dask's events carry that along with its own messages, so that the driver learns
of many items without a request. An event may be lost with its worker: a report may never come, and
its reader must be able to do without.
"""

from collections.abc import Callable
from threading import Lock
from typing import Any
from uuid import uuid4

from distributed import Client, Worker
from distributed.protocol import pickle

TOPIC = "chunkmeans"
"""Name of our events: one, as a scheduler never forgets a name."""


class TaskReports:
    """Reports that are expected, or came and were not read. Thread-safe."""

    def __init__(self, client: Client) -> None:
        self._lock = Lock()
        self._received: dict[str, bytes | None] = {}
        self._callbacks: dict[str, Callable[[], object]] = {}
        client.subscribe_topic(TOPIC, self._receive)

    def __len__(self) -> int:
        """Return how many reports are expected, or came and were not read."""
        return len(self._received)

    def expect(self) -> str:
        """Return a name for a new report."""
        name = uuid4().hex
        with self._lock:
            self._received[name] = None
        return name

    def on_last(self, name: str, call: Callable[[], object]) -> None:
        """Have `call` called, in another thread, if a report comes that no value will follow."""
        with self._lock:
            if name in self._received:
                self._callbacks[name] = call

    def read(self, name: str) -> Any:
        """Return the report, which is then expected no more; None if it has not come."""
        with self._lock:
            received = self._received.pop(name, None)
            self._callbacks.pop(name, None)
        return None if received is None else pickle.loads(received)

    def _receive(self, event: tuple[float, dict[str, Any]]) -> None:
        _, message = event
        with self._lock:
            name, callback = message["name"], None
            if name in self._received:
                self._received[name] = message["report"]
                callback = self._callbacks.get(name) if message["last"] else None
        if callback is not None:  # without the lock: it may read other reports
            callback()


def send_report(worker: Worker, name: str, report: object, *, last: bool = False) -> None:
    """Send the report of a task of `worker`; with `last`, no value of that task will follow."""
    worker.log_event(TOPIC, {"name": name, "report": pickle.dumps(report), "last": last})
