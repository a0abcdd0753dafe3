"""The log of a run: a line of JSON per event, for programs and for the day after."""

import re
from contextlib import AbstractContextManager
from dataclasses import asdict
from datetime import UTC, datetime
from threading import Lock
from time import monotonic
from typing import IO

from chunkmeans.events import Event
from chunkmeans.results.store.plain_json import to_json
from chunkmeans.results.store.store import LOGS, Store
from chunkmeans.secrets import without_secrets

_LINES_PER_PART = 10_000
_SECONDS_PER_PART = 60.0
"""A part is written so long after the one before, if an event comes: a kill costs no more."""


def is_log(name: str) -> bool:
    """Whether a file of this name in ``logs/`` is one that `Log` writes."""
    return re.fullmatch(r"run(-\d{8}T\d{12}-\d{5,})?\.jsonl", name) is not None


class Log(AbstractContextManager["Log"]):
    """A watcher that writes every event to ``logs/``; several threads may call it.

    On a disk, lines are appended to ``logs/run.jsonl`` at once. An object store cannot append:
    there, lines are gathered and written in parts, ``logs/run-<start>-<number>.jsonl``.

    Used as a context, or closed by hand; events after that are an error.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = Lock()
        self._file: IO[str] | None = None
        self._lines: list[str] = []
        self._part = 0
        self._put_at = monotonic()
        self._closed = False
        self._start = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
        if store.folder is not None:
            with store.naming(LOGS, "the log cannot be opened"):
                folder = store.folder / LOGS
                folder.mkdir(parents=True, exist_ok=True)
                self._file = (folder / "run.jsonl").open("a", encoding="utf-8")

    def __call__(self, event: Event) -> None:
        """Write one event: its time, its name, its fields.

        Raises
        ------
        ResultError
            If the output cannot be written.
        """
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        head = {"time": now, "event": type(event).__name__}
        line = without_secrets(to_json({**head, **asdict(event)})) + "\n"
        with self._lock:
            if self._closed:
                raise ValueError("this log is closed")
            if self._file is None:
                self._lines.append(line)
                late = monotonic() - self._put_at >= _SECONDS_PER_PART
                if late or len(self._lines) >= _LINES_PER_PART:
                    self._put()
                return
            with self._store.naming(f"{LOGS}/run.jsonl", "the log cannot be written"):
                self._file.write(line)
                self._file.flush()

    def close(self) -> None:
        """Write what is gathered, and end the log."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            if self._file is not None:
                self._file.close()
            elif self._lines:
                self._put()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _put(self) -> None:
        self._store.write_text(
            f"{LOGS}/run-{self._start}-{self._part:05}.jsonl", "".join(self._lines)
        )
        self._part += 1
        self._put_at = monotonic()
        self._lines = []
