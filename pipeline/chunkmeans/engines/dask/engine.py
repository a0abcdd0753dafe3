"""The engine on Dask: plain futures, few in flight, that Dask can compute again.

No scattered data, no actors and no growing graph: each task is submitted by itself when there is
room for it, and what a dead worker had is computed anew from the calls that the scheduler keeps.
A task that Dask gives up because its worker died too often is run in an isolated process, so that
the other items of that worker are not lost with it.
"""

from collections.abc import Callable, Generator, Hashable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import reduce
from importlib.util import find_spec
from itertools import islice
from sys import intern
from threading import Lock
from time import monotonic
from typing import Any
from weakref import WeakSet

from distributed import Future, KilledWorker, performance_report

from chunkmeans.engines.base import Engine, ItemT, Outcome, ValueT, merge_pairwise
from chunkmeans.engines.dask.connection import Connection
from chunkmeans.engines.dask.in_flight import InFlight, merge_outcomes
from chunkmeans.engines.dask.serialize import serialize
from chunkmeans.engines.pixel_cache import family_of, release_family
from chunkmeans.errors import ChunkError, ConfigError

REMEMBERED_KEYS = 2**18
"""Keys whose last worker is remembered: the first ones of a family, as in the pixel cache."""

MERGE_BLOCK = 1024
"""Values that are merged on the workers before the driver fetches what they make together.

Dask keeps the call of every value that went into another, to compute it again if it must. That
chain ends with a block, or the scheduler's memory would grow with the number of items.
"""

MERGE_BLOCK_SECONDS = 30.0
"""Seconds after which a block ends though it has fewer values.

What is merged on the workers is lost if all of them end, at a walltime that they share, say. Where
they come back for less time than a pass takes, it would never be done; a block will.
"""

_REPEATS = 5
"""How often everything is merged before it is an error that workers die all the time."""


class DaskEngine(Engine):
    """Runs tasks on the workers of a Dask scheduler. May be used by several threads at once.

    Parameters
    ----------
    connection
        To the scheduler, with a worker or more.
    memory
        Bytes a worker may use.
    dashboard
        URL of Dask's dashboard, "" without.
    opened
        What `close` closes: client and cluster.
    """

    apart = True

    def __init__(
        self, connection: Connection, *, memory: int, dashboard: str, opened: ExitStack
    ) -> None:
        self.memory, self.dashboard = memory, dashboard
        self._connection, self._opened = connection, opened
        threads = connection.threads.values()
        # work is cut for those that are yet to come as well
        missing = max(0, connection.workers.planned - len(threads))
        self.workers = len(threads) + missing
        self.threads = sum(threads) + missing * max(threads)
        # by family, then hash: a key may be long
        self._last_workers: dict[Hashable, dict[int, str]] = {}
        self._lock = Lock()

    def map(
        self, task: Callable[[ItemT], ValueT], items: Iterable[ItemT], *, name: str
    ) -> Iterator[Outcome[ItemT, ValueT]]:
        """Yield an outcome per item as they come in; at most two a thread are in flight."""
        sent = serialize(task)
        in_flight = InFlight(self._connection, sent, name, keep=False, memory=self.memory)
        with closing(in_flight.outcomes(items)) as outcomes:
            for outcome, future in outcomes:
                future.release()
                yield outcome

    def map_reduce(
        self,
        task: Callable[[ItemT], ValueT],
        items: Sequence[ItemT],
        merge: Callable[[ValueT, ValueT], ValueT],
        *,
        name: str,
        near: Callable[[ItemT], Hashable] | None = None,
        watch: Callable[[Outcome[ItemT, None]], None] | None = None,
    ) -> ValueT:
        """Return all values merged into one: on the workers that have them, pair by pair.

        Only what a block of many makes together is fetched, to be merged with the others'.
        """
        if not items:
            raise ValueError("nothing to merge: no items were given")
        sent, sent_merge = serialize(task), serialize(merge)
        made: WeakSet[Future] = WeakSet()

        def merged_future(a: Future, b: Future) -> Future:
            future = self._connection.submit(
                merge_outcomes, sent_merge, a, b, name=f"{name}-merge", priority=10
            )
            made.add(future)
            return future

        def last_worker(item: ItemT) -> str | None:
            return None if near is None else self._last_worker(near(item))

        def values() -> Generator[Future, None, None]:
            """Yield the future of each item's value when it is there; raise the first failure."""
            in_flight = InFlight(self._connection, sent, name, keep=True, memory=self.memory)
            with closing(in_flight.outcomes(items, last_worker)) as outcomes:
                for outcome, future in outcomes:
                    made.add(future)
                    if watch is not None:
                        watch(outcome.without_value())
                    outcome.unwrap()
                    if near is not None:
                        self._remember(near(outcome.item), outcome.worker)
                    yield future

        for _ in range(_REPEATS):
            try:
                with closing(values()) as futures:
                    merged: ValueT = reduce(merge, self._blocks(futures, merged_future))
                    return merged
            except KilledWorker:
                # Dask gave up on values that it had to compute again and again. A new pass
                # sends a few at a time, and begins without their counts of deaths.
                watch = None  # it was called for every item
            finally:
                for future in made:  # an error's traceback would keep the values on the workers
                    future.release()
        raise ChunkError(
            f"{name}: workers died again and again while values were merged, likely for want of "
            "memory; raise `memory`, or use fewer threads per worker"
        )

    def release(self, family: str) -> None:
        """Drop what the workers keep of a family; one that is gone keeps none."""
        with self._lock:
            self._last_workers.pop(family, None)
        self._connection.run_on_workers(release_family, family)

    @contextmanager
    def reported(self, file: str) -> Iterator[None]:
        """Write Dask's performance report of what is done in here, a page of HTML."""
        if find_spec("bokeh") is None:
            raise ConfigError(
                "a performance report needs bokeh; pip install 'chunkmeans[dashboard]'"
            )
        with self._connection.client.as_current(), performance_report(filename=file):
            yield

    def close(self) -> None:
        """Close the workers. A second call does nothing."""
        self._opened.close()

    def _blocks(
        self, values: Iterator[Future], merged_future: Callable[[Future, Future], Future]
    ) -> Iterator[Any]:
        """Yield the merged value of each block, while the next one is in flight."""
        merged: Future | None = None
        for first in values:
            top = merge_pairwise(_block(first, values), merged_future)
            if merged is not None:
                yield self._connection.fetch(merged).unwrap()
            merged = top  # the one before is not held any longer
        yield self._connection.fetch(merged).unwrap()

    def _last_worker(self, key: Hashable) -> str | None:
        with self._lock:
            return self._last_workers.get(family_of(key), {}).get(hash(key))

    def _remember(self, key: Hashable, worker: str) -> None:
        with self._lock:
            families = self._last_workers
            workers = families.setdefault(family_of(key), {})
            while hash(key) not in workers and sum(map(len, families.values())) >= REMEMBERED_KEYS:
                oldest = next(iter(families))
                if families[oldest] is workers:
                    return
                del families[oldest]
            workers[hash(key)] = intern(worker)


def _block(first: Future, values: Iterator[Future]) -> Iterator[Future]:
    """Yield `first` and the values after it that are merged with it: so many, or for so long."""
    end = monotonic() + MERGE_BLOCK_SECONDS
    yield first
    for value in islice(values, MERGE_BLOCK - 1):
        yield value
        if monotonic() > end:
            return
