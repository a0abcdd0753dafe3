"""The connection to a Dask scheduler: plain questions that end in an answer, never in a hang.

A scheduler may go, or stand still with its connections open (stopped, or on a host that is cut
off), and there may be no workers. Each is an error after the time to wait, and the run ends: what
is written stays, and the same command goes on from there.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from queue import Empty, SimpleQueue
from time import monotonic, sleep
from typing import Any, NoReturn
from uuid import uuid4

from distributed import CancelledError, Client, Future
from distributed.client import ClosedClientError
from distributed.comm import CommClosedError, connect
from distributed.scheduler import NoValidWorkerError
from distributed.security import Security

from chunkmeans.engines.dask.messages import Notes
from chunkmeans.errors import ClusterError

TICK = 1.0
"""Seconds without news after which the cluster is looked at."""

PATIENCE = 5.0
"""Seconds that the scheduler has for an answer, at least."""

TIDY = 2048
"""Submissions after which the scheduler is told to forget what it noted of them."""

ADVICE = "start workers, or see in their logs why they end"
"""What to do where there is no worker, if nobody knows better."""

GOES_ON = "what is written stays, the same command goes on from there"

_LOST = (CancelledError, ClosedClientError, CommClosedError, NoValidWorkerError)


class NoWorkers(ClusterError):
    """There has been no worker for too long."""


class Link:
    """A client that gives up with `ClusterError` where Dask would wait for ever. Thread-safe.

    Parameters
    ----------
    client
        A client of the scheduler.
    wait
        Seconds to wait for a worker while there is none, and for an answer of the scheduler.
    replace
        Called now and then while workers are missing, to start others for those that were given
        up; must do nothing where none was. None: somebody else sees to that.
    advice
        What to do where there is no worker, for the error that says so.
    """

    def __init__(
        self,
        client: Client,
        wait: float,
        replace: Callable[[], object] | None = None,
        advice: str = ADVICE,
    ) -> None:
        self.client, self.wait, self.replace, self.advice = client, wait, replace, advice
        self.notes = Notes(client)
        """What tasks tell of themselves."""
        self.wanted = 0
        """Workers that there were at the most."""
        self.address: str = client.scheduler.address
        """Where the scheduler listens, or did."""
        self.threads: Mapping[str, int] = {}
        """Threads of every worker, by its address, when last looked at."""
        self._submissions = count(1)

    @property
    def patience(self) -> float:
        """Seconds that the scheduler has for an answer."""
        return max(self.wait, PATIENCE)

    def await_workers(self, count: int = 1) -> None:
        """Return when there are `count` workers, or after the time to wait if there is any."""
        since = monotonic()
        while len(self.threads) < count:
            self.look(since)
            if self.threads and monotonic() - since > self.wait:
                return
            sleep(0.02)

    def look(self, since: float) -> float:
        """Look whether there are workers; return the time at which there still were some.

        Raises
        ------
        ClusterError
            If the scheduler is gone or does not answer, or there has been no worker since `since`
            for too long; the latter is `NoWorkers`.
        """
        if self.client.status != "running":
            self.lost(None)
        try:
            threads = dict(self.client.nthreads(callback_timeout=self.patience))
        except TimeoutError as error:
            raise ClusterError(
                f"the scheduler at {self.address} has not answered for {self.patience:g} seconds; "
                f"see whether its process and its host are well; {GOES_ON}"
            ) from error
        except (*_LOST, OSError) as error:
            self.lost(error)
        self.wanted = max(self.wanted, len(threads))
        if len(threads) < self.wanted and self.replace is not None:
            self.replace()
        if threads:
            if threads.keys() != self.threads.keys():
                self._wake()
            self.threads = threads
            return monotonic()
        if monotonic() - since > self.wait:
            raise NoWorkers(
                f"the scheduler at {self.address} has had no worker for {self.wait:g} seconds; "
                f"{self.advice}; {GOES_ON}"
            )
        return since

    def lost(self, error: BaseException | None) -> NoReturn:
        """Raise that the scheduler is gone, or that it gave up waiting for workers."""
        if isinstance(error, NoValidWorkerError):
            raise NoWorkers(
                f"the scheduler at {self.address} has had no worker for longer than it waits "
                f"(distributed.scheduler.no-workers-timeout); start workers; {GOES_ON}"
            ) from error
        raise ClusterError(
            f"lost the scheduler at {self.address}"
            + (f" ({error})" if error is not None and str(error) else "")
            + f"; {GOES_ON}"
        ) from error

    def tell(self, function: Callable[..., Any], *arguments: object) -> None:
        """Call a function in every worker that is there; none is told where none can be reached."""
        if self.client.status != "running":
            return
        with suppress(*_LOST, OSError):  # whoever is lost, or stands still, has nothing to be told
            self.client.run(function, *arguments, on_error="ignore", callback_timeout=PATIENCE)

    def deaths(self, futures: Iterable[Future]) -> Mapping[str, int]:
        """Return how many workers ended while each future was on them, by its key; 0 is left out.

        Nothing where the scheduler does not tell.
        """
        keys = [future.key for future in futures]
        with suppress(*_LOST, OSError, ValueError):
            found = self.client.run_on_scheduler(_suspicious, keys, callback_timeout=PATIENCE)
            return dict(found)
        return {}

    def submit(
        self,
        function: Callable[..., Any],
        *arguments: object,
        name: str,
        worker: str | None = None,
        priority: int = 0,
    ) -> Future:
        """Submit one call; `worker` is where it had best run, not where it must."""
        if next(self._submissions) % TIDY == 0:
            self._tidy()
        try:
            return self.client.submit(
                function,
                *arguments,
                key=f"{name}-{uuid4().hex}",
                workers=None if worker is None else [worker],
                allow_other_workers=worker is not None,
                priority=priority,
                pure=False,
            )
        except _LOST as error:
            self.lost(error)

    def _wake(self) -> None:
        """Have the scheduler run what had best run on a worker that went, if it lets us."""
        with suppress(*_LOST, OSError, ValueError):
            self.client.run_on_scheduler(_run_elsewhere, callback_timeout=PATIENCE)

    def _tidy(self) -> None:
        """Have the scheduler forget notes that would fill its memory in time, if it lets us."""
        with suppress(*_LOST, OSError, ValueError):
            self.client.run_on_scheduler(_forget_submissions, callback_timeout=PATIENCE)

    def fetch(self, future: Future) -> Any:
        """Return the result of `future`, wherever it is, as soon as it is there."""
        since, patience = monotonic(), TICK
        while True:
            try:
                return future.result(timeout=patience)
            except (TimeoutError, UnboundLocalError):
                # the latter is what Dask raises where its time-out cuts off a value on its way
                if future.status == "error":  # then it is the task's own
                    raise
                if future.status == "finished":  # it is sent anew each time, and may be large
                    patience *= 2
            except _LOST as error:
                self.lost(error)
            since = self.look(since)

    def next_of(self, landed: "SimpleQueue[Future]") -> Future:
        """Return the next future that its callback puts into `landed`."""
        since = monotonic()
        while True:
            try:
                return landed.get(timeout=TICK)
            except Empty:
                since = self.look(since)


def greet(address: str, seconds: float, security: Security) -> None:
    """Return if a scheduler answers there, or raise: a client of Dask does not before it does.

    Raises
    ------
    OSError
        If nobody does within that time.
    """

    async def greeted() -> None:
        secured = security.get_connection_args("client")
        comm = await connect(address, timeout=seconds, **secured)
        await comm.close()

    def answered() -> None:
        try:
            asyncio.run(asyncio.wait_for(greeted(), seconds + 1))
        except TimeoutError as error:
            raise TimeoutError(f"silent for {seconds:g} s") from error

    with ThreadPoolExecutor(1) as thread:  # the caller's may have a loop of its own
        thread.submit(answered).result()


def _forget_submissions(dask_scheduler: Any) -> None:
    """Forget that there were submissions: Dask notes each, for ever, in statistics of its own."""
    spans = dask_scheduler.extensions.get("spans")
    for span in spans.spans.values() if spans else ():
        if span.metadata is not None:
            noted = span.metadata["collections"]
            noted[:] = [entry for entry in noted if entry.get("type") != "Future"]


def _run_elsewhere(dask_scheduler: Any) -> None:
    """Run tasks that wait for a worker which they prefer but do not need.

    Dask looks for another one when that worker goes, and never again: if none was there at that
    moment, workers that come later do not get these tasks, and nobody ever would.
    """
    waiting = [ts.key for ts in dask_scheduler.unrunnable if ts.loose_restrictions]
    if waiting:
        dask_scheduler.transitions(dict.fromkeys(waiting, "processing"), "chunkmeans")


def _suspicious(keys: Iterable[str], dask_scheduler: Any) -> dict[str, int]:
    """Return how many workers ended with each task, of those with which any did."""
    tasks = dask_scheduler.tasks
    return {k: tasks[k].suspicious for k in keys if k in tasks and tasks[k].suspicious}


def release(futures: Iterable[Future]) -> None:
    """Let the scheduler forget what nobody waits for: the queued is dropped, the rest ignored."""
    for future in futures:
        future.release()
