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
from functools import cached_property
from math import ceil, log2
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chunkmeans.kmeans.compiled.blocks import BLOCK, Indices, reach_of, room_for
from chunkmeans.kmeans.compiled.calls import Addresses, addresses, steps_at
from chunkmeans.kmeans.compiled.columns import columns_bytes, columns_of, move_nearer
from chunkmeans.kmeans.compiled.groups import FEW
from chunkmeans.kmeans.compiled.jit import compiled
from chunkmeans.kmeans.compiled.typed_bytes import Bytes, raw, read
from chunkmeans.kmeans.exact.accumulator import Limbs, carry, form
from chunkmeans.kmeans.lloyd import Metric, PartialSums, partial_sums, sums_of_groups
from chunkmeans.kmeans.samples import Floats, Ints, Samples

LEAF = 512
"""Samples of a leaf, about."""

LEARNED = 8
"""Samples for each leaf that its cuts are learned from."""


class Leaves(NamedTuple):
    """A tree as compiled loops take it; what its arrays are, `Tree` says."""

    raw: Bytes
    kind: int
    weights: Ints
    columns: Floats
    starts: Ints
    lo: Floats
    hi: Floats
    number: Ints
    sums: Limbs


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
    """The samples as of `columns_of`."""

    @property
    def nbytes(self) -> int:
        """Bytes of everything."""
        arrays = (self.samples.values, self.samples.weights, self.starts, self.lo, self.hi)
        return sum(a.nbytes for a in (*arrays, self.number, self.sums, self.columns))

    @classmethod
    def of(cls, samples: Samples, metric: Metric) -> "Tree":
        """Return the tree of samples (n, c), cut where `metric` finds them far apart."""
        values, weights = samples.values, samples.weights
        n, c = values.shape
        depth = depth_of(samples)
        leaves = 2**depth
        step = max(1, n // (LEARNED * leaves))
        channels, cuts = np.zeros(leaves - 1, np.int32), np.zeros(leaves - 1)
        learn(read(values[::step].astype(np.float64)), read(metric.weights), channels, cuts)
        leaf, sizes = np.empty(n, np.uint32), np.zeros(leaves, np.int64)
        route(addresses(), *raw(values), c, channels, cuts, depth, leaf, sizes)
        starts = np.concatenate([[0], np.cumsum(sizes)])
        sorted_values, sorted_weights = np.empty_like(values), np.empty_like(weights)
        scatter(
            raw(values)[0], values.itemsize, read(weights), leaf, starts[:-1].copy(),
            sorted_values.view(np.uint8), sorted_weights,
        )  # fmt: skip
        ordered = Samples(sorted_values, None if samples.counts is None else sorted_weights)
        number, sums, exponent = sums_of_groups(leaves, values)
        lo, hi = np.full((2 * leaves - 1, c), np.inf), np.full((2 * leaves - 1, c), -np.inf)
        describe(
            addresses(),
            *raw(sorted_values),
            read(sorted_weights),
            read(starts),
            lo,
            hi,
            number,
            sums,
            exponent,
        )
        return cls(ordered, starts, lo, hi, number, sums, columns_of(ordered))

    def partial_sums(self, means: Floats, metric: Metric) -> PartialSums:
        """Return the exact sums and counts of the samples by nearest mean, (k, c)."""
        ((_, partial),) = self.turns(means, metric, 1)
        return partial

    def turns(self, means: Floats, metric: Metric, number: int) -> list[tuple[Floats, PartialSums]]:
        """Return what `partial_sums` does, and what it would for the averages of those groups.

        Turn by turn, with the means of each: at most `number` of them, at least one, and none
        after a group without samples or means that do not move. Python is not needed in between,
        so that other threads have it. Of samples of more than 16 bits it is one turn.
        """
        values = self.samples.values
        _, sums, exponent = sums_of_groups(len(means), values)
        number = number if sums.shape[2] == 1 else 1
        course, counts = np.empty((number, *means.shape)), np.zeros((number, len(means)), np.int64)
        totals = np.zeros((number, *sums.shape), np.int64)
        course[0] = means
        done = walk_on(
            addresses(), self._read, read(metric.weights), metric.scaled, course, counts, totals,
            exponent,
        )  # fmt: skip
        return [
            (course[turn], partial_sums(counts[turn], totals[turn], values.dtype))
            for turn in range(done)
        ]

    @cached_property
    def _read(self) -> "Leaves":
        """Everything as loops take it."""
        arrays = (
            self.samples.weights, self.columns, self.starts, self.lo, self.hi, self.number,
            self.sums,
        )  # fmt: skip
        return Leaves(*raw(self.samples.values), *map(read, arrays))


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


@compiled
def learn(samples: Floats, weights: Floats, channels: Indices, cuts: Floats) -> None:
    """Find the channel and the number at which each inner node is cut, by some samples (n, c).

    What is at most that number goes to the left. A node whose samples are all alike sends
    everything to one side.
    """
    n, c = samples.shape
    nodes = len(cuts)
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
                width = (high - low) * weights[ch]
                if width > widest:
                    widest, channels[node] = width, ch
            if widest > 0.0:
                middle, cuts[node] = part(samples, channels[node], rows, start, stop)
        ends[2 * node + 1, 0], ends[2 * node + 1, 1] = start, middle
        ends[2 * node + 2, 0], ends[2 * node + 2, 1] = middle, stop


@compiled
def part(samples: Floats, ch: int, rows: Ints, start: int, stop: int) -> tuple[int, float]:
    """Move rows of at most the average in a channel to the front; return their end and greatest."""
    average = 0.0
    for r in range(start, stop):
        average += samples[rows[r], ch] / (stop - start)
    cut = samples[rows[start], ch]
    for r in range(start, stop):
        cut = min(cut, samples[rows[r], ch])
    i, j = start, stop
    while i < j:
        x = samples[rows[i], ch]
        if x <= average:
            cut = max(cut, x)
            i += 1
        else:
            j -= 1
            rows[i], rows[j] = rows[j], rows[i]
    return i, cut


@compiled
def route(
    places: Addresses, raw: Bytes, kind: int, c: int, channels: Indices, cuts: Floats, depth: int,
    leaf: NDArray[np.uint32], sizes: Ints,
) -> None:  # fmt: skip
    """Find the leaf of each sample, (n, c) to (n,), and add to the size of each leaf."""
    steps = steps_at(places)
    room = room_for(c, 1, kind)
    flat = room.turned.reshape(-1)
    rows = (channels * BLOCK).astype(np.uint32)  # unsigned: an index that may be negative is slow
    nodes, inner = np.empty(BLOCK, np.uint32), np.uint32(len(cuts))
    for start in range(0, len(raw), BLOCK):
        size = min(BLOCK, len(raw) - start)
        steps.turn(raw, kind, start, size, room.turned, room.words)
        nodes[:] = 0
        for _ in range(depth):
            for q in range(size):
                node = nodes[q]
                right = flat[rows[node] + np.uint32(q)] > cuts[node]
                nodes[q] = np.uint32(2) * node + np.uint32(1) + np.uint32(right)
        for q in range(size):
            leaf[start + q] = nodes[q] - inner
            sizes[nodes[q] - inner] += 1


@compiled
def scatter(
    raw: Bytes, itemsize: int, weights: Ints, leaf: NDArray[np.uint32], places: Ints,
    to_raw: Bytes, to_weights: Ints,
) -> None:  # fmt: skip
    """Put samples in the order of their leaves, whose next free `places` (leaves,) are given."""
    weighted = weights.size > 0
    for p in range(len(raw)):
        place = places[leaf[p]]
        places[leaf[p]] += 1
        leaf[p] = place
        if weighted:
            to_weights[place] = weights[p]
    if itemsize == 1:
        move(raw, leaf, to_raw)
    elif itemsize == 2:
        move(raw.view(np.uint16), leaf, to_raw.view(np.uint16))
    elif itemsize == 4:
        move(raw.view(np.uint32), leaf, to_raw.view(np.uint32))
    else:
        move(raw.view(np.uint64), leaf, to_raw.view(np.uint64))


@compiled
def move(rows: NDArray[Any], places: NDArray[np.uint32], to_rows: NDArray[Any]) -> None:
    """Put rows where `places` (n,) says."""
    n, c = rows.shape
    for p in range(n):
        place = places[p]
        for ch in range(c):
            to_rows[place, ch] = rows[p, ch]


@compiled
def describe(
    places: Addresses, raw: Bytes, kind: int, weights: Ints, starts: Ints, lo: Floats, hi: Floats,
    number: Ints, sums: Limbs, exponent: int,
) -> None:  # fmt: skip
    """Find the boxes of all nodes, and the numbers and sums of the leaves."""
    steps = steps_at(places)
    c, leaves = lo.shape[1], len(starts) - 1
    room, flat = room_for(c, 1, kind), sums.reshape(-1)
    for leaf in range(leaves):
        node = leaves - 1 + leaf
        room.few[0] = leaf
        for start in range(starts[leaf], starts[leaf + 1], BLOCK):
            size = min(BLOCK, starts[leaf + 1] - start)
            turned = steps.bound(raw, kind, start, size, room.lanes, room.lo, room.hi) == 0
            if turned or sums.shape[2] > 1 or weights.size > 0:
                steps.turn(raw, kind, start, size, room.turned, room.words)
            if turned:
                steps.bound_turned(room.turned, size, room.work, room.lo, room.hi)
            for ch in range(c):
                lo[node, ch] = min(lo[node, ch], room.lo[ch])
                hi[node, ch] = max(hi[node, ch], room.hi[ch])
            if sums.shape[2] == 1 and weights.size == 0:
                number[leaf] += size
                steps.add_all(raw, kind, start, size, room.lanes, flat[leaf * c : leaf * c + c])
            else:
                steps.add_block(
                    room.turned, room.words, kind, weights[start : start + size], size, 1,
                    room.few, room.label, room.some, room.work, number, sums, exponent,
                )  # fmt: skip
    for node in range(leaves - 2, -1, -1):
        for ch in range(c):
            lo[node, ch] = min(lo[2 * node + 1, ch], lo[2 * node + 2, ch])
            hi[node, ch] = max(hi[2 * node + 1, ch], hi[2 * node + 2, ch])
    if sums.shape[2] > 1:
        carry(sums.reshape(-1, sums.shape[2]))


@compiled
def walk_on(
    places: Addresses, tree: Leaves, factors: Floats, scaled: bool, means: Floats, number: Ints,
    sums: Limbs, exponent: int,
) -> int:  # fmt: skip
    """Fill the `number` (n, k) and the `sums` (n, k, c, limbs) of turns, and `means` (n, k, c).

    Those of the first turn are given. Returns how many turns are filled.
    """
    turns, k, c = len(means), means.shape[1], means.shape[2]
    for turn in range(turns):
        walk(places, tree, means[turn], factors, scaled, number[turn], sums[turn], exponent)
        moved = False
        for i in range(k):
            if number[turn, i] == 0:
                return turn + 1
            for ch in range(c):
                mean = sums[turn, i, ch, 0] / number[turn, i]
                moved = moved or mean != means[turn, i, ch]
                if turn + 1 < turns:
                    means[turn + 1, i, ch] = mean
        if not moved:
            return turn + 1
    return turns


@compiled
def walk(
    places: Addresses, tree: Leaves, means: Floats, factors: Floats, scaled: bool, number: Ints,
    sums: Limbs, exponent: int,
) -> None:  # fmt: skip
    """Add all samples to the `number` (k,) and `sums` (k, c, limbs) of their nearest means."""
    raw, kind, weights, columns, starts, lo, hi, leaf_number, leaf_sums = tree
    steps = steps_at(places)
    k, leaves = len(means), len(starts) - 1
    depth = 0
    while 2**depth < leaves:
        depth += 1
    flat, leaf_flat, width = sums.reshape(-1), leaf_sums.reshape(-1), sums.shape[1] * sums.shape[2]
    room, reach = room_for(means.shape[1], k, kind), reach_of(means)
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
        room.lo[:], room.hi[:] = lo[node], hi[node]
        left[level + 1] = steps.prune(
            room.lo, room.hi, means, factors, reach, lists[level], left[level], few
        )
        apart = level == depth and left[level + 1] <= FEW and columns.shape[1] > 0
        if left[level + 1] == 1 or apart:
            first = ((node + 1) << (depth - level)) - leaves
            for leaf in range(first, first + (1 << (depth - level))):
                number[few[0]] += leaf_number[leaf]
                for q in range(width):
                    flat[few[0] * width + q] += leaf_flat[leaf * width + q]
            if left[level + 1] > 1:
                move_nearer(
                    columns, starts[first], starts[first + 1], means, few, left[level + 1],
                    factors, scaled, room.work, room.label, number, flat,
                )  # fmt: skip
        elif level < depth:
            nodes[waiting], nodes[waiting + 1] = 2 * node + 2, 2 * node + 1
            levels[waiting] = levels[waiting + 1] = level + 1
            waiting += 2
        else:
            leaf = node + 1 - leaves
            for start in range(starts[leaf], starts[leaf + 1], BLOCK):
                size = min(BLOCK, starts[leaf + 1] - start)
                steps.turn(raw, kind, start, size, room.turned, room.words)
                steps.nearest(
                    room.turned, size, means, factors, scaled, few, left[level + 1], room.lo,
                    room.hi, room.some, room.work, room.singles, room.scores, room.label,
                )  # fmt: skip
                steps.add_block(
                    room.turned, room.words, kind, weights[start : start + size], size,
                    left[level + 1], few, room.label, room.some, room.work, number, sums,
                    exponent,
                )  # fmt: skip
