"""Second step: the iteration, on the table in this process or on pixels wherever they are."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial, reduce

from chunkmeans.engines.machine import cores
from chunkmeans.events import Iterated
from chunkmeans.kmeans.counting.collect import Collected
from chunkmeans.kmeans.fit import Fit, FitSettings, fit
from chunkmeans.kmeans.lloyd import SampleSource
from chunkmeans.kmeans.metric import Metric
from chunkmeans.kmeans.model import Iteration
from chunkmeans.kmeans.partial_sums import Far, PartialSums
from chunkmeans.kmeans.samples import Floats, Samples
from chunkmeans.kmeans.tree import TableSource
from chunkmeans.steps.chunk import Bundle, Chunk
from chunkmeans.steps.resume.saved import SavedFit
from chunkmeans.steps.segment.scan import Scan

FEW_PASSES = 3
"""Where no more are allowed, no trees are made of pixels: one costs about as many plain passes."""


def sum_bundle(bundle: Bundle, means: Floats, metric: Metric, trees: bool) -> PartialSums:
    """Return exact sums of a few chunks by nearest mean: what one task does.

    With `trees`, from trees of what is held, made where there are none yet.
    """
    return reduce(
        PartialSums.merge, (part for chunk in bundle for part in _sums(chunk, means, metric, trees))
    )


def _sums(chunk: Chunk, means: Floats, metric: Metric, trees: bool) -> Iterator[PartialSums]:
    """Yield the sums of a chunk piece by piece."""
    found = chunk.trees(metric) if trees else ()
    for tree in found:
        yield tree.partial_sums(means, metric)
    if not found:
        for _, sampled in chunk.read():
            yield metric.sums(Samples(sampled.values), means)


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


@dataclass
class ChunkPixels:
    """A `SampleSource` of pixels that are read, or held, chunk by chunk where the engine runs."""

    scan: Scan
    metric: Metric
    trees: bool = True
    """Whether trees of what is held are worth their making."""

    def sums(self, means: Floats) -> PartialSums:
        """Return exact sums and counts by nearest mean; one pass over the pixels."""
        task = partial(sum_bundle, means=means, metric=self.metric, trees=self.trees)
        with self.scan.phase("iterate") as finished:
            return self.scan.map_reduce(task, PartialSums.merge, "iterate", finished)

    def farthest(self, means: Floats, number: int) -> Far:
        """Return the distinct samples farthest from their own mean; one pass over the pixels."""
        task = partial(farthest_in_bundle, means=means, metric=self.metric, number=number)
        merge = partial(Far.merge, number=number)
        far: Far = self.scan.map_reduce(task, merge, "farthest")
        return far


def iterate(
    scan: Scan, collected: Collected, settings: FitSettings, saved: SavedFit | None = None
) -> Fit:
    """Fit means to all pixels: on their table if there is one, else pass by pass over them.

    Resumes after the last iteration that is `saved`, and saves those that follow.
    """
    trees = settings.restarts * settings.max_iterations > FEW_PASSES

    def pixels(metric: Metric) -> SampleSource:
        if collected.complete:
            return TableSource(collected.samples(), metric, cores())
        return ChunkPixels(scan, metric, trees)

    def report(restart: int, done: Iteration) -> None:
        scan.watch(Iterated(scan.subject, restart, done.index, done.residual, done.inertia))

    if saved is None:
        return fit(collected, settings, pixels, report)
    return fit(collected, settings, pixels, report, before=saved.found(), keep=saved.keep)
