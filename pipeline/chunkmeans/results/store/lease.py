"""Who writes an output: one driver at a time, on whatever host, by one small file.

A store need not know locks, appending or renaming, and clocks may differ. So a driver writes
``lease.json`` again and again with a number that grows, and a driver that finds such a file watches
whether the number does. Where the driver runs, or ran, on this very machine, its process is looked
up instead, which needs no waiting.

Of two drivers that start at the same moment one creates the file, on a disk and on a store that
can put what is not there. Of two that find the file of the same dead driver one replaces it: on
this machine they do so one after the other, and the second finds that it is another's by then.
Where neither is to be had both may write; the last one stands, and the other finds out before it
writes anything else.
"""

import json
import os
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from typing import Any, Self
from uuid import uuid4

import psutil

from chunkmeans.errors import ChunkmeansError, ResultError
from chunkmeans.results.store.plain_json import to_json
from chunkmeans.results.store.store import LEASE, Store
from chunkmeans.retry import is_transient

BEAT = 5.0
"""Seconds between two signs of life."""
BEATS_UNTIL_DEAD = 4
"""Beats without a sign of life after which a driver is taken for dead."""
SETTLE = 0.5
"""Seconds after which one of two that started at once sees the other, where names are no lock."""

_held: set[str] = set()
"""Leases that this process holds."""


@dataclass(frozen=True)
class Holder:
    """What ``lease.json`` holds."""

    id: str
    host: str
    pid: int
    born: float
    """When the process began, by its own clock: a later one may have the same number."""
    machine: str
    """Names the machine since its last start, and the container; empty if that is not known."""
    since: str
    """When the run began, by its own clock."""
    beat: int = 0
    """Grows while the driver lives."""
    progress: Mapping[str, Any] = field(default_factory=dict)
    """What the driver is doing."""

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}"

    @classmethod
    def here(cls) -> Self:
        """Return a new lease of this process."""
        return cls(
            id=uuid4().hex,
            host=socket.gethostname(),
            pid=os.getpid(),
            born=psutil.Process().create_time(),
            machine=this_machine(),
            since=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    def of_this_machine(self) -> bool:
        """Whether the process runs, or ran, here; False too where that is not known."""
        return self.machine == this_machine() != ""

    def known_to_live(self) -> bool | None:
        """Whether the process is there; None if that is not known here."""
        if not self.of_this_machine():
            return None
        if self.pid == os.getpid():
            return self.id in _held
        try:
            process = psutil.Process(self.pid)
            alive: bool = process.status() != psutil.STATUS_ZOMBIE
            return alive and abs(process.create_time() - self.born) < 1
        except psutil.NoSuchProcess:
            return False


_DAMAGED = Holder(id="", host="", pid=0, born=0.0, machine="", since="")


@cache
def this_machine() -> str:
    """Return a text that differs between machines, their restarts, and containers."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def holder(store: Store) -> Holder | None:
    """Return the driver that holds the output, dead or alive; None if there is none.

    Raises
    ------
    ResultError
        If the output does not answer: no driver may be taken for dead for that.
    """
    try:
        text = store.read_text(LEASE)
    except ResultError as error:
        if is_transient(error):
            raise
        return None
    try:
        return Holder(**json.loads(text))
    except (ValueError, TypeError):  # what is left of one
        return _DAMAGED


def lives(store: Store, found: Holder, beat: float = BEAT) -> bool:
    """Whether the driver that `found` names is alive; may watch it for `BEATS_UNTIL_DEAD` beats."""
    known = False if found == _DAMAGED else found.known_to_live()
    if known is not None:
        return known
    until = monotonic() + BEATS_UNTIL_DEAD * beat
    pause = Event()
    while monotonic() < until:
        pause.wait(min(1.0, beat / 2))
        now = holder(store)
        if now is None:
            return False
        if now != found:
            return True
    return False


class Lease:
    """The right to write an output, as long as it is open.

    Parameters
    ----------
    store
        The output.
    progress
        Called now and then: the progress that others read.
    beat
        Seconds between two signs of life.

    Raises
    ------
    ResultError
        When it is entered: if another driver that lives holds the output.
    """

    def __init__(
        self, store: Store, progress: Callable[[], Mapping[str, Any]] = dict, beat: float = BEAT
    ) -> None:
        self.store, self.progress, self.beat = store, progress, beat
        self.mine = Holder.here()
        self.before: Holder | None = None
        """The dead driver whose lease this one took over."""
        self._lost: str = ""
        self._done = Event()
        self._thread = Thread(target=self._live, name="lease", daemon=True)

    def __enter__(self) -> Self:
        found = holder(self.store)
        if found is not None and lives(self.store, found, self.beat):
            raise self._refused(found)
        _held.add(self.mine.id)
        try:
            if self._take(found):
                Event().wait(SETTLE)
            now = holder(self.store)
            if now is None or now.id != self.mine.id:
                raise self._refused(now)
        except BaseException:
            _held.discard(self.mine.id)
            raise
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        _held.discard(self.mine.id)
        with suppress(ChunkmeansError):  # a lease of a process that ended is no obstacle
            self._look()
            if not self._lost:
                self.store.delete(LEASE)

    def _take(self, dead: Holder | None) -> bool:
        """Write our lease, over that of a dead driver; whether others may write theirs over it.

        Who holds it then is who reads the own one back.
        """
        with self.store.alone() as sure:
            if dead is not None and holder(self.store) == dead:
                self.store.write_text(LEASE, self._text())
                self.before = dead if dead != _DAMAGED else None
                # a dead driver of another machine: drivers of others may come for it, too
                return not (sure and dead.of_this_machine())
            # False also where the store created it, but said so too late and was asked again
            return self.store.create_text(LEASE, self._text()) and self.store.folder is None

    def _refused(self, other: Holder | None) -> ResultError:
        return ResultError(
            f"{self.store.path}: another run is writing there: {other or 'it began just now'}; "
            "wait for it, end it, or choose another results.path"
        )

    def refuse_lost(self) -> None:
        """Raise a `ResultError` if another driver took this one for dead, and took over."""
        if self._lost:
            raise ResultError(
                f"{self.store.path}: another run took over, as this one gave no sign of life for "
                f"{BEATS_UNTIL_DEAD * self.beat:g} seconds: {self._lost}"
            )

    def _live(self) -> None:
        while not self._done.wait(self.beat):
            with suppress(ChunkmeansError, OSError):  # the next beat may come through
                self._look()
                if self._lost:
                    return
                self.store.write_text(LEASE, self._text())

    def _look(self) -> None:
        found = holder(self.store)
        if found is not None and found.id != self.mine.id:
            self._lost = str(found)

    def _text(self) -> str:
        self.mine = replace(self.mine, beat=self.mine.beat + 1, progress=dict(self.progress()))
        return to_json(asdict(self.mine)) + "\n"
