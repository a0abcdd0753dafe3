"""Third step: read (or find held) every pixel again and write its label."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from chunkmeans.engines.base import Engine
from chunkmeans.events import Watcher
from chunkmeans.image.grid import Box
from chunkmeans.kmeans.counting.codes import look_up
from chunkmeans.kmeans.counting.collect import Collected
from chunkmeans.kmeans.counting.colours import Table, offset
from chunkmeans.kmeans.counting.lookup import look_up_table
from chunkmeans.kmeans.exact.moments import Moments
from chunkmeans.kmeans.fit import Fit
from chunkmeans.kmeans.metric import Metric
from chunkmeans.kmeans.samples import Floats, Samples, Values
from chunkmeans.kmeans.tree import TableSource
from chunkmeans.steps.chunk import Bundle, Chunk, bundle_key
from chunkmeans.steps.segment.phases import phase
from chunkmeans.steps.segment.task_warnings import map_reduce_heard


class Canvas(Protocol):
    """Where labels go: a store on disk, or an array."""

    def write(self, box: Box, labels: NDArray[Any], colours: Floats | None = None) -> None:
        """Take the labels of a box; colours are the means in their order, (k, c)."""
        ...


@dataclass(frozen=True)
class Labelling:
    """How pixels get their labels; pickles with every task."""

    means: Floats
    """(k, c), in the order that decides ties."""
    numbers: NDArray[Any]
    """Label of each mean, of the dtype in which labels are stored, (k,)."""
    metric: Metric
    colours: Floats
    """Means in the order of the labels, (k, c)."""
    table: NDArray[Any] | None = field(default=None, repr=False)
    """Label of every possible pixel, by its code, where that is quicker than distances."""

    @classmethod
    def by(cls, fit: Fit, dtype: np.dtype[Any]) -> "Labelling":
        """Return how `fit` labels, as numbers of `dtype`."""
        return cls(fit.means, fit.numbers.astype(dtype), fit.metric, fit.colours)

    def with_table(self, dtype: np.dtype[Any]) -> "Labelling":
        """Return the same with the table of pixels of `dtype`."""
        return replace(self, table=look_up_table(self.means, self.metric, self.numbers, dtype))

    def write(self, values: Values, out: NDArray[Any]) -> None:
        """Write the labels of samples, (n, c) to (n,)."""
        if self.table is None:
            self.metric.labels(values, self.means, self.numbers, out)
        else:
            look_up(values, offset(values.dtype), 8 * values.dtype.itemsize, self.table, out)


def label_chunk(chunk: Chunk, labelling: Labelling, canvas: Canvas, count: bool) -> Moments | None:
    """Label a chunk and write it; with `count`, return exact totals by mean."""
    labels = np.zeros(chunk.box.shape, labelling.numbers.dtype)
    total: Moments | None = None
    for box, sampled in chunk.read():
        view = labels[box.within(chunk.box.start).slices]
        if count:
            groups = np.arange(len(labelling.means), dtype=np.uint16)
            nearest = np.empty(len(sampled.values), np.uint16)
            labelling.metric.labels(sampled.values, labelling.means, groups, nearest)
            found = labelling.numbers[nearest]
            part = Moments.of(Samples(sampled.values), nearest, len(groups))
            total = part if total is None else total.merge(part)
        else:
            found = np.empty(len(sampled.values), labels.dtype)
            labelling.write(sampled.values, found)
        if sampled.valid is None:
            view[...] = found.reshape(sampled.shape)
        else:
            view[sampled.valid] = found
    canvas.write(chunk.box, labels, labelling.colours)
    return total


def label_bundle(
    bundle: Bundle, labelling: Labelling, canvas: Canvas, count: bool
) -> Moments | None:
    """Label a few chunks: what one task does."""
    total: Moments | None = None
    for chunk in bundle:
        total = merge_counted(total, label_chunk(chunk, labelling, canvas, count))
    return total


def merge_counted(a: Moments | None, b: Moments | None) -> Moments | None:
    """Merge totals where they were counted."""
    return b if a is None else a if b is None else a.merge(b)


def label(
    engine: Engine,
    bundles: Sequence[Bundle],
    fit: Fit,
    table: Collected | None,
    canvas: Canvas,
    dtype: np.dtype[Any],
    subject: str,
    watch: Watcher,
) -> Moments:
    """Label all bundles, and return exact totals of the labelled pixels by mean of the fit.

    Parameters
    ----------
    table
        What collecting these very pixels left: if it is complete the totals come from it, else
        they are counted while labelling.
    canvas
        Takes the labels, as numbers of `dtype`.

    Raises
    ------
    SourceError
        If a chunk cannot be read.
    ResultError
        If labels cannot be written.
    """
    complete = table if table is not None and table.complete else None
    labelling = Labelling.by(fit, dtype)
    if complete is not None and isinstance(complete.vectors, Table):
        pixels, of = sum(c.pixels for bundle in bundles for c in bundle), complete.vectors
        if pixels >= 2 ** (8 * of.dtype.itemsize * of.channels - 1):
            labelling = labelling.with_table(of.dtype)
    task = partial(label_bundle, labelling=labelling, canvas=canvas, count=complete is None)
    with phase("label", subject, bundles, watch) as told:
        counted = map_reduce_heard(
            engine, task, bundles, merge_counted, name="label", near=bundle_key, watch=told
        )
    if complete is not None:
        return TableSource(complete.samples(), fit.metric).moments(fit.means)
    if counted is None:
        raise ValueError("labelling counted nothing although it was asked to")
    return counted
