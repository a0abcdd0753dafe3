"""The seam between what a run computes and where it is computed."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Generic, Self, TypeVar

from chunkmeans.engines import pixel_cache
from chunkmeans.errors import ChunkError, ConfigError

Item = TypeVar("Item")
Value = TypeVar("Value")


NAMED = 3
"""Parts of a bundle that are named before the others are only counted."""


class WorkerKilled(ChunkError):
    """The item killed the process it ran in, even one of its own: memory, or a native fault.

    Where an item is a bundle, its parts may be given to the engine again one by one, so that
    only the poisonous one is lost.
    """


class OutOfMemory(WorkerKilled):
    """It took more memory than there is for it: another machine, or another day, may have it."""


class OutOfTime(WorkerKilled):
    """It did not come back in time (`chunkmeans.engines.worker.deadline`)."""


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Item, Value]):
    """What became of one item."""

    item: Item
    value: Value | None
    """What the task returned; None if it failed."""
    error: Exception | None
    """Why it failed, after the last attempt; None if it did not."""
    attempts: int
    """How often it was tried, at least 1."""
    seconds: float
    """Time of the last attempt where it ran, seconds."""

    def unwrap(self) -> Value:
        """Return the value, or raise the error."""
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class Size:
    """What an engine has to work with."""

    workers: int
    """Processes that run tasks."""
    threads: int
    """Tasks at the same time, over all workers."""
    memory: int
    """Bytes a worker may use."""
    apart: bool = False
    """Whether the driver is a process of its own, not the one worker."""
    assumed: bool = False
    """Whether nobody knows yet what memory a worker will have."""

    def of_one_task(self) -> "Size":
        """Return what a single task has: a thread and its share of its worker's memory."""
        return Size(1, 1, self.memory * self.workers // max(1, self.threads))


class Engine(ABC):
    """Runs tasks on items. Functions, items and values pickle; nothing else is assumed.

    A task is tried again where its error may pass (`OSError`: a network file system, an object
    store); every other error is the item's outcome at once.
    """

    workers: int
    """Processes that run tasks."""
    threads: int
    """Tasks at the same time, over all workers."""
    memory: int
    """Bytes a worker may use."""
    apart: bool = False
    """Whether the driver is a process of its own, not the one worker."""
    dashboard: str = ""
    """URL of a page that shows the work, "" where there is none."""

    @property
    def size(self) -> Size:
        """What there is to work with."""
        return Size(self.workers, self.threads, self.memory, self.apart)

    @abstractmethod
    def map(
        self, task: Callable[[Item], Value], items: Iterable[Item], *, name: str
    ) -> Iterator[Outcome[Item, Value]]:
        """Yield an outcome per item, in any order; items are taken as there is room.

        Closing the iterator cancels what has not run. `name` is what the dashboard shows.
        """

    @abstractmethod
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
        """Return all values merged into one; `merge` is associative and commutative.

        Values stay where they were computed until they are merged. Items with the same `near`
        key prefer the worker that ran that key before, so that what it holds is found again.
        `watch` is told of each finished item. The first failure is raised, the rest cancelled.

        Raises
        ------
        ValueError
            If there are no items.
        """

    def release(self, family: str) -> None:
        """Let go of what workers hold of a family (see `chunkmeans.engines.pixel_cache`)."""
        pixel_cache.release(family)

    def reported(self, file: str) -> AbstractContextManager[None]:
        """Return a context of which a report on time and transfers is written to `file`.

        Raises
        ------
        ConfigError
            If this engine keeps no such record.
        """
        raise ConfigError(
            "a performance report is Dask's; use another cluster.kind than serial and threads"
        )

    def close(self) -> None:
        """Let the workers go."""
        return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def parts_of(item: object) -> tuple[object, ...]:
    """Return the parts of an item: of a bundle, which is a tuple, all of them."""
    return item if isinstance(item, tuple) else (item,)


def named(item: object) -> str:
    """Return an item in words: of a bundle its first parts.

    >>> named(("scan.tif [0:64]", "scan.tif [64:128]"))
    'scan.tif [0:64], scan.tif [64:128]'
    """
    parts = parts_of(item)
    words = ", ".join(str(part)[:300] for part in parts[:NAMED])
    return words if len(parts) <= NAMED else f"{words} and {len(parts) - NAMED} more"


def tree(values: Iterable[Value], merge: Callable[[Value, Value], Value]) -> Value:
    """Return `values` merged pair by pair, then the pairs, as every engine does it.

    Holds at most the logarithm of the number of values at a time.

    >>> tree("abcde", lambda a, b: f"({a}{b})")
    '(((ab)(cd))e)'
    """
    heights: list[tuple[int, Value]] = []
    for value in values:
        height = 0
        while heights and heights[-1][0] == height:
            value, height = merge(heights.pop()[1], value), height + 1
        heights.append((height, value))
    if not heights:
        raise ValueError("nothing to merge: no items were given")
    merged = heights.pop()[1]
    while heights:
        merged = merge(heights.pop()[1], merged)
    return merged
