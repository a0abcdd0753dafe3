"""Compiled loops that make a tree of boxes of samples, and walk it for sums by nearest mean.

The filtering algorithm of Kanungo et al., "An efficient k-means clustering algorithm: analysis and
implementation", IEEE TPAMI 24 (2002): a node has the box around its samples, and from the root
down means are left out that are nearest to no place of it. Where one is left, the node's exact
sums are added to its; only in leaves on a border between means are distances computed, and only to
those that are left.

The tree is a complete binary k-d tree; node i has the children 2 i + 1 and 2 i + 2. Where to cut
is learned from a part of the samples: the widest channel, at the average.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chunkmeans.kmeans.compiled import calls
from chunkmeans.kmeans.compiled.blocks import BLOCK_SIZE, reach_of, workspace_for
from chunkmeans.kmeans.compiled.columns import move_nearer
from chunkmeans.kmeans.compiled.groups import PASSES
from chunkmeans.kmeans.compiled.jit import compiled
from chunkmeans.kmeans.compiled.limbs import carry
from chunkmeans.kmeans.compiled.sums import average_groups
from chunkmeans.kmeans.samples import Bytes, Floats, Indices, Ints, Limbs


class TreeArrays(NamedTuple):
    """A tree as compiled loops take it."""

    raw: Bytes
    """Samples in the order of the leaves; `kind` is their type."""
    kind: int
    weights: Ints
    """How often each occurs, (n,); empty: once."""
    columns: Floats
    """The samples as of `columns_of`."""
    starts: Ints
    """First sample of each leaf, and the number of samples, (leaves + 1,)."""
    lo: Floats
    """Least number of each channel in each node, (nodes, c); infinity in an empty one."""
    hi: Floats
    """Greatest number of each channel in each node, (nodes, c)."""
    number: Ints
    """Samples of each leaf, by count, (leaves,)."""
    sums: Limbs
    """Their exact sums, as of `empty_sums`, (leaves, c, limbs)."""


@compiled
def learn(samples: Floats, weights: Floats, channels: Indices, cuts: Floats) -> None:
    """Find the channel and the number at which each inner node is cut, by some samples (n, c).

    What is at most that number goes to the left. A node whose samples are all alike sends
    everything to one side.
    """
    n, c = samples.shape
    nodes = len(cuts)
    # in the order of nodes, so that a node's range of `rows` is known before its children's
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
                middle, cuts[node] = partition(samples, channels[node], rows, start, stop)
        ends[2 * node + 1, 0], ends[2 * node + 1, 1] = start, middle
        ends[2 * node + 2, 0], ends[2 * node + 2, 1] = middle, stop


@compiled
def partition(samples: Floats, ch: int, rows: Ints, start: int, stop: int) -> tuple[int, float]:
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


@calls.over_samples(0)
def route(
    places: calls.Addresses, raw: Bytes, kind: int, c: int, channels: Indices, cuts: Floats,
    depth: int, leaf: NDArray[np.uint32], sizes: Ints,
) -> None:  # fmt: skip
    """Find the leaf of each sample, (n, c) to (n,), and add to the size of each leaf."""
    steps = calls.steps_at(places)
    space = workspace_for(c, 1, kind)
    flat = space.transposed.reshape(-1)
    rows = (channels * BLOCK_SIZE).astype(
        np.uint32
    )  # unsigned: an index that may be negative is slow
    nodes, inner = np.empty(BLOCK_SIZE, np.uint32), np.uint32(len(cuts))
    for start in range(0, len(raw), BLOCK_SIZE):
        size = min(BLOCK_SIZE, len(raw) - start)
        steps.transpose(raw, kind, start, size, space.transposed, space.words)
        nodes[:] = 0
        # level by level for a whole block: sample by sample each comparison waits for the last
        for _ in range(depth):
            for q in range(size):
                node = nodes[q]
                right = flat[rows[node] + np.uint32(q)] > cuts[node]
                nodes[q] = np.uint32(2) * node + np.uint32(1) + np.uint32(right)
        for q in range(size):
            leaf[start + q] = nodes[q] - inner
            sizes[nodes[q] - inner] += 1


@compiled
def scatter(weights: Ints, leaf: NDArray[np.uint32], places: Ints, to_weights: Ints) -> None:
    """Put weights in the order of their leaves, whose next free `places` (leaves,) are given.

    The place of each sample is written to `leaf`, (n,).
    """
    weighted = weights.size > 0
    for p in range(len(leaf)):
        place = places[leaf[p]]
        places[leaf[p]] += 1
        leaf[p] = place
        if weighted:
            to_weights[place] = weights[p]


@compiled
def permute(rows: NDArray[Any], places: NDArray[np.uint32], to_rows: NDArray[Any]) -> None:
    """Put rows where `places` (n,) says."""
    n, c = rows.shape
    for p in range(n):
        place = places[p]
        for ch in range(c):
            to_rows[place, ch] = rows[p, ch]


@calls.over_samples(2)
def describe(
    places: calls.Addresses, raw: Bytes, kind: int, weights: Ints, starts: Ints, lo: Floats,
    hi: Floats, number: Ints, sums: Limbs, exponent: int,
) -> None:  # fmt: skip
    """Find the boxes of all nodes, and the numbers and sums of the leaves."""
    steps = calls.steps_at(places)
    c, leaves = lo.shape[1], len(starts) - 1
    space, flat = workspace_for(c, 1, kind), sums.reshape(-1)
    for leaf in range(leaves):
        node = leaves - 1 + leaf
        space.candidates[0] = leaf
        for start in range(starts[leaf], starts[leaf + 1], BLOCK_SIZE):
            size = min(BLOCK_SIZE, starts[leaf + 1] - start)
            transposed = steps.bound(raw, kind, start, size, space.lanes, space.lo, space.hi) == 0
            if transposed or sums.shape[2] > 1 or weights.size > 0:
                steps.transpose(raw, kind, start, size, space.transposed, space.words)
            if transposed:
                steps.bound_transposed(space.transposed, size, space.scratch, space.lo, space.hi)
            for ch in range(c):
                lo[node, ch] = min(lo[node, ch], space.lo[ch])
                hi[node, ch] = max(hi[node, ch], space.hi[ch])
            if sums.shape[2] == 1 and weights.size == 0:
                number[leaf] += size
                steps.add_all(raw, kind, start, size, space.lanes, flat[leaf * c : leaf * c + c])
            else:
                calls.sum_block(
                    steps, kind, size, weights[start : start + size], space.candidates, 1, number,
                    sums, exponent, space,
                )  # fmt: skip
    for node in range(leaves - 2, -1, -1):
        for ch in range(c):
            lo[node, ch] = min(lo[2 * node + 1, ch], lo[2 * node + 2, ch])
            hi[node, ch] = max(hi[2 * node + 1, ch], hi[2 * node + 2, ch])
    if sums.shape[2] > 1:
        carry(sums.reshape(-1, sums.shape[2]))


@compiled
def walk_on(
    places: calls.Addresses, tree: TreeArrays, factors: Floats, scaled: bool, means: Floats,
    number: Ints, sums: Limbs, exponent: int,
) -> int:  # fmt: skip
    """Iterate: fill `number` (n, k) and `sums` (n, k, c, limbs), and `means` (n, k, c).

    The means of the first iteration are given. Returns how many iterations are filled: the last
    is one with an empty group, or one whose averages are its means, or the n-th.
    """
    iterations = len(means)
    for i in range(iterations):
        walk(places, tree, means[i], factors, scaled, number[i], sums[i], exponent)
        if i + 1 == iterations or (number[i] == 0).any():
            return i + 1
        average_groups(sums[i, :, :, 0], number[i], means[i], means[i + 1])
        if (means[i + 1] == means[i]).all():
            return i + 1
    return iterations


@compiled
def walk(
    places: calls.Addresses, tree: TreeArrays, means: Floats, factors: Floats, scaled: bool,
    number: Ints, sums: Limbs, exponent: int,
) -> None:  # fmt: skip
    """Add all samples to the `number` (k,) and `sums` (k, c, limbs) of their nearest means."""
    raw, kind, weights, columns, starts, lo, hi, leaf_number, leaf_sums = tree
    steps = calls.steps_at(places)
    k, leaves = len(means), len(starts) - 1
    depth = 0
    while 2**depth < leaves:
        depth += 1
    flat, leaf_flat, width = sums.reshape(-1), leaf_sums.reshape(-1), sums.shape[1] * sums.shape[2]
    space, reach = workspace_for(means.shape[1], k, kind), reach_of(means)
    lists = np.empty((depth + 2, k), np.int32)  # means that are left above a node, by its level
    lists[0] = np.arange(k)
    left = np.empty(depth + 2, np.int64)
    left[0] = k
    # a stack of nodes to be looked at, at most one for each level and its sibling
    nodes, levels = np.empty(depth + 2, np.int64), np.empty(depth + 2, np.int64)
    nodes[0] = levels[0] = 0
    waiting = 1
    while waiting > 0:
        waiting -= 1
        node, level = nodes[waiting], levels[waiting]
        if lo[node, 0] > hi[node, 0]:
            continue  # no sample is there
        candidates = lists[level + 1]
        space.lo[:], space.hi[:] = lo[node], hi[node]
        left[level + 1] = steps.prune(
            space.lo, space.hi, means, factors, reach, lists[level], left[level], candidates
        )
        # in a leaf of a small table, all is added to one mean first, then moved (`columns`)
        apart = level == depth and left[level + 1] <= PASSES and columns.shape[1] > 0
        if left[level + 1] == 1 or apart:
            # the leaves below a node are consecutive
            first = ((node + 1) << (depth - level)) - leaves
            for leaf in range(first, first + (1 << (depth - level))):
                number[candidates[0]] += leaf_number[leaf]
                for q in range(width):
                    flat[candidates[0] * width + q] += leaf_flat[leaf * width + q]
            if left[level + 1] > 1:
                move_nearer(
                    columns, starts[first], starts[first + 1], means, candidates, left[level + 1],
                    factors, scaled, space.scratch, space.label, number, flat,
                )  # fmt: skip
        elif level < depth:
            nodes[waiting], nodes[waiting + 1] = 2 * node + 2, 2 * node + 1
            levels[waiting] = levels[waiting + 1] = level + 1
            waiting += 2
        else:
            leaf = node + 1 - leaves
            for start in range(starts[leaf], starts[leaf + 1], BLOCK_SIZE):
                size = min(BLOCK_SIZE, starts[leaf + 1] - start)
                steps.transpose(raw, kind, start, size, space.transposed, space.words)
                calls.label_block(
                    steps, size, means, factors, scaled, candidates, left[level + 1], space
                )
                calls.sum_block(
                    steps, kind, size, weights[start : start + size], candidates, left[level + 1],
                    number, sums, exponent, space,
                )  # fmt: skip
