"""Second step: the iteration, on the table in this process or on pixels wherever they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial, reduce

from pipeline.engines.base import Engine
from pipeline.engines.machine import cores
from pipeline.events import Iterated, Watcher
from pipeline.kmeans.collect import Collected
from pipeline.kmeans.fit import Fit, Settings, TablePixels, fit
from pipeline.kmeans.lloyd import Far, Metric, PartialSums, Pixels
from pipeline.kmeans.model import Iteration
from pipeline.kmeans.samples import Floats, Samples
from pipeline.steps.chunk import Bundle, bundle_key
from pipeline.steps.watching import phase


def sum_bundle(bundle: Bundle, means: Floats, metric: Metric) -> PartialSums:
    """Return exact sums of a few chunks by nearest mean: what one task does."""
    return reduce(
        PartialSums.merge,
        (
            metric.sums(Samples(sampled.values), means)
            for chunk in bundle
            for _, sampled in chunk.read()
        ),
    )


def farthest_in_bundle(bundle: Bundle, means: Floats, metric: Metric, number: int) -> Far:
    """Return the samples of a few chunks that are farthest from their own mean."""
    return reduce(
        partial(Far.merge, number=number),
        (
            metric.farthest(sampled.values, means, number)
            for chunk in bundle
            for _, sampled in chunk.read()
        ),
    )


@dataclass(frozen=True)
class ChunkPixels:
    """`Pixels` that are read, or held, chunk by chunk where the engine runs."""

    engine: Engine
    bundles: Sequence[Bundle]
    metric: Metric
    subject: str
    watch: Watcher

    def sums(self, means: Floats) -> PartialSums:
        """Return exact sums and counts by nearest mean; one pass over the pixels."""
        task = partial(sum_bundle, means=means, metric=self.metric)
        with phase("iterate", self.subject, self.bundles, self.watch) as told:
            return self.engine.map_reduce(
                task, self.bundles, PartialSums.merge, name="iterate", near=bundle_key, watch=told
            )

    def farthest(self, means: Floats, number: int) -> Far:
        """Return the distinct samples farthest from their own mean; one pass over the pixels."""
        task = partial(farthest_in_bundle, means=means, metric=self.metric, number=number)
        merge = partial(Far.merge, number=number)
        far: Far = self.engine.map_reduce(
            task, self.bundles, merge, name="farthest", near=bundle_key
        )
        return far


def iterate(
    engine: Engine,
    bundles: Sequence[Bundle],
    collected: Collected,
    settings: Settings,
    subject: str,
    watch: Watcher,
) -> Fit:
    """Fit means to all pixels: on their table if there is one, else pass by pass over them."""

    def pixels(metric: Metric) -> Pixels:
        if collected.complete:
            return TablePixels(collected.samples(), metric, cores())
        return ChunkPixels(engine, bundles, metric, subject, watch)

    def told(restart: int, iteration: Iteration) -> None:
        watch(Iterated(subject, restart, iteration.index, iteration.residual, iteration.inertia))

    return fit(collected, settings, pixels, told)
