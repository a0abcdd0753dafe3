"""Third step: read (or find held) every pixel again and write its label."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial, reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
from chunkmeans.steps.chunk import Bundle, Chunk
from chunkmeans.steps.segment.scan import Scan

Canvas = Callable[[Box, NDArray[Any], Floats], None]
"""Takes the labels of a box, into a store or an array, with the means in their order, (k, c)."""


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
    canvas(chunk.box, labels, labelling.colours)
    return total


def label_bundle(
    bundle: Bundle, labelling: Labelling, canvas: Canvas, count: bool
) -> Moments | None:
    """Label a few chunks: what one task does."""
    return reduce(merge_counted, (label_chunk(c, labelling, canvas, count) for c in bundle))


def merge_counted(a: Moments | None, b: Moments | None) -> Moments | None:
    """Merge totals where they were counted."""
    return b if a is None else a if b is None else a.merge(b)


def label(
    scan: Scan, fit: Fit, table: Collected | None, canvas: Canvas, dtype: np.dtype[Any]
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
    numbers, by_code = fit.numbers.astype(dtype), None
    if complete is not None and isinstance(complete.vectors, Table):
        pixels, of = sum(c.pixels for bundle in scan.bundles for c in bundle), complete.vectors
        # the label of every possible pixel is worth making where half as many are to be labelled
        if pixels >= 2 ** (8 * of.dtype.itemsize * of.channels - 1):
            by_code = look_up_table(fit.means, fit.metric, numbers, of.dtype)
    labelling = Labelling(fit.means, numbers, fit.metric, fit.colours, by_code)
    task = partial(label_bundle, labelling=labelling, canvas=canvas, count=complete is None)
    with scan.phase("label") as finished:
        counted = scan.map_reduce(task, merge_counted, "label", finished)
    if complete is not None:
        return TableSource(complete.samples(), fit.metric).moments(fit.means)
    if counted is None:
        raise ValueError("labelling counted nothing although it was asked to")
    return counted
