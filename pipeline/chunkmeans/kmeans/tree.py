"""Samples in memory as trees of boxes, so that an iteration looks at few of them.

One `Tree` for some samples, and a `TableSource` of a tree for each thread. What a tree is, and how
it is walked, see `compiled.tree`. It depends on the samples alone, and sums are exact: they are the
same to the bit as those of `Metric.sums`.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property, reduce
from itertools import pairwise
from math import ceil, log2
from typing import TypeVar

import numpy as np

from chunkmeans.kmeans.compiled import tree as loops
from chunkmeans.kmeans.compiled.calls import addresses
from chunkmeans.kmeans.compiled.columns import columns_bytes, columns_of
from chunkmeans.kmeans.compiled.typed_bytes import as_bytes, read_only
from chunkmeans.kmeans.exact.accumulator import form
from chunkmeans.kmeans.exact.moments import Moments
from chunkmeans.kmeans.metric import Metric
from chunkmeans.kmeans.partial_sums import Far, PartialSums, empty_sums
from chunkmeans.kmeans.samples import Floats, Samples

_Item = TypeVar("_Item")
_Part = TypeVar("_Part")

LEAF = 512
"""Samples of a leaf, about."""

LEARNED = 8
"""Samples for each leaf that its cuts are learned from."""

ROWS_PER_THREAD = 2**17
"""Fewer rows than this are not worth a thread of their own."""

AHEAD = 16
"""Iterations of a table that are computed in one compiled call: after each call Python waits for
its lock, which for a small image may take longer than the iteration."""

AHEAD_NUMBERS = 2**10
"""Of the means for which iterations are computed ahead, at most."""


@dataclass(frozen=True)
class Tree:
    """Samples in the order of the leaves, with what is known of each node."""

    samples: Samples
    arrays: loops.TreeArrays = field(repr=False)
    """They, and what is known of each node, as compiled loops take them."""

    @classmethod
    def of(cls, samples: Samples, metric: Metric) -> "Tree":
        """Return the tree of samples (n, c), cut where `metric` finds them far apart."""
        values, weights = samples.values, samples.weights
        n, c = values.shape
        depth = depth_of(samples)
        leaves = 2**depth
        step = max(1, n // (LEARNED * leaves))
        channels, cuts = np.zeros(leaves - 1, np.int32), np.zeros(leaves - 1)
        learned = values[::step].astype(np.float64)
        loops.learn(read_only(learned), read_only(metric.weights), channels, cuts)
        leaf, sizes = np.empty(n, np.uint32), np.zeros(leaves, np.int64)
        loops.route(values, c, channels, cuts, depth, leaf, sizes)
        starts = np.concatenate([[0], np.cumsum(sizes)])
        sorted_values, sorted_weights = np.empty_like(values), np.empty_like(weights)
        loops.scatter(read_only(weights), leaf, starts[:-1].copy(), sorted_weights)
        bits = f"u{values.itemsize}"  # so that no type of numbers is compiled for anew
        loops.permute(read_only(values).view(bits), leaf, sorted_values.view(bits))
        ordered = Samples(sorted_values, None if samples.counts is None else sorted_weights)
        number, sums, exponent = empty_sums(leaves, values)
        lo, hi = np.full((2 * leaves - 1, c), np.inf), np.full((2 * leaves - 1, c), -np.inf)
        loops.describe(sorted_values, sorted_weights, starts, lo, hi, number, sums, exponent)
        columns = columns_of(ordered)
        arrays = sorted_weights, columns, starts, lo, hi, number, sums
        return cls(ordered, loops.TreeArrays(*as_bytes(sorted_values), *map(read_only, arrays)))

    def partial_sums(self, means: Floats, metric: Metric) -> PartialSums:
        """Return the exact sums and counts of the samples by nearest mean, (k, c)."""
        ((_, partial),) = self.iterations(means, metric, 1)
        return partial

    def iterations(
        self, means: Floats, metric: Metric, number: int
    ) -> list[tuple[Floats, PartialSums]]:
        """Return the sums for `means` (k, c), for the averages of those groups, and so on.

        Each with the means that it is for, computed in one call of compiled code, so that other
        threads have Python meanwhile.

        Parameters
        ----------
        number
            The most iterations, at least 1. Fewer are returned after a group without samples or
            means that do not move, and one of samples of more than 16 bits.
        """
        values = self.samples.values
        _, sums, exponent = empty_sums(len(means), values)
        number = number if sums.shape[2] == 1 else 1
        of_each, counts = np.empty((number, *means.shape)), np.zeros((number, len(means)), np.int64)
        totals = np.zeros((number, *sums.shape), np.int64)
        of_each[0] = means
        done = loops.walk_on(
            addresses(), self.arrays, read_only(metric.weights), metric.scaled, of_each, counts,
            totals, exponent,
        )  # fmt: skip
        return [
            (of_each[i], PartialSums.of_limbs(counts[i], totals[i], values.dtype))
            for i in range(done)
        ]


def depth_of(samples: Samples) -> int:
    """Return the depth of the tree of some samples."""
    return max(0, ceil(log2(max(1, len(samples.values) / LEAF))))


def tree_bytes(samples: Samples) -> int:
    """Return the bytes that the tree of some samples takes."""
    values, leaves = samples.values, 2 ** depth_of(samples)
    c = values.shape[1]
    limbs = 1 if values.dtype.itemsize <= 2 else form(values.dtype).sum_limbs
    of_leaf = 2 * 2 * c * 8 + c * limbs * 8 + 2 * 8  # two nodes' boxes, sums, number, start
    return int(values.nbytes + samples.weights.nbytes + columns_bytes(samples) + leaves * of_leaf)


class TableSource:
    """A table in memory as a `lloyd.SampleSource`: trees, worked on by threads.

    A tree costs as much as five plain passes and pays from the fourth on: fits take more.

    Parameters
    ----------
    table
        Distinct vectors with their counts.
    metric
        How far they are apart.
    threads
        How many work on them.
    """

    def __init__(self, table: Samples, metric: Metric, threads: int = 1) -> None:
        self.table, self.metric = table, metric
        self._parts = _cut(table, threads)
        self._ahead: dict[bytes, PartialSums] = {}

    @cached_property
    def _trees(self) -> list[Tree]:
        return self._each(self._parts, lambda part: Tree.of(part, self.metric))

    def sums(self, means: Floats) -> PartialSums:
        """Return exact sums and counts by nearest mean."""
        if len(self._trees) == 1:
            return self._computed_ahead(self._trees[0], means)
        parts = self._each(self._trees, lambda tree: tree.partial_sums(means, self.metric))
        return reduce(PartialSums.merge, parts)

    def _computed_ahead(self, tree: Tree, means: Floats) -> PartialSums:
        """Return the sums for `means`, most likely computed with those of an iteration before."""
        key = means.tobytes()
        if key not in self._ahead:
            number = AHEAD if means.size <= AHEAD_NUMBERS else 1
            found = tree.iterations(means, self.metric, number)
            self._ahead = {of_each.tobytes(): partial for of_each, partial in found}
        return self._ahead[key]

    def farthest(self, means: Floats, number: int) -> Far:
        """Return the distinct samples farthest from their own mean."""
        return self.metric.farthest(self.table.values, means, number)

    def moments(self, means: Floats) -> Moments:
        """Return exact counts, sums and squares by nearest mean."""
        parts = self._each(self._parts, lambda part: self.metric.moments(part, means))
        return reduce(Moments.merge, parts)

    def _each(self, items: Sequence[_Item], work: Callable[[_Item], _Part]) -> list[_Part]:
        if len(items) == 1:
            return [work(items[0])]
        with ThreadPoolExecutor(len(items)) as pool:
            return list(pool.map(work, items))


def _cut(table: Samples, threads: int) -> list[Samples]:
    """Return a table in a part per thread, if it is large enough to be cut."""
    values, counts = table.values, table.counts
    parts = max(1, min(threads, len(values) // ROWS_PER_THREAD))
    edges = [len(values) * i // parts for i in range(parts + 1)]
    return [
        Samples(values[a:b], None if counts is None else counts[a:b]) for a, b in pairwise(edges)
    ]
