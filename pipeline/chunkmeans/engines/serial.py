"""The specification of an engine, in a page: this process, no cluster.

With more than one thread it is also the engine of arrays that are in memory already: compiled
loops and decoders let other threads run.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from itertools import islice

from chunkmeans.engines.base import Engine, Item, Outcome, Size, Value, tree
from chunkmeans.engines.clusters.options import count, refuse_unfit
from chunkmeans.engines.clusters.request import Request
from chunkmeans.engines.machine import cores, free_memory
from chunkmeans.engines.worker.attempt import attempt, without_value
from chunkmeans.errors import ConfigError


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


def open_engine(request: Request) -> SerialEngine:
    """Open the engine of ``cluster.kind: serial``, one task after the other, or ``threads``.

    The latter, all processors in one process, is the quickest way to segment one image: nothing has
    to be started, nothing is sent. It does not survive what kills its process. The one option is
    `threads`.
    """
    refuse_unfit(request, "scale", "adapt", "security", "dask_config")
    options = request.cluster.options
    unknown = sorted(set(options) - {"threads"})
    if unknown:
        raise ConfigError(
            f"cluster.options.{unknown[0]}: kind {request.kind} does not know it; it knows threads"
        )
    threads = count(options.get("threads", 1 if request.kind == "serial" else cores()), "threads")
    if request.tasks is not None:
        threads = max(1, min(threads, request.tasks))
    return SerialEngine(threads, memory=request.memory)


def size(request: Request) -> Size:
    """Return what `open_engine` would have to work with."""
    return open_engine(request).size


def script(request: Request) -> str:
    """Return nothing: no batch system is asked."""
    return ""
