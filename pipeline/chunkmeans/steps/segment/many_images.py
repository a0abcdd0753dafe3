"""Many images, each with means of its own: small ones whole in a task, large ones in chunks.

An image's size is known when its header is read, and that is done where it will be segmented: a
task that finds a large image hands it back, and the whole engine works on it afterwards.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter

from chunkmeans.engines.base import Engine
from chunkmeans.engines.serial import SerialEngine
from chunkmeans.errors import ClusterError
from chunkmeans.events import PhaseFinished, PhaseStarted, Watcher
from chunkmeans.sources.warnings import collecting_warnings
from chunkmeans.steps.job import Job
from chunkmeans.steps.plan.memory import most_pixels_of_a_task
from chunkmeans.steps.resume.completion import completed
from chunkmeans.steps.resume.outcome import Ending, advanced, failed
from chunkmeans.steps.resume.saved import Saved, subject_of_image
from chunkmeans.steps.segment.batches import one_by_one
from chunkmeans.steps.segment.one_image import segment_image


@dataclass(frozen=True, slots=True)
class Few:
    """What became of a few images."""

    endings: tuple[Ending, ...]
    large: tuple[Job, ...]
    """Those that are too large for one task."""


def segment_small(jobs: tuple[Job, ...], memory: int, most: int) -> Few:
    """Segment those of a few images that have at most `most` pixels: what one task does."""
    large: list[Job] = []

    def written() -> Iterator[Ending]:
        for job in jobs:
            ending = segment_if_small(job, memory, most)
            if ending is None:
                large.append(job)
            else:
                yield ending

    endings = tuple(completed(jobs[0].output.store, written()))
    return Few(endings, tuple(large))


def segment_if_small(job: Job, memory: int, most: int) -> Ending | None:
    """Segment one image with `memory` bytes; None if it is large; never raises for the image.

    Its mark is not set yet.
    """
    begin = perf_counter()
    try:
        with collecting_warnings():
            quick = job.fingerprint == "stat"
            source = job.open() if quick else job.look()
            if source.info.pixels > most:
                return None
            if not quick:
                source = job.open()
            row, mark = segment_image(job, source, SerialEngine(memory=memory))
        return Ending(row, source.info.nbytes, mark=mark)
    except Exception as error:  # one bad image never stops the others
        return failed(job, error, begin)


def segment_large(job: Job, engine: Engine, watch: Watcher) -> Ending:
    """Segment one image with the whole engine; never raises for the image."""
    begin = perf_counter()
    try:
        with collecting_warnings():
            source = job.open()
            output, subject = job.output, subject_of_image(job.id)
            saved = Saved(output.store, subject, watch, samples=output.samples, most=1)
            row, mark = segment_image(job, source, engine, watch, saved)
        (ending,) = completed(output.store, [Ending(row, source.info.nbytes, mark=mark)])
        if ending.row.state != "failed":
            saved.finish()
        return ending
    except ClusterError:
        raise
    except Exception as error:  # one bad image never stops the others
        return failed(job, error, begin)


def segment_images(jobs: Sequence[Job], engine: Engine, watch: Watcher) -> Iterator[Ending]:
    """Yield how each image ended, in any order."""
    large: list[Job] = []
    begin = perf_counter()
    watch(PhaseStarted("images", "collection", 0, len(jobs)))
    for few in _small(jobs, engine):
        large += few.large
        for ending in few.endings:
            watch(advanced(ending))
            yield ending
    for job in large:
        ending = segment_large(job, engine, watch)
        watch(advanced(ending))
        yield ending
    watch(PhaseFinished("images", "collection", perf_counter() - begin))


def _small(jobs: Sequence[Job], engine: Engine) -> Iterator[Few]:
    """Yield what became of the images, a few at a time."""
    most = most_pixels_of_a_task(len(jobs), engine.size)
    task = partial(segment_small, memory=engine.size.of_one_task().memory, most=most)
    for outcome in one_by_one(engine, task, jobs, name="segment"):
        if outcome.error is not None:
            yield Few((failed(outcome.item[0], outcome.error),), ())
        else:
            yield outcome.unwrap()
