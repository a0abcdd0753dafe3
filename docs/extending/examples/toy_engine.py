"""An engine of threads, and the kind that opens it."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import Any

from chunkmeans.engines.base import Engine, ItemT, Outcome, ValueT
from chunkmeans.engines.kind import EngineKind
from chunkmeans.engines.machine import free_memory
from chunkmeans.engines.options import count, refuse_unknown
from chunkmeans.engines.worker.attempt import attempt


class ToyEngine(Engine):
    """Runs tasks in threads of this process."""

    workers = 1

    def __init__(self, threads: int, memory: int) -> None:
        self.threads, self.memory = threads, memory

    def map(
        self, task: Callable[[ItemT], ValueT], items: Iterable[ItemT], *, name: str
    ) -> Iterator[Outcome[ItemT, ValueT]]:
        """Yield an outcome per item, as they come in."""
        source = iter(items)
        running: set[Future[Outcome[ItemT, ValueT]]] = set()
        with ThreadPoolExecutor(self.threads, thread_name_prefix=name) as pool:
            try:
                while True:
                    # items are taken as there is room: one that runs and one that waits a thread
                    for item in islice(source, 2 * self.threads - len(running)):
                        running.add(pool.submit(attempt, task, item))
                    if not running:
                        return
                    done = wait(running, return_when=FIRST_COMPLETED).done.pop()
                    running.remove(done)
                    yield done.result()
            finally:  # the iterator was closed: cancel what has not run
                for future in running:
                    future.cancel()


class Toy(EngineKind):
    """What ``cluster.kind: toy`` opens."""

    unused = ("scale", "adapt", "security", "dask_config")

    def open(self) -> ToyEngine:
        """Return the engine that the options ask for."""
        options: dict[str, Any] = self.section.options
        refuse_unknown(options, {"threads"}, self.section.kind)
        threads = count(options.get("threads", 2), "cluster.options.threads")
        return ToyEngine(threads, self.request.memory or free_memory())
