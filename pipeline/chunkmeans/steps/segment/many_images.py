"""Many images, each with means of its own: small ones whole in a task, large ones in chunks.

An image's size is known when its header is read, and that is done where a small one is segmented:
a task that finds a large image returns it opened, and the whole engine works on it afterwards.
"""

from collections.abc import Iterator, Sequence
from functools import partial

from chunkmeans.engines.base import Engine
from chunkmeans.engines.serial import SerialEngine
from chunkmeans.events import Watcher
from chunkmeans.steps.job import Job, Opened
from chunkmeans.steps.resume.completion import completed
from chunkmeans.steps.resume.outcome import Ending, failed
from chunkmeans.steps.resume.saved import Saved, subject_of_image
from chunkmeans.steps.segment.batches import guarded, map_batches
from chunkmeans.steps.segment.one_image import segment_image
from chunkmeans.steps.segment.scan import reported


def segment_batch(jobs: tuple[Job, ...], memory: int, most: int) -> tuple[Ending | Opened, ...]:
    """Segment those of a few images that have at most `most` pixels: what one task does.

    Returns how they ended, and the larger ones opened.
    """
    large: list[Opened] = []

    def written() -> Iterator[Ending]:
        for job in jobs:
            found = guarded(job, partial(_segment_if_small, job, memory, most))
            if isinstance(found, Opened):
                large.append(found)
            else:
                yield found

    return (*completed(jobs[0].output.store, written()), *large)


def _segment_if_small(job: Job, memory: int, most: int) -> Ending | Opened:
    source = job.look()
    if source.info.pixels > most:
        return Opened(job, source)
    return segment_image(Opened(job, job.identify(source)), SerialEngine(memory=memory))


def segment_large(opened: Opened, engine: Engine, watch: Watcher) -> Ending:
    """Segment one image with the whole engine."""
    job, output = opened.job, opened.job.output
    # others were segmented since it was opened, and it may have changed meanwhile
    source = opened.source if opened.source.is_unchanged else job.look()
    subject = subject_of_image(job.id)
    saved = Saved(output.store, subject, watch, most=1)
    written = segment_image(Opened(job, job.identify(source)), engine, watch, saved)
    (ending,) = completed(output.store, [written])
    if ending.row.state != "failed":
        saved.finish(samples=output.asked.samples)
    return ending


def segment_images(jobs: Sequence[Job], engine: Engine, watch: Watcher) -> Iterator[Ending]:
    """Yield how each image ended, in any order."""
    return reported(_endings(jobs, engine, watch), len(jobs), watch)


def _endings(jobs: Sequence[Job], engine: Engine, watch: Watcher) -> Iterator[Ending]:
    if not jobs:
        return
    most = jobs[0].tuning.most_pixels_of_a_task(len(jobs), engine.size)
    task = partial(segment_batch, memory=engine.size.of_one_task().memory, most=most)
    large: list[Opened] = []
    for found in map_batches(engine, task, jobs, failed, name="segment"):
        if isinstance(found, Opened):
            large.append(found)
        else:
            yield found
    for opened in large:  # after the small ones, which keep every thread busy by themselves
        yield guarded(opened.job, partial(segment_large, opened, engine, watch))
