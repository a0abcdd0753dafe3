"""The serial engine, the specification of all others: tasks run in this process.

With more than one thread it is also the engine of arrays that are in memory already: compiled
loops and decoders release Python's lock.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice

from chunkmeans.engines.base import Engine, ItemT, Outcome, ValueT
from chunkmeans.engines.kind import EngineKind
from chunkmeans.engines.machine import cores, free_memory
from chunkmeans.engines.options import count, refuse_unknown
from chunkmeans.engines.worker.attempt import attempt


class SerialEngine(Engine):
    """Runs tasks in this process: one after the other, or in a few threads.

    Parameters
    ----------
    threads
        Tasks at the same time, at least 1. With 1, a task runs when its outcome is asked for.
    memory
        Bytes that a run may use; None: a share of what is free.
    """

    workers = 1

    def __init__(self, threads: int = 1, *, memory: int | None = None) -> None:
        self.threads = threads
        self.memory = free_memory() if memory is None else memory

    def map(
        self, task: Callable[[ItemT], ValueT], items: Iterable[ItemT], *, name: str
    ) -> Iterator[Outcome[ItemT, ValueT]]:
        """Yield an outcome per item; with one thread in the order of the items."""
        if self.threads == 1:
            for item in items:
                yield attempt(task, item)
            return
        source = iter(items)
        with ThreadPoolExecutor(self.threads, thread_name_prefix=name) as pool:
            running: set[Future[Outcome[ItemT, ValueT]]] = set()
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


class Serial(EngineKind):
    """``cluster.kind: serial``, one task after the other; the one option is `threads`."""

    unused = ("scale", "adapt", "security", "dask_config")

    def default_threads(self) -> int:
        """How many tasks run at a time where the options do not say it."""
        return 1

    def open(self) -> SerialEngine:
        """Return the engine."""
        options = self.section.options
        refuse_unknown(options, {"threads"}, self.section.kind)
        threads = count(options.get("threads", self.default_threads()), "cluster.options.threads")
        return SerialEngine(threads, memory=self.request.memory)


class Threads(Serial):
    """``cluster.kind: threads``, all processors in one process.

    The quickest way to segment one image: nothing has to be started, nothing is sent. It does not
    survive what kills its process.
    """

    def default_threads(self) -> int:
        """All processors."""
        return cores()
