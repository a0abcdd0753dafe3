"""Images that share their means: opened, and labelled by means that are there."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter

from chunkmeans.engines.base import Engine
from chunkmeans.engines.serial import SerialEngine
from chunkmeans.errors import ClusterError
from chunkmeans.events import Watcher, ignore
from chunkmeans.kmeans.exact.moments import Moments
from chunkmeans.kmeans.fit import Fit
from chunkmeans.results.store.store import image_path
from chunkmeans.sources.warnings import hearing
from chunkmeans.steps.chunk import Input
from chunkmeans.steps.job import Job
from chunkmeans.steps.plan.memory import most_pixels_of_a_task
from chunkmeans.steps.resume.catalog_rows import inputs_of, skipped_row
from chunkmeans.steps.resume.completion import completed
from chunkmeans.steps.resume.outcome import Ending, failed
from chunkmeans.steps.segment.batches import one_by_one
from chunkmeans.steps.segment.one_image import plan_bundles, write_labels


@dataclass(frozen=True, slots=True)
class Member:
    """An image of the collection that could be opened."""

    job: Job
    source: Input


def open_members(jobs: tuple[Job, ...]) -> tuple[Member | Ending, ...]:
    """Open a few images, headers only: what one task does."""
    return tuple(_open_member(job) for job in jobs)


def _open_member(job: Job) -> Member | Ending:
    begin = perf_counter()
    try:
        return Member(job, job.open())
    except Exception as error:  # one bad image never stops the others
        return failed(job, error, begin)


def label_members(
    members: Sequence[Member], fit: Fit, engine: Engine, watch: Watcher
) -> Iterator[tuple[Ending, Moments | None]]:
    """Label images by means that are there; yields how each ended, and its exact totals."""
    most = most_pixels_of_a_task(len(members), engine.size)
    small = [m for m in members if m.source.info.pixels <= most]
    task = partial(label_small, fit=fit, memory=engine.size.of_one_task().memory)
    for outcome in one_by_one(engine, task, small, name="label"):
        if outcome.error is not None:
            yield failed(outcome.item[0].job, outcome.error, again=True), None
        else:
            yield from outcome.unwrap()
    for member in members:
        if member.source.info.pixels > most:
            yield from label_each([member], fit, engine, watch)


def label_small(
    members: tuple[Member, ...], fit: Fit, memory: int
) -> tuple[tuple[Ending, Moments | None], ...]:
    """Label a few small images whole: what one task does."""
    return tuple(label_each(members, fit, SerialEngine(memory=memory), ignore))


def label_each(
    members: Sequence[Member], fit: Fit, engine: Engine, watch: Watcher
) -> Iterator[tuple[Ending, Moments | None]]:
    """Label images one after the other; yields how each ended, and its exact totals."""
    totals: dict[str, Moments | None] = {}

    def written() -> Iterator[Ending]:
        for member in members:
            ending, totals[member.job.id] = label_member(member, fit, engine, watch)
            yield ending

    for ending in completed(members[0].job.output.store, written()):
        yield ending, totals[ending.row.id] if ending.row.state != "failed" else None


def label_member(
    member: Member, fit: Fit, engine: Engine, watch: Watcher
) -> tuple[Ending, Moments | None]:
    """Write the labels of one image by means that are there; never raises for the image.

    Its mark is not set yet.
    """
    begin = perf_counter()
    job, source = member.job, member.source
    try:
        layout = job.output.layout(source, job.settings.k)
        chunks = plan_bundles(source, layout, engine, job.output.mean_image, hold=False)
        with hearing():
            done = write_labels(job, source, fit, None, layout, chunks, engine, watch)
            seconds = perf_counter() - begin
            if not done.finished.model.counts.any():
                job.output.store.delete(image_path(job.id))
                return Ending(skipped_row(job, source, seconds), source.info.nbytes), None
            row = done.finished.row(inputs_of(job), seconds)
        return Ending(row, source.info.nbytes, mark=done.mark), done.written
    except ClusterError:
        raise
    except Exception as error:  # one bad image never stops the others
        return failed(job, error, begin, again=True), None
