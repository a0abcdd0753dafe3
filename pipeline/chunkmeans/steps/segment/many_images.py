"""Many images, each with means of its own: small ones whole in a task, large ones in chunks.

An image's size is known when its header is read, and that is done where a small one is segmented:
a task that finds a large image returns it opened, and the whole engine works on it afterwards.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter

from chunkmeans.engines.base import Engine
from chunkmeans.engines.serial import SerialEngine
from chunkmeans.errors import ClusterError
from chunkmeans.events import COLLECTION, PhaseFinished, PhaseStarted, Watcher
from chunkmeans.sources.warnings import hearing
from chunkmeans.steps.job import Job, Opened
from chunkmeans.steps.resume.completion import completed
from chunkmeans.steps.resume.outcome import Ending, advanced, failed
from chunkmeans.steps.resume.saved import Saved, subject_of_image
from chunkmeans.steps.segment.batches import map_batches
from chunkmeans.steps.segment.one_image import segment_image


@dataclass(frozen=True, slots=True)
class BatchEnded:
    """What became of a batch of images."""

    endings: tuple[Ending, ...]
    large: tuple[Opened, ...] = ()
    """Those that are too large for one task."""


def segment_batch(jobs: tuple[Job, ...], memory: int, most: int) -> BatchEnded:
    """Segment those of a few images that have at most `most` pixels: what one task does."""
    large: list[Opened] = []

    def written() -> Iterator[Ending]:
        for job in jobs:
            found = segment_if_small(job, memory, most)
            if isinstance(found, Opened):
                large.append(found)
            else:
                yield found

    endings = tuple(completed(jobs[0].output.store, written()))
    return BatchEnded(endings, tuple(large))


def segment_if_small(job: Job, memory: int, most: int) -> Ending | Opened:
    """Segment one image with `memory` bytes, or return it opened if it is large.

    Never raises for the image. Its mark is not set yet.
    """
    begin = perf_counter()
    try:
        with hearing():
            source = job.look()
            if source.info.pixels > most:
                return Opened(job, source)
            source = job.identify(source)
            row, mark = segment_image(Opened(job, source), SerialEngine(memory=memory))
        return Ending(row, source.image.info.nbytes, mark=mark)
    except Exception as error:  # one bad image never stops the others
        return failed(job, error, begin)


def segment_large(opened: Opened, engine: Engine, watch: Watcher) -> Ending:
    """Segment one image with the whole engine; never raises for the image."""
    begin = perf_counter()
    job, source, output = opened.job, opened.source, opened.job.output
    try:
        with hearing():
            if not source.is_unchanged:  # while others were segmented
                source = job.look()
            source = job.identify(source)
            subject = subject_of_image(job.id)
            saved = Saved(output.store, subject, watch, samples=output.samples, most=1)
            row, mark = segment_image(Opened(job, source), engine, watch, saved)
        (ending,) = completed(output.store, [Ending(row, source.image.info.nbytes, mark=mark)])
        if ending.row.state != "failed":
            saved.finish()
        return ending
    except ClusterError:
        raise
    except Exception as error:  # one bad image never stops the others
        return failed(job, error, begin)


def segment_images(jobs: Sequence[Job], engine: Engine, watch: Watcher) -> Iterator[Ending]:
    """Yield how each image ended, in any order."""
    begin = perf_counter()
    watch(PhaseStarted("images", COLLECTION, 0, len(jobs)))
    for ending in _endings(jobs, engine, watch):
        watch(advanced(ending))
        yield ending
    watch(PhaseFinished("images", COLLECTION, perf_counter() - begin))


def _endings(jobs: Sequence[Job], engine: Engine, watch: Watcher) -> Iterator[Ending]:
    if not jobs:
        return
    most = jobs[0].tuning.most_pixels_of_a_task(len(jobs), engine.size)
    task = partial(segment_batch, memory=engine.size.of_one_task().memory, most=most)
    large: list[Opened] = []
    for outcome in map_batches(engine, task, jobs, name="segment"):
        if outcome.error is not None:
            yield failed(outcome.item[0], outcome.error)
        else:
            large += outcome.unwrap().large
            yield from outcome.unwrap().endings
    for opened in large:  # after the small ones, which keep every thread busy by themselves
        yield segment_large(opened, engine, watch)
