"""Batches of a few small images per task; one that fails costs no other."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from time import perf_counter
from typing import TypeVar

from chunkmeans.engines.base import Engine
from chunkmeans.errors import ClusterError
from chunkmeans.sources.warnings import collecting_warnings
from chunkmeans.steps.job import Job
from chunkmeans.steps.resume.outcome import Ending, failed

Thing = TypeVar("Thing")
Result = TypeVar("Result")

MOST_PER_TASK = 32
LEAST_PER_TASK = 4
"""What tasks of the last things have; fewer only where there are few things for each thread."""


def map_batches(
    engine: Engine,
    task: Callable[[tuple[Thing, ...]], Iterable[Result]],
    things: Sequence[Thing],
    failed: Callable[[Thing, Exception], Result],
    *,
    name: str,
) -> Iterator[Result]:
    """Yield what `task` returns of a few things at a time, and what `failed` does of the others.

    A batch that failed (one of it killed its worker, say) is run again thing by thing, so that
    an error is of a single thing.
    """
    again: list[tuple[Thing, ...]] = []
    for batches in (batches_of(things, engine.threads), again):
        with closing(engine.map(task, batches, name=name)) as outcomes:  # type: ignore[type-var]
            for outcome in outcomes:
                if outcome.error is None:
                    yield from outcome.unwrap()
                elif len(outcome.item) > 1:
                    again.extend((thing,) for thing in outcome.item)
                else:
                    yield failed(outcome.item[0], outcome.error)


def batches_of(things: Sequence[Thing], threads: int) -> Iterator[tuple[Thing, ...]]:
    """Yield the things in batches that shrink to the end, so that all threads end with it."""
    most = max(1, min(MOST_PER_TASK, len(things) // (4 * threads)))
    start = 0
    while start < len(things):
        share = (len(things) - start) // (2 * threads)
        size = max(min(most, LEAST_PER_TASK), min(most, share))
        yield tuple(things[start : start + size])
        start += size


def guarded(job: Job, work: Callable[[], Result], *, again: bool = False) -> Result | Ending:
    """Return what `work` on one image returns, or how the image failed: it never stops the others.

    `again` says whether the next run tries it again though the file is the same.
    """
    begin = perf_counter()
    try:
        with collecting_warnings():
            return work()
    except ClusterError:  # the machines' fault, not the image's
        raise
    except Exception as error:
        return failed(job, error, begin, again=again)
