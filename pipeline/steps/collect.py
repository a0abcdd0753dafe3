"""First step: read every pixel once and keep what k-means needs of it."""

from collections.abc import Sequence

from pipeline.engines.base import Engine
from pipeline.events import Watcher
from pipeline.kmeans.collect import Collected, Collector
from pipeline.steps.chunk import Bundle, bundle_key
from pipeline.steps.overheard import map_reduce_heard
from pipeline.steps.watching import phase


def collect_bundle(bundle: Bundle) -> Collected:
    """Collect the samples of a few chunks: what one task does."""
    source = bundle[0].source
    collector = Collector(source.dtype, source.info.channels)
    for chunk in bundle:
        for _, sampled in chunk.read():
            collector.add(sampled.values, sampled.invalid)
    return collector.result()


def collect(engine: Engine, bundles: Sequence[Bundle], subject: str, watch: Watcher) -> Collected:
    """Return what all bundles leave, merged.

    Raises
    ------
    SourceError
        If a chunk cannot be read.
    """
    with phase("read", subject, bundles, watch) as told:
        return map_reduce_heard(
            engine,
            collect_bundle,
            bundles,
            Collected.merge,
            name="collect",
            near=bundle_key,
            watch=told,
        )
