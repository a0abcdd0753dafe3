"""Many images, each with means of its own: small ones whole in a task, large ones in chunks.

An image's size is known when its header is read, and that is done where it will be segmented: a
task that finds a large image hands it back, and the whole engine works on it afterwards.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter

from pipeline.engines.base import Engine
from pipeline.engines.serial import SerialEngine
from pipeline.errors import ClusterError
from pipeline.events import PhaseFinished, PhaseStarted, Watcher
from pipeline.sources.hearing import hearing
from pipeline.steps.ending import Ending, advanced, failed
from pipeline.steps.few import one_by_one
from pipeline.steps.image import Job, segment_image
from pipeline.steps.memory import most_pixels_of_a_task
from pipeline.steps.saved import Saved, subject_of_image


@dataclass(frozen=True, slots=True)
class Large:
    """An image that is too large for one task."""

    job: Job


def segment_small(jobs: tuple[Job, ...], memory: int, most: int) -> tuple[Ending | Large, ...]:
    """Segment those of a few images that have at most `most` pixels: what one task does."""
    return tuple(segment_if_small(job, memory, most) for job in jobs)


def segment_if_small(job: Job, memory: int, most: int) -> Ending | Large:
    """Segment one image with `memory` bytes, unless it is large; never raises for the image."""
    begin = perf_counter()
    try:
        with hearing():
            quick = job.fingerprint == "stat"
            source = job.open() if quick else job.look()
            if source.info.pixels > most:
                return Large(job)
            if not quick:
                source = job.open()
            row = segment_image(job, source, SerialEngine(memory=memory))
        return Ending(row, source.info.nbytes)
    except Exception as error:  # one bad image never stops the others
        return failed(job, error, begin)


def segment_large(job: Job, engine: Engine, watch: Watcher) -> Ending:
    """Segment one image with the whole engine; never raises for the image."""
    begin = perf_counter()
    try:
        with hearing():
            source = job.open()
            output, subject = job.output, subject_of_image(job.id)
            saved = Saved(output.store, subject, watch, samples=output.samples, most=1)
            row = segment_image(job, source, engine, watch, saved)
        return Ending(row, source.info.nbytes)
    except ClusterError:
        raise
    except Exception as error:  # one bad image never stops the others
        return failed(job, error, begin)


def segment_images(jobs: Sequence[Job], engine: Engine, watch: Watcher) -> Iterator[Ending]:
    """Yield how each image ended, in any order."""
    large: list[Job] = []
    begin = perf_counter()
    watch(PhaseStarted("images", "collection", 0, len(jobs)))
    for ending in _small(jobs, engine):
        if isinstance(ending, Large):
            large.append(ending.job)
            continue
        watch(advanced(ending))
        yield ending
    for job in large:
        ending = segment_large(job, engine, watch)
        watch(advanced(ending))
        yield ending
    watch(PhaseFinished("images", "collection", perf_counter() - begin))


def _small(jobs: Sequence[Job], engine: Engine) -> Iterator[Ending | Large]:
    """Yield how small images ended, and the large ones as they are."""
    most = most_pixels_of_a_task(len(jobs), engine.size)
    task = partial(segment_small, memory=engine.size.of_one_task().memory, most=most)
    for outcome in one_by_one(engine, task, jobs, name="segment"):
        if outcome.error is not None:
            yield failed(outcome.item[0], outcome.error)
        else:
            yield from outcome.unwrap()
