"""The items of one map that are in flight on the cluster, and the calls that run there."""

import logging
from collections import Counter
from collections.abc import Callable, Generator, Iterable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import chain, islice
from queue import SimpleQueue
from time import perf_counter
from typing import Any, cast

from dask.utils import key_split
from distributed import Future, KilledWorker, get_worker

from chunkmeans.engines.base import (
    ItemT,
    Outcome,
    OutOfMemory,
    OutOfTime,
    ValueT,
    bundle_parts,
    describe_item,
)
from chunkmeans.engines.dask.connection import Connection, NoWorkers, send_report
from chunkmeans.engines.dask.serialize import LARGE, deserialize, serialize
from chunkmeans.engines.worker.attempt import attempt, portable
from chunkmeans.engines.worker.deadline import expendable
from chunkmeans.engines.worker.isolated import run_isolated
from chunkmeans.errors import ClusterError
from chunkmeans.secrets import for_the_record

_logger = logging.getLogger("distributed.chunkmeans")
"""Below Dask's own, so that a worker's log has it where Dask writes its."""

_REPEATS = 3
"""How often a suspect runs in an isolated process, if other tasks end the worker around it."""


@dataclass(frozen=True, slots=True)
class _Sent:
    """An item in flight."""

    item: Any
    worker: str | None
    """Where it should run."""
    value: Future
    """Its outcome with the value."""
    deaths: int = 0
    """Workers that died with it."""
    isolated: int = 0
    """How often it was sent to an isolated process."""


class InFlight:
    """Sends items, and receives their outcomes.

    A small task goes with each item. A large one (a look-up table) is a task result of its own,
    made on a worker from the bytes that the scheduler keeps, and copied between workers: so it
    crosses the scheduler once, is unpickled once per worker, and lives as long as the map. If it
    dies with its workers, Dask makes it again, which it would not do with scattered data.

    Parameters
    ----------
    connection
        To the cluster.
    task
        What to run on every item, serialized.
    name
        What the dashboard shows.
    keep
        Whether values stay on the workers.
    memory
        Bytes that an isolated process may use.
    """

    def __init__(
        self, connection: Connection, task: bytes, name: str, *, keep: bool, memory: int
    ) -> None:
        self._connection, self._task, self._name = connection, task, name
        self._keep, self._memory = keep, memory
        self._large: Future | None = None
        self._done: SimpleQueue[str] = SimpleQueue()
        self._sent: dict[str, _Sent] = {}
        self._load: Counter[str] = Counter()

    def outcomes(
        self, items: Iterable[ItemT], prefer: Callable[[ItemT], str | None] = lambda _: None
    ) -> Generator[tuple[Outcome[ItemT, Any], Future], None, None]:
        """Yield the outcome of each item as it comes in, and the future of its value.

        Items are sent as there is room, if possible to the worker that `prefer` names: each thread
        has one to do and one to come. Closing cancels everything in flight.
        """
        source, connection = iter(items), self._connection
        try:
            while True:
                room = 2 * sum(connection.threads.values()) - len(self._sent)
                for item in islice(source, max(0, room)):
                    self._send(item, self._worker_for(prefer(item)))
                if not self._sent:
                    return
                yield self._receive()
        finally:
            for sent in self._sent.values():
                self._release(sent)
            if self._large is not None:
                self._large.release()

    def _worker_for(self, worker: str | None) -> str | None:
        """Return where to send an item that is best run on `worker`; None: where Dask likes."""
        threads = self._connection.threads
        if worker in threads:
            return worker
        if len(self._task) > LARGE and threads:
            # Dask would send it to the one worker that has the task already.
            return min(threads, key=lambda w: self._load[w] / threads[w])
        return None

    def _receive(self) -> tuple[Outcome[Any, Any], Future]:
        """Wait for an outcome; return it, and the future of its value."""
        while True:
            sent = self._sent.pop(self._next(), None)
            if sent is None:  # its last report came before its future failed
                continue
            self._load[sent.worker or ""] -= 1
            item, deaths = sent.item, sent.deaths
            try:
                outcome = self._outcome_of(sent)
            except KilledWorker as error:
                self._release(sent)
                deaths += error.allowed_failures + 1
                if sent.isolated < _REPEATS:
                    self._send(item, sent.worker, deaths, sent.isolated + 1)
                    continue
                killed = OutOfMemory(
                    f"{describe_item(item)}: {deaths} workers died while it was worked on, likely "
                    "for want of memory; raise `memory`, or cut the work into smaller chunks"
                )
                return Outcome(item, None, killed, deaths, 0.0), sent.value
            except ClusterError:
                raise
            except Exception as error:  # a value that does not pickle, a module that is not there
                self._release(sent)
                return Outcome(item, None, portable(error, item), 1, 0.0), sent.value
            return replace(outcome, item=item, attempts=outcome.attempts + deaths), sent.value

    def _next(self) -> str:
        """Wait for an item that is done; if all workers ended, the error names their items."""
        try:
            return self._connection.next_of(self._done)
        except NoWorkers as error:
            deaths = self._connection.deaths(sent.value for sent in self._sent.values())
            if not deaths:
                raise
            most = max(deaths.values())
            items = (self._sent[key].item for key, number in deaths.items() if number == most)
            names = describe_item(tuple(chain.from_iterable(map(bundle_parts, items))))
            raise NoWorkers(f"{error}; {most} ended while they had {names}") from error

    def _send(self, item: object, worker: str | None, deaths: int = 0, isolated: int = 0) -> None:
        value = self._connection.submit(
            run_task,
            self._sent_task(),
            serialize(item),
            self._memory if isolated else None,
            self._keep,
            name=f"{self._name}-isolated" if isolated else self._name,
            worker=worker,
            on_last=self._done.put,
        )
        self._sent[value.key] = _Sent(item, worker, value, deaths, isolated)
        self._load[worker or ""] += 1
        value.add_done_callback(lambda future: self._done.put(future.key))

    def _sent_task(self) -> bytes | Future:
        """Return what stands for the task in a call."""
        if len(self._task) <= LARGE:
            return self._task
        if self._large is None or self._large.status not in ("pending", "finished"):
            self._large = self._connection.submit(
                deserialize, self._task, name=f"{self._name}-task", priority=30
            )
        return self._large

    def _outcome_of(self, sent: _Sent) -> Outcome[Any, Any]:
        """Return the outcome of an item, without its value if that stays where it is."""
        future = sent.value
        if future.status != "error":
            reported: Outcome[Any, Any] | None = self._connection.read_report(future.key)
            if reported is not None:
                return reported
            if self._keep:  # the report was lost: ask the worker
                name = f"{self._name}-outcome"
                future = self._connection.submit(
                    Outcome.without_value, future, name=name, priority=20
                )
        return cast("Outcome[Any, Any]", self._connection.fetch(future))

    def _release(self, sent: _Sent) -> None:
        sent.value.release()
        self._connection.read_report(sent.value.key)


# -- what runs on the workers ------------------------------------------------------------------


def run_task(
    task: bytes | Callable[[ItemT], ValueT], sent: bytes, limit: int | None, keep: bool
) -> Outcome[None, ValueT]:
    """Run the task on the item; in an isolated process of `limit` bytes, if that is given.

    The outcome is returned without its item. What will not come with it is reported to the driver:
    with `keep`, the outcome without its value, and always that the deadline is over and this
    process ends.
    """
    called: Callable[[ItemT], ValueT] = deserialize(task) if isinstance(task, bytes) else task
    item: ItemT = deserialize(sent)
    worker = get_worker()
    key = worker.get_current_task()
    _log(key, logging.INFO, item, "begins")
    begin = perf_counter()

    def report_deadline(error: OutOfTime) -> None:
        seconds = perf_counter() - begin
        late: Outcome[None, Any] = Outcome(None, None, error, 1, seconds, worker.address)
        send_report(worker, key, late, last=True)

    if limit is not None:
        outcome = run_isolated(called, item, limit)
    else:
        # without a nanny, no other process would take this one's place
        with expendable(report_deadline) if worker.nanny is not None else nullcontext():
            outcome = attempt(called, item)
    if outcome.error is not None:
        _log(key, logging.WARNING, item, f"failed: {outcome.error}")
    here: Outcome[Any, ValueT] = replace(outcome, item=None, worker=worker.address)  # type: ignore[arg-type]
    if keep:
        send_report(worker, key, here.without_value())
    return here


def _log(key: str, level: int, item: object, event: str) -> None:
    """Write an event to the worker's log: the phase, the image and which part of it.

    Before the work begins, so that the last line of a worker that died names what it worked on.
    """
    if _logger.isEnabledFor(level):
        subject = for_the_record(str(item)[:300])
        _logger.log(level, "%s %s: %s", key_split(key), subject, for_the_record(event))


def merge_outcomes(
    merge: bytes, a: Outcome[Any, ValueT], b: Outcome[Any, ValueT]
) -> Outcome[None, ValueT]:
    """Merge two values on the worker that has them."""
    return Outcome(None, deserialize(merge)(a.unwrap(), b.unwrap()), None, 1, 0.0)
