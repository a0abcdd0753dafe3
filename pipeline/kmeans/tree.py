"""Samples in a tree of boxes, so that an iteration looks at few of them.

The filtering algorithm of Kanungo et al., "An efficient k-means clustering algorithm: analysis and
implementation", IEEE TPAMI 24 (2002): a node knows the box around its samples, and from the root
down means are left out that are nearest to no place of it. Where one is left, the node's exact
sums are its; only in leaves on a border between means are distances computed, and only to those
that are left. The tree depends on the samples alone, and sums are exact: they are the same to the
bit as those of `Metric.sums`.

It is a complete binary k-d tree; node i has the children 2 i + 1 and 2 i + 2. Where to cut is
learned from a part of the samples: the widest channel, at the average.
"""

from dataclasses import dataclass, field
from math import ceil, log2

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pipeline.kmeans.blocks import (
    BLOCK,
    Indices,
    Room,
    bound,
    decide,
    prune,
    reach_of,
    room_for,
)
from pipeline.kmeans.exact import carry, form
from pipeline.kmeans.lloyd import Metric, PartialSums, partial_sums, sums_of_groups
from pipeline.kmeans.samples import Floats, Ints, Samples, Values
from pipeline.kmeans.sums import Limbs, add_block

LEAF = 256
"""Samples of a leaf, about, of at most 16 bits; others, whose sums take more room, have twice."""

LEARNED = 8
"""Samples for each leaf that its cuts are learned from."""

SMALL = 2**18
"""Samples of a table, at most, that are kept with their channels apart too."""

OFTEN = 2**29
"""256 integers of 16 bits that occur so often have sums of at most 2**53."""

ROUTED = 64
"""Samples that go down the tree side by side."""


@dataclass(frozen=True)
class Tree:
    """Samples in the order of the leaves, with what is known of each node."""

    samples: Samples
    starts: Ints
    """First sample of each leaf, and the number of samples, (leaves + 1,)."""
    lo: Floats
    """Least number of each channel in each node, (nodes, c); infinity in an empty one."""
    hi: Floats
    """Greatest number of each channel in each node, (nodes, c)."""
    number: Ints
    """Samples of each leaf, by count, (leaves,)."""
    sums: Limbs = field(repr=False)
    """Their exact sums, as of `sums_of_groups`, (leaves, c, limbs)."""
    columns: Floats = field(repr=False)
    """The samples with channels apart, (c, n), of a small table that `add_pair` may add up; else
    (c, 0)."""

    @property
    def nbytes(self) -> int:
        """Bytes of everything."""
        arrays = (
            self.samples.values, self.samples.weights, self.starts, self.lo, self.hi, self.columns
        )  # fmt: skip
        return sum(a.nbytes for a in (*arrays, self.number, self.sums))

    @classmethod
    def of(cls, samples: Samples, metric: Metric) -> "Tree":
        """Return the tree of samples (n, c), cut where `metric` finds them far apart."""
        values, weights = samples.values, samples.weights
        n, c = values.shape
        depth = depth_of(samples)
        leaves = 2**depth
        step = max(1, n // (LEARNED * leaves))
        learned = np.ascontiguousarray(values[::step])
        channels, cuts = learn(learned, metric.weights, depth)
        leaf, sizes = np.empty(n, np.uint32), np.zeros(leaves, np.int64)
        route(values, channels, cuts, depth, leaf, sizes)
        starts = np.concatenate([[0], np.cumsum(sizes)])
        sorted_values, sorted_weights = np.empty_like(values), np.empty_like(weights)
        scatter(values, weights, leaf, starts[:-1].copy(), sorted_values, sorted_weights)
        ordered = Samples(sorted_values, None if samples.counts is None else sorted_weights)
        number, sums, exponent = sums_of_groups(leaves, values)
        lo, hi = np.full((2 * leaves - 1, c), np.inf), np.full((2 * leaves - 1, c), -np.inf)
        describe(sorted_values, sorted_weights, starts, lo, hi, number, sums, exponent)
        paired = may_be_paired(samples) and int(weights.max(initial=0)) <= OFTEN
        columns = sorted_values.T if paired else sorted_values[:0].T
        columns = np.ascontiguousarray(columns, np.float64)
        return cls(ordered, starts, lo, hi, number, sums, columns)

    def partial_sums(self, means: Floats, metric: Metric) -> PartialSums:
        """Return the exact sums and counts of the samples by nearest mean, (k, c)."""
        values = self.samples.values
        number, sums, exponent = sums_of_groups(len(means), values)
        walk(
            values, self.samples.weights, self.columns, self.starts, self.lo, self.hi, self.number,
            self.sums, means, metric.weights, metric.scaled, number, sums, exponent,
        )  # fmt: skip
        return partial_sums(number, sums, values.dtype)


def depth_of(samples: Samples) -> int:
    """Return the depth of the tree of some samples."""
    leaf = LEAF if samples.values.dtype.itemsize <= 2 else 2 * LEAF
    return max(0, ceil(log2(max(1, len(samples.values) / leaf))))


def tree_bytes(samples: Samples) -> int:
    """Return the bytes that the tree of some samples takes."""
    values, leaves = samples.values, 2 ** depth_of(samples)
    c = values.shape[1]
    limbs = 1 if values.dtype.itemsize <= 2 else form(values.dtype).sum_limbs
    of_leaf = 2 * 2 * c * 8 + c * limbs * 8 + 2 * 8  # two nodes' boxes, sums, number, start
    columns = 8 * values.size if may_be_paired(samples) else 0
    return int(values.nbytes + columns + samples.weights.nbytes + leaves * of_leaf)


def may_be_paired(samples: Samples) -> bool:
    """Whether samples are a small table of integers of at most 16 bits."""
    few = len(samples.values) <= SMALL
    return few and samples.counts is not None and samples.values.dtype.itemsize <= 2


@njit(nogil=True, cache=True)
def learn(samples: Values, weights: Floats, depth: int) -> tuple[Indices, Values]:
    """Return the channel and the number at which each inner node is cut, by some samples (n, c).

    What is at most that number goes to the left. A node whose samples are all alike sends
    everything to one side.
    """
    n, c = samples.shape
    nodes = 2**depth - 1
    channels, cuts = np.zeros(nodes, np.int32), np.zeros(nodes, samples.dtype)
    rows = np.arange(n)
    ends = np.zeros((2 * nodes + 1, 2), np.int64)
    ends[0, 1] = n
    for node in range(nodes):
        start, stop = ends[node]
        middle = start
        if stop - start > 1:
            widest = 0.0
            for ch in range(c):
                low = high = samples[rows[start], ch]
                for r in range(start + 1, stop):
                    x = samples[rows[r], ch]
                    low, high = min(low, x), max(high, x)
                width = (np.float64(high) - np.float64(low)) * weights[ch]
                if width > widest:
                    widest, channels[node] = width, ch
            if widest > 0.0:
                middle, cuts[node] = part(samples, channels[node], rows, start, stop)
        ends[2 * node + 1, 0], ends[2 * node + 1, 1] = start, middle
        ends[2 * node + 2, 0], ends[2 * node + 2, 1] = middle, stop
    return channels, cuts


@njit(nogil=True, cache=True)
def part(samples: Values, ch: int, rows: Ints, start: int, stop: int) -> tuple[int, Values]:
    """Move rows of at most the average in a channel to the front; return their end and greatest."""
    average = 0.0
    for r in range(start, stop):
        average += np.float64(samples[rows[r], ch]) / (stop - start)
    cut = samples[rows[start], ch]
    for r in range(start, stop):
        cut = min(cut, samples[rows[r], ch])
    i, j = start, stop
    while i < j:
        x = samples[rows[i], ch]
        if np.float64(x) <= average:
            cut = max(cut, x)
            i += 1
        else:
            j -= 1
            rows[i], rows[j] = rows[j], rows[i]
    return i, cut


@njit(nogil=True, cache=True)
def route(
    values: Values, channels: Indices, cuts: Values, depth: int, leaf: NDArray[np.uint32],
    sizes: Ints,
) -> None:  # fmt: skip
    """Find the leaf of each sample, (n, c) to (n,), and add to the size of each leaf."""
    inner = len(cuts)
    nodes = np.zeros(ROUTED, np.int64)
    for start in range(0, len(values), ROUTED):
        rows = values[start : start + ROUTED]
        nodes[:] = 0
        for _ in range(depth):
            for q in range(len(rows)):
                node = nodes[q]
                nodes[q] = 2 * node + 1 + np.int64(rows[q, channels[node]] > cuts[node])
        for q in range(len(rows)):
            leaf[start + q] = nodes[q] - inner
            sizes[nodes[q] - inner] += 1


@njit(nogil=True, cache=True)
def scatter(
    values: Values, weights: Ints, leaf: NDArray[np.uint32], places: Ints, to_values: Values,
    to_weights: Ints,
) -> None:  # fmt: skip
    """Put samples in the order of their leaves, whose next free `places` (leaves,) are given."""
    n, c = values.shape
    weighted = weights.size > 0
    for p in range(n):
        place = places[leaf[p]]
        places[leaf[p]] += 1
        for ch in range(c):
            to_values[place, ch] = values[p, ch]
        if weighted:
            to_weights[place] = weights[p]


@njit(nogil=True, cache=True)
def describe(
    values: Values, weights: Ints, starts: Ints, lo: Floats, hi: Floats, number: Ints,
    sums: Limbs, exponent: int,
) -> None:  # fmt: skip
    """Find the boxes of all nodes, and the numbers and sums of the leaves."""
    c, leaves = values.shape[1], len(starts) - 1
    room = room_for(values, 1)
    for leaf in range(leaves):
        node = leaves - 1 + leaf
        room.few[0] = leaf
        for start in range(starts[leaf], starts[leaf + 1], BLOCK):
            size = min(BLOCK, starts[leaf + 1] - start)
            bound(values, start, size, room)
            for ch in range(c):
                lo[node, ch] = min(lo[node, ch], room.lo[ch])
                hi[node, ch] = max(hi[node, ch], room.hi[ch])
            add_block(values, weights, start, size, 1, room, number, sums, exponent)
    for node in range(leaves - 2, -1, -1):
        for ch in range(c):
            lo[node, ch] = min(lo[2 * node + 1, ch], lo[2 * node + 2, ch])
            hi[node, ch] = max(hi[2 * node + 1, ch], hi[2 * node + 2, ch])
    if sums.shape[2] > 1:
        carry(sums.reshape(-1, sums.shape[2]))


@njit(nogil=True, cache=True)
def walk(
    values: Values, weights: Ints, columns: Floats, starts: Ints, lo: Floats, hi: Floats,
    leaf_number: Ints, leaf_sums: Limbs, means: Floats, factors: Floats, scaled: bool,
    number: Ints, sums: Limbs, exponent: int,
) -> None:  # fmt: skip
    """Add all samples to the `number` (k,) and `sums` (k, c, limbs) of their nearest means."""
    k, leaves = len(means), len(starts) - 1
    depth = 0
    while 2**depth < leaves:
        depth += 1
    flat, leaf_flat, width = sums.reshape(-1), leaf_sums.reshape(-1), sums.shape[1] * sums.shape[2]
    room, reach = room_for(values, k), reach_of(means)
    lists = np.empty((depth + 2, k), np.int32)  # means that are left above a node, by its level
    lists[0] = np.arange(k)
    left = np.empty(depth + 2, np.int64)
    left[0] = k
    nodes, levels = np.empty(depth + 2, np.int64), np.empty(depth + 2, np.int64)
    nodes[0] = levels[0] = 0
    waiting = 1
    while waiting > 0:
        waiting -= 1
        node, level = nodes[waiting], levels[waiting]
        if lo[node, 0] > hi[node, 0]:
            continue  # no sample is there
        few = lists[level + 1]
        left[level + 1] = prune(
            lo[node], hi[node], means, factors, reach, lists[level], left[level], few
        )
        if left[level + 1] == 1:
            first = ((node + 1) << (depth - level)) - leaves
            for leaf in range(first, first + (1 << (depth - level))):
                number[few[0]] += leaf_number[leaf]
                for q in range(width):
                    flat[few[0] * width + q] += leaf_flat[leaf * width + q]
        elif level < depth:
            nodes[waiting], nodes[waiting + 1] = 2 * node + 2, 2 * node + 1
            levels[waiting] = levels[waiting + 1] = level + 1
            waiting += 2
        elif left[level + 1] == 2 and columns.size > 0:
            leaf = node + 1 - leaves
            number[few[0]] += leaf_number[leaf]
            for q in range(width):
                flat[few[0] * width + q] += leaf_flat[leaf * width + q]
            add_pair(
                columns, weights, starts[leaf], starts[leaf + 1], means, few[0], few[1], factors,
                scaled, room.best, room.work, number, flat,
            )  # fmt: skip
        else:
            leaf = node + 1 - leaves
            for j in range(left[level + 1]):
                room.few[j] = few[j]
            add_leaf(
                values, weights, starts[leaf], starts[leaf + 1], means, factors, scaled,
                left[level + 1], room, number, sums, exponent,
            )  # fmt: skip


@njit(nogil=True, cache=True)
def add_leaf(
    values: Values, weights: Ints, start: int, stop: int, means: Floats, factors: Floats,
    scaled: bool, left: int, room: Room, number: Ints, sums: Limbs, exponent: int,
) -> None:  # fmt: skip
    """Add the samples of a leaf to the nearest of the `left` means in `room`."""
    for first in range(start, stop, BLOCK):
        size = min(BLOCK, stop - first)
        decide(values, first, size, means, factors, scaled, left, room)
        add_block(values, weights, first, size, left, room, number, sums, exponent)


@njit(nogil=True, cache=True)
def add_pair(
    columns: Floats, weights: Ints, start: int, stop: int, means: Floats, one: int, other: int,
    factors: Floats, scaled: bool, near: Floats, far: Floats, number: Ints, flat: Ints,
) -> None:  # fmt: skip
    """Move the samples of a leaf that are nearer to the mean `other` from `one` to it.

    All of them are in the sums of `one` already, whose index is the lower: a tie stays with it.
    Distances are those of `decide`, to the bit; sums are float64 that cannot round.
    """
    c = len(columns)
    for first in range(start, stop, BLOCK):
        size = min(BLOCK, stop - first)
        for ch in range(c):
            column, w = columns[ch, first : first + size], factors[ch]
            m, n = means[one, ch], means[other, ch]
            if ch == 0:
                for p in range(size):
                    near[p] = far[p] = 0.0
            if scaled:
                for p in range(size):
                    t, u = (column[p] - m) * w, (column[p] - n) * w
                    near[p] += t * t
                    far[p] += u * u
            else:
                for p in range(size):
                    t, u = column[p] - m, column[p] - n
                    near[p] += t * t
                    far[p] += u * u
        often = weights[first : first + size]
        for p in range(size):
            near[p] = np.float64(often[p]) if far[p] < near[p] else 0.0
        moved = np.int64(sum_of(near[:size]))
        number[one] -= moved
        number[other] += moved
        for ch in range(c):
            moved = np.int64(sum_of_products(columns[ch, first : first + size], near))
            flat[one * c + ch] -= moved
            flat[other * c + ch] += moved


@njit(nogil=True, cache=True, fastmath={"reassoc"})  # where no addition rounds, any order is right
def sum_of(row: Floats) -> float:
    """Return the sum of some numbers."""
    total = 0.0
    for p in range(len(row)):
        total += row[p]
    return total


@njit(nogil=True, cache=True, fastmath={"reassoc"})  # where no addition rounds, any order is right
def sum_of_products(column: Floats, often: Floats) -> float:
    """Return the sum of numbers, each as often as it is told."""
    total = 0.0
    for p in range(len(column)):
        total += column[p] * often[p]
    return total
