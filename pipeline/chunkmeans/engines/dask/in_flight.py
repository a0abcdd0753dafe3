"""The items of one map that are in flight on the cluster, and the calls that run there."""

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

from chunkmeans.engines.base import (
    ItemT,
    Outcome,
    OutOfMemory,
    OutOfTime,
    ValueT,
    bundle_parts,
    describe_item,
)
from chunkmeans.engines.dask.connection import Connection, NoWorkers, release_futures
from chunkmeans.engines.dask.serialize import LARGE, deserialize, serialize
from chunkmeans.engines.dask.task_reports import send_report
from chunkmeans.engines.worker.attempt import attempt, portable, without_value
from chunkmeans.engines.worker.deadline import expendable
from chunkmeans.engines.worker.isolated import run_isolated
from chunkmeans.errors import ClusterError
from chunkmeans.secrets import for_the_record

_logger = logging.getLogger("distributed.chunkmeans")
"""Below Dask's own, so that a worker's log has it where Dask writes its."""

_REPEATS = 3
"""How often a suspect runs in an isolated process, if other tasks end the worker around it."""


@dataclass(frozen=True, slots=True)
class Returned(Generic[ValueT]):
    """What a worker returns: an outcome without its item, and the worker."""

    outcome: Outcome[None, ValueT]
    worker: str
    """Address of the worker."""


@dataclass(frozen=True, slots=True)
class _Sent(Generic[ItemT]):
    """An item in flight."""

    item: ItemT
    worker: str | None
    """Where it should run."""
    value: Future
    """Its outcome with the value."""
    report: str
    """Name of its report, which has the outcome without the value."""
    deaths: int = 0
    """Workers that died with it."""
    isolated: int = 0
    """How often it was sent to an isolated process."""


class InFlight(Generic[ItemT, ValueT]):
    """Sends items, and receives their outcomes.

    Parameters
    ----------
    connection
        To the cluster.
    task
        What to run on every item.
    name
        What the dashboard shows.
    keep
        Whether values stay on the workers.
    memory
        Bytes that an isolated process may use.
    """

    def __init__(
        self,
        connection: Connection,
        task: Callable[[ItemT], ValueT],
        name: str,
        *,
        keep: bool,
        memory: int,
    ) -> None:
        self._connection, self._name, self._keep, self._memory = connection, name, keep, memory
        self._copies = _TaskCopies(connection, task, name)
        self._done: SimpleQueue[Future] = SimpleQueue()
        self._sent: dict[Any, _Sent[ItemT]] = {}
        self._load: Counter[str] = Counter()

    @property
    def room(self) -> int:
        """How many more items are worth sending: each thread has one to do and one to come."""
        return 2 * sum(self._connection.threads.values()) - len(self._sent)

    def __len__(self) -> int:
        return len(self._sent)

    def send(self, item: ItemT, worker: str | None = None) -> None:
        """Send `item`, if possible to `worker`."""
        threads = self._connection.threads
        if worker not in threads:
            worker = None
        if worker is None and self._copies.large and threads:
            # Dask would send it to the one worker that has the task already.
            worker = min(threads, key=lambda w: self._load[w] / threads[w])
        self._send(item, worker)

    def receive(self) -> tuple[Outcome[ItemT, ValueT], str, Future]:
        """Wait for an outcome; return it, the worker it is from, and the future of its value."""
        while True:
            sent = self._sent.pop(self._next().key, None)
            if sent is None:  # its last report came before its future failed
                continue
            self._load[sent.worker or ""] -= 1
            try:
                returned = self._outcome_of(sent)
            except KilledWorker as error:
                self._release(sent)
                deaths = sent.deaths + error.allowed_failures + 1
                if sent.isolated < _REPEATS:
                    self._send(sent.item, sent.worker, deaths, sent.isolated + 1)
                    continue
                return self._killed(sent.item, deaths), "", sent.value
            except ClusterError:
                raise
            except Exception as error:  # a value that does not pickle, a module that is not there
                self._release(sent)
                why = portable(error, sent.item)
                return Outcome(sent.item, None, why, 1, 0.0), "", sent.value
            attempts = returned.outcome.attempts + sent.deaths
            outcome: Any = replace(returned.outcome, item=sent.item, attempts=attempts)  # type: ignore[arg-type]
            return outcome, returned.worker, sent.value

    def close(self) -> None:
        """Cancel everything in flight."""
        for sent in self._sent.values():
            self._release(sent)
        self._sent.clear()
        self._copies.close()

    def _next(self) -> Future:
        """Wait for a future that is done; if all workers ended, the error names their items."""
        try:
            return self._connection.next_of(self._done)
        except NoWorkers as error:
            deaths = self._connection.deaths(sent.value for sent in self._sent.values())
            if not deaths:
                raise
            most = max(deaths.values())
            items = (self._sent[key].item for key, number in deaths.items() if number == most)
            parts = tuple(chain.from_iterable(map(bundle_parts, items)))
            names = describe_item(parts)
            raise NoWorkers(f"{error}; {most} ended while they had {names}") from error

    def _send(self, item: ItemT, worker: str | None, deaths: int = 0, isolated: int = 0) -> None:
        submit, reports = self._connection.submit, self._connection.reports
        task, report = self._copies.on(worker), reports.expect()
        name = f"{self._name}-isolated" if isolated else self._name
        limit = self._memory if isolated else None
        value = submit(
            run_task, task, serialize(item), limit, report, self._keep, name=name, worker=worker
        )
        reports.on_last(report, partial(self._done.put, value))
        self._sent[value.key] = _Sent(item, worker, value, report, deaths, isolated)
        self._load[worker or ""] += 1
        value.add_done_callback(self._done.put)

    def _outcome_of(self, sent: _Sent[ItemT]) -> Returned[Any]:
        """Return the outcome of an item, without its value if that stays where it is."""
        returned: Returned[Any] | None = None
        future = sent.value
        if future.status != "error":
            returned = self._connection.reports.read(sent.report)
            if returned is None and self._keep:  # the report was lost: ask the worker
                name = f"{self._name}-outcome"
                future = self._connection.submit(_without_value, future, name=name, priority=20)
        return self._connection.fetch(future) if returned is None else returned

    def _release(self, sent: _Sent[ItemT]) -> None:
        release_futures([sent.value])
        self._connection.reports.read(sent.report)

    def _killed(self, item: ItemT, deaths: int) -> Outcome[ItemT, ValueT]:
        error = OutOfMemory(
            f"{describe_item(item)}: {deaths} workers died while it was worked on, likely for want "
            "of memory; raise `memory`, or cut the work into smaller chunks"
        )
        return Outcome(item, None, error, deaths, 0.0)


class _TaskCopies:
    """A task on the workers: sent with each item if it is small, else once per worker.

    A large one (a look-up table) is a task result of its own on every worker, made on the first
    from the bytes that the scheduler keeps, and copied between workers to the others. So it
    crosses the scheduler once, is unpickled once per worker, and lives as long as the map; a
    copy that dies with its worker is made again by Dask, which scattered data would not be.
    """

    def __init__(self, connection: Connection, task: Callable[..., Any], name: str) -> None:
        self._connection, self._name = connection, name
        self._bytes = serialize(task)
        self._copies: dict[str, Future] = {}
        self.large = len(self._bytes) > LARGE
        """Whether it is sent once per worker instead of with every item."""

    def on(self, worker: str | None) -> bytes | Future:
        """Return what stands for the task in a call that runs on `worker`."""
        if not self.large:
            return self._bytes
        copy = self._copies.get(worker or "")
        if copy is None or _broken(copy):
            others = [c for c in self._copies.values() if not _broken(c)]
            copy = self._connection.submit(
                *((_same, others[0]) if others else (deserialize, self._bytes)),
                name=f"{self._name}-task",
                worker=worker,
                priority=30,
            )
            self._copies[worker or ""] = copy
        return copy

    def close(self) -> None:
        """Drop the task from the workers."""
        release_futures(self._copies.values())


def _broken(future: Future) -> bool:
    return future.status not in ("pending", "finished")


# -- what runs on the workers ------------------------------------------------------------------


def run_task(
    task: bytes | Callable[[ItemT], ValueT], sent: bytes, limit: int | None, report: str, keep: bool
) -> Returned[ValueT]:
    """Run the task on the item; in an isolated process of `limit` bytes, if that is given.

    What will not come with a value is reported to the driver under the name `report`: with `keep`,
    the outcome without its value, and always that the deadline is over and this process ends.
    """
    called: Callable[[ItemT], ValueT] = deserialize(task) if isinstance(task, bytes) else task
    item: ItemT = deserialize(sent)
    worker = get_worker()
    _log(worker, logging.INFO, item, "begins")
    begin = perf_counter()

    def report_deadline(error: OutOfTime) -> None:
        outcome: Outcome[None, ValueT] = Outcome(None, None, error, 1, perf_counter() - begin)
        send_report(worker, report, Returned(outcome, worker.address), last=True)

    if limit is not None:
        outcome = run_isolated(called, item, limit)
    else:
        # without a nanny, no other process would take this one's place
        with expendable(report_deadline) if worker.nanny is not None else nullcontext():
            outcome = attempt(called, item)
    if outcome.error is not None:
        _log(worker, logging.WARNING, item, f"failed: {outcome.error}")
    returned: Returned[ValueT] = Returned(replace(outcome, item=None), worker.address)  # type: ignore[arg-type]
    if keep:
        send_report(worker, report, _without_value(returned))
    return returned


def _log(worker: Worker, level: int, item: object, event: str) -> None:
    """Write an event to the worker's log: the phase, the image and which part of it.

    Before the work begins, so that the last line of a worker that died names what it worked on.
    """
    if _logger.isEnabledFor(level):
        phase = key_split(worker.get_current_task())
        subject = for_the_record(str(item)[:300])
        _logger.log(level, "%s %s: %s", phase, subject, for_the_record(event))


def merge_returned(merge: bytes, a: Returned[ValueT], b: Returned[ValueT]) -> Returned[ValueT]:
    """Merge two values on the worker that has them."""
    value: ValueT = deserialize(merge)(a.outcome.unwrap(), b.outcome.unwrap())
    return Returned(Outcome(None, value, None, 1, 0.0), get_worker().address)


def _without_value(returned: Returned[ValueT]) -> Returned[None]:
    return Returned(without_value(returned.outcome), returned.worker)


def _same(task: Callable[..., Any]) -> Callable[..., Any]:
    """Return the task: a copy of it on the worker that runs this."""
    return task
