"""First step: read every pixel once and keep what k-means needs of it."""

from collections.abc import Callable, Sequence
from itertools import chain

from chunkmeans.engines.base import Engine, Outcome
from chunkmeans.events import Note, Watcher
from chunkmeans.kmeans.counting.collect import Collected, Collector
from chunkmeans.steps.chunk import Bundle, bundle_key
from chunkmeans.steps.plan.memory import bundled
from chunkmeans.steps.resume.saved_samples import SavedSamples
from chunkmeans.steps.segment.phases import phase
from chunkmeans.steps.segment.task_warnings import map_reduce_heard


def collect_bundle(bundle: Bundle) -> Collected:
    """Collect the samples of a few chunks: what one task does."""
    source = bundle[0].source
    collector = Collector(source.dtype, source.info.channels)
    for chunk in bundle:
        for _, sampled in chunk.read():
            collector.add(sampled.values, sampled.invalid)
    return collector.result()


def collect(
    engine: Engine,
    bundles: Sequence[Bundle],
    subject: str,
    watch: Watcher,
    saved: SavedSamples | None = None,
) -> Collected:
    """Return what all bundles leave, merged; what is `saved` of it is not read again.

    Parameters
    ----------
    saved
        Takes what is collected, as it grows, of the one image that the bundles are of.

    Raises
    ------
    SourceError
        If a chunk cannot be read.
    ResultError
        If what is collected cannot be saved.
    """

    def read(some: Sequence[Bundle], told: Callable[[Outcome[Bundle, None]], None]) -> Collected:
        return map_reduce_heard(
            engine, collect_bundle, some, Collected.merge, name="collect", near=bundle_key,
            watch=told,
        )  # fmt: skip

    if saved is None:
        with phase("read", subject, bundles, watch) as told:
            return read(bundles, told)
    saved.recall([bundles[0][0].source])
    left = bundled(saved.missing(chain.from_iterable(bundles)), engine.size)
    if left:
        with phase("read", subject, left, watch) as told:
            for batch in saved.batches(left, engine.threads):
                collected = read(batch, told)
                bundles[0][0].source.check_unchanged()  # or others' pixels are kept as its own
                saved.add(batch, collected)
    return settled(saved, watch)


def settled(saved: SavedSamples, watch: Watcher) -> Collected:
    """Return all that was collected, once everything is; say what it is worth to the next fit."""
    saved.settle()
    total = saved.total
    if total is None:
        raise ValueError("nothing was collected")
    if saved.recalled and not total.complete:
        watch(
            Note(
                "pixels hardly repeat, so no table stands for them: every iteration reads all of "
                "them, those too that were collected before"
            )
        )
    return total
