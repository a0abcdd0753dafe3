"""Batches of a few small images per task, and one by one where a task failed."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import TypeVar

from chunkmeans.engines.base import Engine, Outcome

Thing = TypeVar("Thing")
Result = TypeVar("Result")

MOST_PER_TASK = 32
LEAST_PER_TASK = 4
"""What tasks of the last things have; fewer only where there are few things for each thread."""


def map_batches(
    engine: Engine,
    task: Callable[[tuple[Thing, ...]], Result],
    things: Sequence[Thing],
    *,
    name: str,
) -> Iterator[Outcome[tuple[Thing, ...], Result]]:
    """Yield the outcomes of `task` on a few things at a time.

    A batch that failed (one of it killed its worker, say) is run again thing by thing, so that
    an outcome with an error is of a single thing.
    """
    again: list[tuple[Thing, ...]] = []
    for batches in (batches_of(things, engine.threads), again):
        with closing(engine.map(task, batches, name=name)) as outcomes:  # type: ignore[type-var]
            for outcome in outcomes:
                if outcome.error is not None and len(outcome.item) > 1:
                    again.extend((thing,) for thing in outcome.item)
                else:
                    yield outcome


def batches_of(things: Sequence[Thing], threads: int) -> Iterator[tuple[Thing, ...]]:
    """Yield the things in batches that shrink to the end, so that all threads end with it."""
    most = max(1, min(MOST_PER_TASK, len(things) // (4 * threads)))
    start = 0
    while start < len(things):
        share = (len(things) - start) // (2 * threads)
        size = max(min(most, LEAST_PER_TASK), min(most, share))
        yield tuple(things[start : start + size])
        start += size
