"""First step: read every pixel once and keep what k-means needs of it."""

from dataclasses import replace
from itertools import chain

from chunkmeans.events import Note, Watcher
from chunkmeans.kmeans.counting.collect import Collected, Collector
from chunkmeans.steps.chunk import Bundle
from chunkmeans.steps.plan.memory import bundled
from chunkmeans.steps.resume.saved_samples import SavedSamples
from chunkmeans.steps.segment.scan import Finished, Scan


def collect_bundle(bundle: Bundle) -> Collected:
    """Collect the samples of a few chunks: what one task does."""
    source = bundle[0].source
    collector = Collector(source.dtype, source.info.channels)
    for chunk in bundle:
        for _, sampled in chunk.read():
            collector.add(sampled.values, sampled.invalid)
    return collector.result()


def collect(scan: Scan, saved: SavedSamples | None = None) -> Collected:
    """Return what all bundles of an image leave, merged; what is `saved` of it is not read again.

    Parameters
    ----------
    saved
        Takes what is collected, as it grows.

    Raises
    ------
    SourceError
        If a chunk cannot be read.
    ResultError
        If what is collected cannot be saved.
    """
    if saved is None:
        with scan.phase("read") as finished:
            return _collected(scan, finished)
    source = scan.bundles[0][0].source
    saved.recall([source])
    left = bundled(saved.missing(chain.from_iterable(scan.bundles)), scan.engine.size)
    if left:
        with replace(scan, bundles=left).phase("read") as finished:
            for batch in saved.batches(left, scan.engine.threads):
                collected = _collected(replace(scan, bundles=batch), finished)
                # a part is recalled by what the image was when it was opened: it must be that
                source.check_unchanged()
                saved.add(batch, collected)
    return settled(saved, scan.watch)


def _collected(scan: Scan, finished: Finished) -> Collected:
    return scan.map_reduce(collect_bundle, Collected.merge, "collect", finished)


def settled(saved: SavedSamples, watch: Watcher) -> Collected:
    """Return all that was collected, once everything is."""
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
