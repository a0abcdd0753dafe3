"""The items of one map that are on the cluster at a time, and what runs there."""

import logging
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from queue import SimpleQueue
from time import perf_counter
from typing import Any, Generic

from dask.utils import key_split
from distributed import Future, KilledWorker, Worker, get_worker

from chunkmeans.engines.base import Item, Outcome, OutOfMemory, OutOfTime, Value, named, parts_of
from chunkmeans.engines.dask.connection import Link, NoWorkers, release
from chunkmeans.engines.dask.messages import leave
from chunkmeans.engines.dask.packing import LARGE, pack, unpack
from chunkmeans.engines.worker.attempt import attempt, portable, without_value
from chunkmeans.engines.worker.deadline import spared
from chunkmeans.engines.worker.isolated import alone
from chunkmeans.errors import ClusterError
from chunkmeans.secrets import for_the_record

_logger = logging.getLogger("distributed.chunkmeans")
"""Below Dask's own, so that a worker's log has it where Dask writes its."""

_REPEATS = 3
"""How often a suspect runs in a process of its own, if other tasks kill the worker around it."""


@dataclass(frozen=True, slots=True)
class Landed(Generic[Value]):
    """What a worker returns: an outcome without its item, and where it came about."""

    outcome: Outcome[None, Value]
    worker: str
    """Address of the worker."""


@dataclass(frozen=True, slots=True)
class _Flight(Generic[Item]):
    """An item that was sent."""

    item: Item
    worker: str | None
    """Where it had best run."""
    value: Future
    """Its outcome with the value."""
    note: str
    """Name of its note, which has the outcome without the value."""
    deaths: int = 0
    """Workers that died with it."""
    suspect: int = 0
    """How often it was sent to a process of its own."""


class Window(Generic[Item, Value]):
    """Sends items, and receives their outcomes.

    Parameters
    ----------
    link
        The cluster.
    task
        What to run on every item.
    name
        What the dashboard shows.
    keep
        Whether values stay on the workers.
    memory
        Bytes that a process of its own may use.
    """

    def __init__(
        self, link: Link, task: Callable[[Item], Value], name: str, *, keep: bool, memory: int
    ) -> None:
        self._link, self._name, self._keep, self._memory = link, name, keep, memory
        self._cargo = _Cargo(link, task, name)
        self._landed: SimpleQueue[Future] = SimpleQueue()
        self._flying: dict[Any, _Flight[Item]] = {}
        self._load: Counter[str] = Counter()

    @property
    def room(self) -> int:
        """How many more items are worth sending: each thread has one to do and one to come."""
        return 2 * sum(self._link.threads.values()) - len(self._flying)

    def __len__(self) -> int:
        return len(self._flying)

    def send(self, item: Item, worker: str | None = None) -> None:
        """Send `item`, if possible to `worker`."""
        threads = self._link.threads
        if worker not in threads:
            worker = None
        if worker is None and self._cargo.large and threads:
            # Dask would send it to the one worker that has the task already.
            worker = min(threads, key=lambda w: self._load[w] / threads[w])
        self._send(item, worker)

    def receive(self) -> tuple[Outcome[Item, Value], str, Future]:
        """Wait for an outcome; return it, the worker it is from, and the future of its value."""
        while True:
            flight = self._flying.pop(self._next().key, None)
            if flight is None:  # its worker had told that it would not land
                continue
            self._load[flight.worker or ""] -= 1
            try:
                landed = self._learned(flight)
            except KilledWorker as error:
                self._forget(flight)
                deaths = flight.deaths + error.allowed_failures + 1
                if flight.suspect < _REPEATS:
                    self._send(flight.item, flight.worker, deaths, flight.suspect + 1)
                    continue
                return self._killed(flight.item, deaths), "", flight.value
            except ClusterError:
                raise
            except Exception as error:  # a value that does not pickle, a module that is not there
                self._forget(flight)
                why = portable(error, flight.item)
                return Outcome(flight.item, None, why, 1, 0.0), "", flight.value
            attempts = landed.outcome.attempts + flight.deaths
            outcome: Any = replace(landed.outcome, item=flight.item, attempts=attempts)  # type: ignore[arg-type]
            return outcome, landed.worker, flight.value

    def _next(self) -> Future:
        """Wait for a future that landed; if all workers went, say with what they did."""
        try:
            return self._link.next_of(self._landed)
        except NoWorkers as error:
            deaths = self._link.deaths(flight.value for flight in self._flying.values())
            if not deaths:
                raise
            most = max(deaths.values())
            items = (self._flying[key].item for key, number in deaths.items() if number == most)
            parts = tuple(chain.from_iterable(map(parts_of, items)))
            raise NoWorkers(f"{error}; {most} ended while they had {named(parts)}") from error

    def close(self) -> None:
        """Let go of everything that is on its way."""
        for flight in self._flying.values():
            self._forget(flight)
        self._flying.clear()
        self._cargo.close()

    def _send(self, item: Item, worker: str | None, deaths: int = 0, suspect: int = 0) -> None:
        task = self._cargo.at(worker)
        name = f"{self._name}-alone" if suspect else self._name
        limit = self._memory if suspect else None
        note = self._link.notes.expect()
        value = self._link.submit(
            run_task, task, pack(item), limit, note, self._keep, name=name, worker=worker
        )
        self._link.notes.wake(note, partial(self._landed.put, value))
        self._flying[value.key] = _Flight(item, worker, value, note, deaths, suspect)
        self._load[worker or ""] += 1
        value.add_done_callback(self._landed.put)

    def _learned(self, flight: _Flight[Item]) -> Landed[Any]:
        """Return the outcome of a flight, without its value if that stays where it is."""
        landed: Landed[Any] | None = None
        future = flight.value
        if future.status != "error":
            landed = self._link.notes.read(flight.note)
            if landed is None and self._keep:
                name = f"{self._name}-told"
                future = self._link.submit(_lighten, future, name=name, priority=20)
        return self._link.fetch(future) if landed is None else landed

    def _forget(self, flight: _Flight[Item]) -> None:
        release([flight.value])
        self._link.notes.read(flight.note)

    def _killed(self, item: Item, deaths: int) -> Outcome[Item, Value]:
        error = OutOfMemory(
            f"{named(item)}: {deaths} workers died while it was worked on, likely for want of "
            "memory; raise `memory`, or cut the work into smaller chunks"
        )
        return Outcome(item, None, error, deaths, 0.0)


class _Cargo:
    """A task on its way to the workers: with each item if it is small, else once per worker.

    A large one (a look-up table) is a task result of its own on every worker, made on the first
    from the bytes that the scheduler keeps, and copied between workers to the others. So it
    crosses the scheduler once, is unpickled once per worker, and lives as long as the map; a
    copy that dies with its worker is made again by Dask, which scattered data would not be.
    """

    def __init__(self, link: Link, task: Callable[..., Any], name: str) -> None:
        self._link, self._name = link, name
        self._sent = pack(task)
        self._copies: dict[str, Future] = {}
        self.large = len(self._sent) > LARGE
        """Whether it is sent once per worker instead of with every item."""

    def at(self, worker: str | None) -> bytes | Future:
        """Return what stands for the task in a call that runs on `worker`."""
        if not self.large:
            return self._sent
        copy = self._copies.get(worker or "")
        if copy is None or _broken(copy):
            others = [c for c in self._copies.values() if not _broken(c)]
            copy = self._link.submit(
                *((_same, others[0]) if others else (unpack, self._sent)),
                name=f"{self._name}-task",
                worker=worker,
                priority=30,
            )
            self._copies[worker or ""] = copy
        return copy

    def close(self) -> None:
        """Let the workers forget the task."""
        release(self._copies.values())


def _broken(future: Future) -> bool:
    return future.status not in ("pending", "finished")


# -- what runs on the workers ------------------------------------------------------------------


def run_task(
    task: bytes | Callable[[Item], Value], sent: bytes, limit: int | None, note: str, keep: bool
) -> Landed[Value]:
    """Run the task on the item; in a process of its own, of `limit` bytes, if that is given.

    The driver is told under the name `note` what will not come with a value: with `keep`, the
    outcome without its value, and always that the time is over and this process ends.
    """
    called: Callable[[Item], Value] = unpack(task) if isinstance(task, bytes) else task
    item: Item = unpack(sent)
    worker = get_worker()
    _log(worker, logging.INFO, item, "begins")
    begin = perf_counter()

    def over(error: OutOfTime) -> None:
        outcome: Outcome[None, Value] = Outcome(None, None, error, 1, perf_counter() - begin)
        leave(worker, note, Landed(outcome, worker.address), last=True)

    if limit is not None:
        outcome = alone(called, item, limit)
    else:
        with spared(over) if worker.nanny is not None else nullcontext():
            outcome = attempt(called, item)
    if outcome.error is not None:
        _log(worker, logging.WARNING, item, f"failed: {outcome.error}")
    landed: Landed[Value] = Landed(replace(outcome, item=None), worker.address)  # type: ignore[arg-type]
    if keep:
        leave(worker, note, _lighten(landed))
    return landed


def _log(worker: Worker, level: int, item: object, what: str) -> None:
    """Tell the worker's log what is done: the phase, the image and which part of it.

    Before it begins, so that the last line of a worker that died tells what it died of.
    """
    if _logger.isEnabledFor(level):
        phase = key_split(worker.get_current_task())
        subject = for_the_record(str(item)[:300])
        _logger.log(level, "%s %s: %s", phase, subject, for_the_record(what))


def join(merge: bytes, a: Landed[Value], b: Landed[Value]) -> Landed[Value]:
    """Merge two values on the worker that has them."""
    value: Value = unpack(merge)(a.outcome.unwrap(), b.outcome.unwrap())
    return Landed(Outcome(None, value, None, 1, 0.0), get_worker().address)


def _lighten(landed: Landed[Value]) -> Landed[None]:
    """Return everything but the value."""
    return Landed(without_value(landed.outcome), landed.worker)


def _same(task: Callable[..., Any]) -> Callable[..., Any]:
    """Return the task: a copy of it on the worker that asks."""
    return task
