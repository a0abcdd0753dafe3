"""Images that share their means: opened, and labelled by means that are there."""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from functools import partial
from time import perf_counter

from chunkmeans.engines.base import Engine
from chunkmeans.engines.serial import SerialEngine
from chunkmeans.errors import ChunkmeansError
from chunkmeans.events import Watcher, ignore
from chunkmeans.kmeans.fit import Fit
from chunkmeans.steps.job import Job, Opened
from chunkmeans.steps.resume.completion import completed
from chunkmeans.steps.resume.outcome import Ending, failed
from chunkmeans.steps.segment.batches import guarded, map_batches
from chunkmeans.steps.segment.one_image import scan_of, write_labels
from chunkmeans.steps.segment.scan import reported


def open_all(jobs: Sequence[Job], engine: Engine) -> Generator[Ending, None, list[Opened]]:
    """Open images, headers only; returns them in the order of `jobs`, yields how others ended."""
    members: dict[str, Opened] = {}
    for found in map_batches(engine, open_batch, jobs, failed, name="open"):
        if isinstance(found, Opened):
            members[found.job.id] = found
        else:
            yield found
    return [members[job.id] for job in jobs if job.id in members]


def open_batch(jobs: tuple[Job, ...]) -> tuple[Opened | Ending, ...]:
    """Open a few images, headers only: what one task does."""
    return tuple(guarded(job, partial(_open, job)) for job in jobs)


def _open(job: Job) -> Opened:
    return Opened(job, job.open())


def fitting(
    members: Iterable[Opened], check: Callable[[Opened], object]
) -> Generator[Ending, None, list[Opened]]:
    """Return the images that `check` does not refuse; yields how the others ended."""
    kept = []
    for member in members:
        try:
            check(member)
            kept.append(member)
        except ChunkmeansError as error:
            yield failed(member.job, error)
    return kept


def label_members(
    members: Sequence[Opened], fit: Fit, engine: Engine, watch: Watcher
) -> Iterator[Ending]:
    """Label images by means that are there; yields how each ended, with its exact totals."""
    return reported(_labelled(members, fit, engine, watch), len(members), watch)


def _labelled(
    members: Sequence[Opened], fit: Fit, engine: Engine, watch: Watcher
) -> Iterator[Ending]:
    if not members:
        return
    most = members[0].job.tuning.most_pixels_of_a_task(len(members), engine.size)
    small = [m for m in members if m.source.info.pixels <= most]
    task = partial(label_small, fit=fit, memory=engine.size.of_one_task().memory)

    def lost(member: Opened, error: Exception) -> Ending:
        return failed(member.job, error, again=True)

    yield from map_batches(engine, task, small, lost, name="label")
    for member in members:
        if member.source.info.pixels > most:
            yield from label_each([member], fit, engine, watch)


def label_small(members: tuple[Opened, ...], fit: Fit, memory: int) -> tuple[Ending, ...]:
    """Label a few small images whole: what one task does."""
    return tuple(label_each(members, fit, SerialEngine(memory=memory), ignore))


def label_each(
    members: Sequence[Opened], fit: Fit, engine: Engine, watch: Watcher
) -> Iterator[Ending]:
    """Label images one after the other; yields how each ended, with its exact totals."""
    written = (guarded(m.job, partial(_label, m, fit, engine, watch), again=True) for m in members)
    return completed(members[0].job.output.store, written)


def _label(member: Opened, fit: Fit, engine: Engine, watch: Watcher) -> Ending:
    begin = perf_counter()
    scan = scan_of(member, engine, watch, cached=False)
    return write_labels(member, fit, None, scan, begin)
