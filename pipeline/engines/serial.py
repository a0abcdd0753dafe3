"""The specification of an engine, in a page: this process, no cluster.

With more than one thread it is also the engine of arrays that are in memory already: compiled
loops and decoders let other threads run.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from itertools import islice
from typing import Any

from pipeline.engines.attempt import attempt, without_value
from pipeline.engines.base import Engine, Item, Outcome, Size, Value, tree
from pipeline.engines.machine import cores, free_memory
from pipeline.errors import ConfigError


class SerialEngine(Engine):
    """Runs tasks in this process: one after the other, or in a few threads.

    Parameters
    ----------
    threads
        Tasks at the same time. With 1, a task runs when its outcome is asked for.
    memory
        Bytes that a run may use; None: a share of what is free.
    """

    workers = 1

    def __init__(self, threads: int = 1, *, memory: int | None = None) -> None:
        if threads < 1:
            raise ConfigError(f"an engine needs at least 1 thread, not {threads}")
        self.threads = threads
        self.memory = free_memory() if memory is None else memory

    def map(
        self, task: Callable[[Item], Value], items: Iterable[Item], *, name: str
    ) -> Iterator[Outcome[Item, Value]]:
        """Yield an outcome per item; with one thread in the order of the items."""
        if self.threads == 1:
            for item in items:
                yield attempt(task, item)
            return
        source = iter(items)
        with ThreadPoolExecutor(self.threads, thread_name_prefix=name) as pool:
            running: set[Future[Outcome[Item, Value]]] = set()
            try:
                while True:
                    room = 2 * self.threads - len(running)
                    running |= {pool.submit(attempt, task, item) for item in islice(source, room)}
                    if not running:
                        return
                    done = next(iter(wait(running, return_when=FIRST_COMPLETED).done))
                    running.remove(done)
                    yield done.result()
            finally:
                for future in running:
                    future.cancel()

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
        """Return all values merged into one, in this process."""
        with closing(self.map(task, items, name=name)) as outcomes:  # type: ignore[type-var]
            return tree(_values(outcomes, watch), merge)


def _values(
    outcomes: Iterator[Outcome[Item, Value]], watch: Callable[[Outcome[Item, None]], None] | None
) -> Iterator[Value]:
    """Yield the values; the first failure is raised after it was told."""
    for outcome in outcomes:
        if watch is not None:
            watch(without_value(outcome))
        yield outcome.unwrap()


def open_serial(
    options: Mapping[str, Any], *, memory: int | None = None, tasks: int | None = None
) -> SerialEngine:
    """Open the engine that ``cluster.kind: serial`` asks for: one task after the other."""
    return _opened("serial", {"threads": 1, **options}, memory, tasks)


def open_threads(
    options: Mapping[str, Any], *, memory: int | None = None, tasks: int | None = None
) -> SerialEngine:
    """Open the engine that ``cluster.kind: threads`` asks for: all processors, one process.

    The quickest way to segment one image: nothing has to be started, nothing is sent. It does not
    survive what kills its process.
    """
    return _opened("threads", {"threads": cores(), **options}, memory, tasks)


def size_serial(options: Mapping[str, Any], *, memory: int | None = None) -> Size:
    """Return what `open_serial` would have to work with."""
    return open_serial(options, memory=memory).size


def size_threads(options: Mapping[str, Any], *, memory: int | None = None) -> Size:
    """Return what `open_threads` would have to work with."""
    return open_threads(options, memory=memory).size


def _opened(
    kind: str, options: Mapping[str, Any], memory: int | None, tasks: int | None
) -> SerialEngine:
    """Return an engine; `threads` is the one option it has."""
    unknown = sorted(set(options) - {"threads"})
    if unknown:
        raise ConfigError(
            f"cluster.options.{unknown[0]}: kind {kind} does not know it; it knows threads"
        )
    threads = options["threads"]
    if not isinstance(threads, int) or isinstance(threads, bool) or threads < 1:
        raise ConfigError(f"cluster.options.threads: {threads!r} is no count of threads")
    return SerialEngine(threads if tasks is None else max(1, min(threads, tasks)), memory=memory)
