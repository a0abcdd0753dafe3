"""The engine on Dask: plain futures, few at a time, that Dask can compute again.

No scattered data, no actors and no growing graph: each task is submitted by itself when there is
room for it, and what a dead worker held is computed anew from the calls that the scheduler keeps.
A task that Dask gives up because its worker died too often is run in a process of its own, so
that the innocent around it are not lost with it.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import reduce
from importlib.util import find_spec
from itertools import islice
from sys import intern
from threading import Lock
from time import monotonic
from typing import Any
from weakref import WeakSet

from distributed import Client, Future, KilledWorker, performance_report

from chunkmeans.engines import pixel_cache
from chunkmeans.engines.base import Engine, Item, Outcome, Value, tree
from chunkmeans.engines.dask.connection import ADVICE, Link, release
from chunkmeans.engines.dask.in_flight import Window, join
from chunkmeans.engines.dask.packing import pack
from chunkmeans.engines.worker.attempt import without_value
from chunkmeans.errors import ChunkError, ConfigError

HOMES = 2**18
"""Keys of which the last worker is remembered: the first ones of a family, as with `hold`."""

BLOCK = 1024
"""Values that are merged on the workers before the driver takes over what they make together.

Dask keeps the call of every value that went into another, to compute it again if it must. That
chain ends with a block, or the scheduler's memory would grow with the number of items.
"""

BLOCK_SECONDS = 30.0
"""Seconds after which a block ends though it has fewer values.

What is merged on the workers goes if all of them go, at a walltime that they share, say. Where
they come back for less time than a pass takes, it would never be done; a block will.
"""

_REPEATS = 5
"""How often everything is merged before it is an error that workers die all the time."""


class DaskEngine(Engine):
    """Runs tasks on the workers of a Dask scheduler. May be used by several threads at once.

    Parameters
    ----------
    client
        A client of the scheduler.
    memory
        Bytes a worker may use.
    wait
        Seconds to wait for a worker while there is none.
    workers
        How many workers to wait for at the start, so long as `wait`.
    planned
        How many workers there will be: work is cut for them, though some are yet to come.
    replace
        Starts workers for those that were given up, see `Link`.
    dashboard
        URL of Dask's dashboard, "" without.
    advice
        What to do where there is no worker.
    on_close
        Called by `close`, to close client and cluster.

    Raises
    ------
    ClusterError
        If there is no worker within `wait` seconds.
    """

    apart = True

    def __init__(
        self,
        client: Client,
        *,
        memory: int,
        wait: float = 300.0,
        workers: int = 1,
        planned: int = 0,
        replace: Callable[[], object] | None = None,
        dashboard: str = "",
        advice: str = ADVICE,
        on_close: Callable[[], None] | None = None,
    ) -> None:
        self.memory, self.dashboard = memory, dashboard
        self.on_close = on_close
        self._link = Link(client, wait, replace, advice)
        self._link.await_workers(workers)
        threads = self._link.threads.values()
        missing = max(0, planned - len(threads))
        self.workers = len(threads) + missing
        self.threads = sum(threads) + missing * max(threads)
        self._homes: dict[Hashable, dict[int, str]] = {}  # by family, then hash: a key may be long
        self._remembered = 0
        self._lock = Lock()

    def map(
        self, task: Callable[[Item], Value], items: Iterable[Item], *, name: str
    ) -> Iterator[Outcome[Item, Value]]:
        """Yield an outcome per item as they come in; at most two a thread are on their way."""
        source = iter(items)
        window = Window(self._link, task, name, keep=False, memory=self.memory)
        with closing(window):
            while True:
                for item in islice(source, max(0, window.room)):
                    window.send(item)
                if not len(window):
                    return
                outcome, _, future = window.receive()
                release([future])
                yield outcome

    def map_reduce(
        self,
        task: Callable[[Item], Value],
        items: Sequence[Item],
        merge: Callable[[Value, Value], Value],
        *,
        name: str,
        near: Callable[[Item], Hashable] | None = None,
        watch: Callable[[Outcome[Item, None]], None] | None = None,
    ) -> Value:
        """Return all values merged into one: on the workers that have them, pair by pair.

        Only what a block of many makes together comes here, to be merged with the others'.
        """
        for _ in range(_REPEATS):
            try:
                return self._reduced(task, items, merge, name, near, watch)
            except KilledWorker:
                # Dask gave up on values that it had to compute again and again. Done anew by
                # us, they come a few at a time, and carry no blame for deaths around them.
                watch = None  # every item was told
        raise ChunkError(
            f"{name}: workers died again and again while values were merged, likely for want of "
            "memory; raise `memory`, or use fewer threads per worker"
        )

    def release(self, family: str) -> None:
        """Tell the workers to let go of what they hold of a family; one that is gone holds none."""
        with self._lock:
            self._remembered -= len(self._homes.pop(family, ()))
        self._link.tell(pixel_cache.release, family)

    @contextmanager
    def reported(self, file: str) -> Iterator[None]:
        """Write Dask's performance report of what is done in here, a page of HTML."""
        if find_spec("bokeh") is None:
            raise ConfigError(
                "a performance report needs bokeh; pip install 'chunkmeans[dashboard]'"
            )
        with self._link.client.as_current(), performance_report(filename=file):
            yield

    def close(self) -> None:
        """Let the workers go. A second call does nothing."""
        closed, self.on_close = self.on_close, None
        if closed is not None:
            closed()

    def _reduced(
        self,
        task: Callable[[Item], Value],
        items: Sequence[Item],
        merge: Callable[[Value, Value], Value],
        name: str,
        near: Callable[[Item], Hashable] | None,
        watch: Callable[[Outcome[Item, None]], None] | None,
    ) -> Value:
        sent = pack(merge)
        made: WeakSet[Future] = WeakSet()

        def joined(a: Future, b: Future) -> Future:
            future = self._link.submit(join, sent, a, b, name=f"{name}-merge", priority=10)
            made.add(future)
            return future

        window = Window(self._link, task, name, keep=True, memory=self.memory)
        try:
            with closing(window):
                values = self._values(window, items, near, watch, made)
                merged: Value = reduce(merge, self._blocks(values, joined))
                return merged
        finally:
            release(made)  # an error's traceback would keep the values on the workers

    def _blocks(
        self, values: Iterator[Future], joined: Callable[[Future, Future], Future]
    ) -> Iterator[Any]:
        """Yield the merged value of each block, while the next one is on its way."""
        merged: Future | None = None
        for first in values:
            top = tree(_block(first, values), joined)
            if merged is not None:
                yield self._link.fetch(merged).outcome.unwrap()
            merged = top
        if merged is None:
            raise ValueError("nothing to merge: no items were given")
        yield self._link.fetch(merged).outcome.unwrap()

    def _values(
        self,
        window: Window[Item, Value],
        items: Sequence[Item],
        near: Callable[[Item], Hashable] | None,
        watch: Callable[[Outcome[Item, None]], None] | None,
        made: "WeakSet[Future]",
    ) -> Iterator[Future]:
        """Yield the future of each item's value when it is there; raise the first failure."""
        source = iter(items)
        while True:
            for item in islice(source, max(0, window.room)):
                window.send(item, None if near is None else self._home(near(item)))
            if not len(window):
                return
            outcome, worker, future = window.receive()
            made.add(future)
            if watch is not None:
                watch(without_value(outcome))
            outcome.unwrap()
            if near is not None:
                self._moved(near(outcome.item), worker)
            yield future

    def _home(self, key: Hashable) -> str | None:
        with self._lock:
            return self._homes.get(pixel_cache.family_of(key), {}).get(hash(key))

    def _moved(self, key: Hashable, worker: str) -> None:
        with self._lock:
            homes = self._homes.setdefault(pixel_cache.family_of(key), {})
            if hash(key) not in homes:
                while self._remembered >= HOMES:
                    oldest = next(iter(self._homes))
                    if self._homes[oldest] is homes:
                        return
                    self._remembered -= len(self._homes.pop(oldest))
                self._remembered += 1
            homes[hash(key)] = intern(worker)


def _block(first: Future, values: Iterator[Future]) -> Iterator[Future]:
    """Yield `first` and the values after it that are merged with it: so many, or for so long."""
    end = monotonic() + BLOCK_SECONDS
    yield first
    for value in islice(values, BLOCK - 1):
        yield value
        if monotonic() > end:
            return
