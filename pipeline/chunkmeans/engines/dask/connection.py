"""The connection to a Dask scheduler: every request ends in an answer or an error, never in a hang.

A scheduler may go, or stand still with its connections open (stopped, or on a host that is cut
off), and there may be no workers. Each is an error after the time to wait, and the run ends: what
is written stays, and the same command resumes.

Beside their values, tasks report the outcomes of items. A value that stays on its worker need not
be fetched to learn that it is there, how long it took and where it is. Dask's events carry that
along with its own messages, so that the driver learns of many items without a request. An event
may be lost with its worker: a report may never come, and its reader must be able to do without.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from queue import Empty, SimpleQueue
from time import monotonic, sleep
from typing import Any, NoReturn
from uuid import uuid4

from distributed import CancelledError, Client, Future, Worker
from distributed.client import ClosedClientError
from distributed.comm import CommClosedError, connect
from distributed.protocol import pickle
from distributed.scheduler import NoValidWorkerError
from distributed.security import Security

from chunkmeans.errors import ClusterError

CHECK_INTERVAL = 1.0
"""Seconds without a result after which scheduler and workers are checked."""

LEAST_TIMEOUT = 5.0
"""Seconds that the scheduler has for an answer, at least."""

TRIM_EVERY = 2048
"""Submissions after which the scheduler's statistics of them are emptied."""

DEFAULT_ADVICE = "start workers, or see in their logs why they end"
"""What to do where there is no worker, unless the kind of cluster knows better."""

TOPIC = "chunkmeans"
"""Name of our events: one, as a scheduler never forgets a name."""

HOW_TO_RESUME = "what is written stays, the same command resumes"

_LOST = (CancelledError, ClosedClientError, CommClosedError, NoValidWorkerError)


class NoWorkers(ClusterError):
    """There has been no worker for too long."""


@dataclass(slots=True)
class _Expected:
    """What is expected of a task."""

    on_last: Callable[[str], object]
    report: bytes | None = None


@dataclass(frozen=True, slots=True)
class Workers:
    """What is known of the workers of a cluster that is open."""

    first: int = 1
    """With how many to begin, unless the config says so."""
    planned: int = 0
    """How many there will be, for the plan; at least those that are there count."""
    memory: int | None = None
    """Bytes that each may use; None: what it was started with."""
    replace: Callable[[], object] | None = None
    """Called now and then while workers are missing, to start others for those that Dask gave
    up; must do nothing where it gave up none. None: not ours to start."""
    advice: str = DEFAULT_ADVICE
    """What to do where there is none, for the error that says so."""


class Connection:
    """A client that raises `ClusterError` where Dask would wait for ever. Thread-safe.

    Parameters
    ----------
    client
        A client of the scheduler.
    wait
        Seconds to wait for a worker while there is none, and for an answer of the scheduler.
    workers
        What is known of the workers.
    """

    def __init__(self, client: Client, wait: float, workers: Workers) -> None:
        self.client, self.wait, self.workers = client, wait, workers
        self.timeout = max(wait, LEAST_TIMEOUT)
        """Seconds that the scheduler has for an answer."""
        self._expected: dict[str, _Expected] = {}
        """Reports that are expected, or came and were not read, by the keys of tasks."""
        client.subscribe_topic(TOPIC, self._receive)
        self.most_workers = 0
        """Workers that there were at the most."""
        self.address: str = client.scheduler.address
        """Where the scheduler listens, or did."""
        self.threads: Mapping[str, int] = {}
        """Threads of every worker, by its address, at the last check."""
        self._submissions = count(1)

    def await_workers(self, count: int = 1) -> None:
        """Return when there are `count` workers, or after the time to wait if there is any."""
        since = monotonic()
        while len(self.threads) < count:
            self.check(since)
            if self.threads and monotonic() - since > self.wait:
                return
            sleep(0.02)

    def check(self, since: float) -> float:
        """Check whether there are workers; return the time at which there still were some.

        Raises
        ------
        ClusterError
            If the scheduler is gone or does not answer, or there has been no worker since `since`
            for too long; the latter is `NoWorkers`.
        """
        if self.client.status != "running":
            self._raise_lost(None)
        try:
            threads = dict(self.client.nthreads(callback_timeout=self.timeout))
        except TimeoutError as error:
            raise ClusterError(
                f"the scheduler at {self.address} has not answered for {self.timeout:g} seconds; "
                f"see whether its process and its host are well; {HOW_TO_RESUME}"
            ) from error
        except (*_LOST, OSError) as error:
            self._raise_lost(error)
        self.most_workers = max(self.most_workers, len(threads))
        if len(threads) < self.most_workers and self.workers.replace is not None:
            self.workers.replace()
        if threads:
            if threads.keys() != self.threads.keys():
                self._run_on_scheduler(_run_elsewhere)
            self.threads = threads
            return monotonic()
        if monotonic() - since > self.wait:
            raise NoWorkers(
                f"the scheduler at {self.address} has had no worker for {self.wait:g} seconds; "
                f"{self.workers.advice}; {HOW_TO_RESUME}"
            )
        return since

    def run_on_workers(self, function: Callable[..., Any], *arguments: object) -> None:
        """Call a function in every worker that can be reached; the others are passed over."""
        if self.client.status != "running":
            return
        with suppress(*_LOST, OSError):
            self.client.run(function, *arguments, on_error="ignore", callback_timeout=LEAST_TIMEOUT)

    def deaths(self, futures: Iterable[Future]) -> Mapping[str, int]:
        """Return how many workers ended while each future was on them, by its key; 0 is left out.

        Nothing where the scheduler does not answer.
        """
        return dict(self._run_on_scheduler(_suspicious, [future.key for future in futures]) or {})

    def submit(
        self,
        function: Callable[..., Any],
        *arguments: object,
        name: str,
        worker: str | None = None,
        priority: int = 0,
        on_last: Callable[[str], object] | None = None,
    ) -> Future:
        """Submit one call; `worker` is where it should run, not where it must.

        Where `on_last` is given, a report is expected of it. It is called with the call's key, in
        another thread, if a report comes that no value will follow.
        """
        key = f"{name}-{uuid4().hex}"
        if on_last is not None:
            self._expected[key] = _Expected(on_last)
        if next(self._submissions) % TRIM_EVERY == 0:
            self._run_on_scheduler(_trim_statistics)
        try:
            return self.client.submit(
                function,
                *arguments,
                key=key,
                workers=None if worker is None else [worker],
                allow_other_workers=worker is not None,
                priority=priority,
                pure=False,
            )
        except _LOST as error:
            self._raise_lost(error)

    def read_report(self, key: str) -> Any:
        """Return the report of a task, then expected no more; None if it has not come."""
        expected = self._expected.pop(key, None)
        if expected is None or expected.report is None:
            return None
        return pickle.loads(expected.report)

    def fetch(self, future: Future) -> Any:
        """Return the result of `future`, wherever it is, as soon as it is there."""
        since, timeout = monotonic(), CHECK_INTERVAL
        while True:
            try:
                return future.result(timeout=timeout)
            except (TimeoutError, UnboundLocalError):
                # the latter is what Dask raises where its time-out cuts off a value on its way
                if future.status == "error":  # then it is the task's own
                    raise
                if future.status == "finished":  # it is sent anew each time, and may be large
                    timeout *= 2
            except _LOST as error:
                self._raise_lost(error)
            since = self.check(since)

    def next_of(self, done: "SimpleQueue[str]") -> str:
        """Return the next key that a callback puts into `done`."""
        since = monotonic()
        while True:
            try:
                return done.get(timeout=CHECK_INTERVAL)
            except Empty:
                since = self.check(since)

    def _receive(self, event: tuple[float, dict[str, Any]]) -> None:
        _, message = event
        expected = self._expected.get(message["key"])
        if expected is not None:  # else another driver's, or its item was given up
            expected.report = message["report"]
            if message["last"]:
                expected.on_last(message["key"])

    def _run_on_scheduler(self, function: Callable[..., Any], *arguments: object) -> Any:
        """Return what a function returns on the scheduler; None where it may not, or is lost."""
        with suppress(*_LOST, OSError, ValueError):  # the last where it runs no functions
            return self.client.run_on_scheduler(
                function, *arguments, callback_timeout=LEAST_TIMEOUT
            )
        return None

    def _raise_lost(self, error: BaseException | None) -> NoReturn:
        """Raise that the scheduler is gone, or that it ended its own wait for workers."""
        if isinstance(error, NoValidWorkerError):
            raise NoWorkers(
                f"the scheduler at {self.address} has had no worker for longer than it waits "
                f"(distributed.scheduler.no-workers-timeout); start workers; {HOW_TO_RESUME}"
            ) from error
        raise ClusterError(
            f"lost the scheduler at {self.address}"
            + (f" ({error})" if error is not None and str(error) else "")
            + f"; {HOW_TO_RESUME}"
        ) from error


def send_report(worker: Worker, key: str, report: object, *, last: bool = False) -> None:
    """Send the report of a task of `worker`; with `last`, no value of that task will follow."""
    worker.log_event(TOPIC, {"key": key, "report": pickle.dumps(report), "last": last})


def await_answer(address: str, seconds: float, security: Security) -> None:
    """Return when a scheduler answers there; a client of Dask would try for longer.

    Raises
    ------
    OSError
        If none answers within that time.
    """

    async def connected() -> None:
        asked = connect(address, timeout=seconds, **security.get_connection_args("client"))
        comm = await asyncio.wait_for(asked, seconds + 1)
        await comm.close()

    try:
        with ThreadPoolExecutor(1) as thread:  # the caller's may have a loop of its own
            thread.submit(asyncio.run, connected()).result()
    except TimeoutError as error:
        raise TimeoutError(f"silent for {seconds:g} s") from error


def _trim_statistics(dask_scheduler: Any) -> None:
    """Drop each submission from statistics that Dask keeps for ever, and that would fill memory."""
    spans = dask_scheduler.extensions.get("spans")
    for span in spans.spans.values() if spans else ():
        if span.metadata is not None:
            noted = span.metadata["collections"]
            noted[:] = [entry for entry in noted if entry.get("type") != "Future"]


def _run_elsewhere(dask_scheduler: Any) -> None:
    """Run tasks that wait for a worker which they prefer but do not need.

    Dask looks for another one when that worker goes, and never again: if none was there at that
    moment, workers that come later do not get these tasks.
    """
    waiting = [ts.key for ts in dask_scheduler.unrunnable if ts.loose_restrictions]
    if waiting:
        dask_scheduler.transitions(dict.fromkeys(waiting, "processing"), "chunkmeans")


def _suspicious(keys: Iterable[str], dask_scheduler: Any) -> dict[str, int]:
    """Return how many workers ended with each task, of those with which any did."""
    tasks = dask_scheduler.tasks
    return {k: tasks[k].suspicious for k in keys if k in tasks and tasks[k].suspicious}
