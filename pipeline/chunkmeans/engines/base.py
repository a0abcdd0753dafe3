"""The seam between what a run computes and where it is computed."""

from abc import abstractmethod
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, replace
from functools import reduce
from typing import Generic, TypeVar

from chunkmeans.engines.pixel_cache import release_family
from chunkmeans.errors import ChunkError, ConfigError

ItemT = TypeVar("ItemT")
"""What a task is called with."""
ValueT = TypeVar("ValueT")
"""What a task returns."""

NAMED_PARTS = 3
"""Parts of a bundle that are named before the others are only counted."""


class WorkerKilled(ChunkError):
    """The item ended its process, an isolated one too: by its memory, or by a native fault.

    Where an item is a bundle, its parts may be given to the engine again one by one, so that
    only the one at fault is lost.
    """


class OutOfMemory(WorkerKilled):
    """The item took more memory than it may; a machine with more may run it."""


class OutOfTime(WorkerKilled):
    """The item exceeded its deadline (`chunkmeans.engines.worker.deadline`)."""


@dataclass(frozen=True, slots=True)
class Outcome(Generic[ItemT, ValueT]):
    """The outcome of one item."""

    item: ItemT
    value: ValueT | None
    """What the task returned; None if it failed."""
    error: Exception | None
    """Why it failed, after the last attempt; None if it did not."""
    attempts: int
    """How often it was tried, at least 1."""
    seconds: float
    """Time of the last attempt where it ran, seconds."""
    worker: str = ""
    """Address of the worker where it ran, "" where that is this process."""

    def unwrap(self) -> ValueT:
        """Return the value, or raise the error."""
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[return-value]

    def without_value(self) -> "Outcome[ItemT, None]":
        """Return it without its value, as a watcher gets it."""
        return replace(self, value=None)  # type: ignore[return-value]


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
    """Whether `memory` is an assumption: neither the config nor a worker has stated it."""

    def of_one_task(self) -> "Size":
        """Return what a single task has: a thread and its share of its worker's memory."""
        return Size(1, 1, self.memory * self.workers // max(1, self.threads))


class Engine(AbstractContextManager["Engine"]):
    """Runs tasks on items. Functions, items and values pickle; nothing else is assumed.

    A task is retried where its error is transient (`OSError`: a network file system, an object
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
        self, task: Callable[[ItemT], ValueT], items: Iterable[ItemT], *, name: str
    ) -> Iterator[Outcome[ItemT, ValueT]]:
        """Yield an outcome per item, in any order; items are taken as there is room.

        Closing the iterator cancels what has not run. `name` is what the dashboard shows.
        """

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
        """Return all values merged into one; `merge` is associative and commutative.

        Items with the same `near` key prefer the worker that ran that key before, whose pixel
        cache may have it. `watch` is called with the outcome of each item. The first failure is
        raised, the rest cancelled. Here all values come to this process and there is one worker;
        where others are far away, let values stay on them until they are merged.

        Raises
        ------
        ValueError
            If there are no items.
        """

        def values(outcomes: Iterator[Outcome[ItemT, ValueT]]) -> Iterator[ValueT]:
            for outcome in outcomes:
                if watch is not None:
                    watch(outcome.without_value())
                yield outcome.unwrap()

        with closing(self.map(task, items, name=name)) as outcomes:  # type: ignore[type-var]
            return merge_pairwise(values(outcomes), merge)

    def release(self, family: str) -> None:
        """Drop what workers keep of a family (see `chunkmeans.engines.pixel_cache`)."""
        release_family(family)

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
        """Close the workers. A second call does nothing."""
        return

    def __exit__(self, *_: object) -> None:
        self.close()


def bundle_parts(item: object) -> tuple[object, ...]:
    """Return the parts of an item: of a bundle, which is a tuple, all of them."""
    return item if isinstance(item, tuple) else (item,)


def describe_item(item: object) -> str:
    """Return the text that names an item: of a bundle its first parts.

    >>> describe_item(("scan.tif [0:64]", "scan.tif [64:128]"))
    'scan.tif [0:64], scan.tif [64:128]'
    """
    parts = bundle_parts(item)
    words = ", ".join(str(part)[:300] for part in parts[:NAMED_PARTS])
    return words if len(parts) <= NAMED_PARTS else f"{words} and {len(parts) - NAMED_PARTS} more"


def merge_pairwise(values: Iterable[ValueT], merge: Callable[[ValueT, ValueT], ValueT]) -> ValueT:
    """Return `values` merged pair by pair, then the pairs, as every engine does it.

    Holds at most the logarithm of the number of values at a time.

    >>> merge_pairwise("abcde", lambda a, b: f"({a}{b})")
    '(((ab)(cd))e)'
    """
    merged: list[ValueT] = []
    for number, value in enumerate(values, start=1):
        while number % 2 == 0:  # as many values before this one are merged into one
            value, number = merge(merged.pop(), value), number // 2
        merged.append(value)
    if not merged:
        raise ValueError("nothing to merge: no items were given")
    return reduce(lambda after, before: merge(before, after), reversed(merged))
