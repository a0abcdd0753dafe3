"""Reports that tasks send to the driver beside their values: the outcome of an item.

A value that stays on its worker need not be fetched to learn that it is there, how long it took
and where it is. Dask's events carry that along with its own messages, so that the driver learns
of many items without a request. An event may be lost with its worker: a report may never come, and
its reader must be able to do without.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from distributed import Client, Worker
from distributed.protocol import pickle

TOPIC = "chunkmeans"
"""Name of our events: one, as a scheduler never forgets a name."""


@dataclass(slots=True)
class _Expected:
    """What is expected of a task."""

    on_last: Callable[[str], object]
    report: bytes | None = None


class TaskReports:
    """Reports that are expected, or came and were not read, by the keys of tasks. Thread-safe."""

    def __init__(self, client: Client) -> None:
        self._expected: dict[str, _Expected] = {}
        client.subscribe_topic(TOPIC, self._receive)

    def expect(self, key: str, on_last: Callable[[str], object]) -> None:
        """Expect a report of a task that is not sent yet.

        `on_last` is called with its key, in another thread, if a report comes that no value will
        follow.
        """
        self._expected[key] = _Expected(on_last)

    def read(self, key: str) -> Any:
        """Return the report, which is then expected no more; None if it has not come."""
        expected = self._expected.pop(key, None)
        if expected is None or expected.report is None:
            return None
        return pickle.loads(expected.report)

    def _receive(self, event: tuple[float, dict[str, Any]]) -> None:
        _, message = event
        expected = self._expected.get(message["key"])
        if expected is not None:  # else another driver's, or its item was given up
            expected.report = message["report"]
            if message["last"]:
                expected.on_last(message["key"])


def send_report(worker: Worker, key: str, report: object, *, last: bool = False) -> None:
    """Send the report of a task of `worker`; with `last`, no value of that task will follow."""
    worker.log_event(TOPIC, {"key": key, "report": pickle.dumps(report), "last": last})
