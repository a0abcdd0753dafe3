"""Small tables with their channels apart, for leaves of a tree on a border between few means.

A small image's table is gone through some fifty times, and most of its leaves lie between two or
three means. So the samples of such a leaf are all added to the first of them, by the leaf's own
sums, and those that are nearer to another one are moved: in float64, several at a time. Distances
are those of `nearest`, to the bit, and no sum rounds: 256 integers of 16 bits that occur up
to `OFTEN` times each have sums of at most 2**53.
"""

import numpy as np

from chunkmeans.kmeans.compiled.blocks import BLOCK_SIZE
from chunkmeans.kmeans.compiled.jit import compiled
from chunkmeans.kmeans.compiled.nearest import squared_distances
from chunkmeans.kmeans.samples import Floats, Indices, Ints, Samples

SMALL_TABLE = 2**18
"""Samples of a table that is kept like this, at most."""

OFTEN = 2**29
"""Times that each of them occurs, at most."""


def columns_of(samples: Samples) -> Floats:
    """Return the channels of samples, and last how often each occurs: (c + 1, n).

    (c + 1, 0) where they are no small table of integers of at most 16 bits.
    """
    values, counts = samples.values, samples.weights
    n, c = values.shape
    if not columns_bytes(samples) or counts.max(initial=0) > OFTEN:
        return np.empty((c + 1, 0))
    columns = np.empty((c + 1, n))
    columns[:c], columns[c] = values.T, counts
    return columns


def columns_bytes(samples: Samples) -> int:
    """Return the bytes that `columns_of` takes, at most."""
    n, c = samples.values.shape
    whole = samples.values.dtype.kind in "ui" and samples.values.dtype.itemsize <= 2
    return 8 * n * (c + 1) if samples.counts is not None and whole and n <= SMALL_TABLE else 0


@compiled
def move_nearer(
    columns: Floats, start: int, stop: int, means: Floats, candidates: Indices, left: int,
    factors: Floats, scaled: bool, scratch: Floats, label: Ints, number: Ints, flat: Ints,
) -> None:  # fmt: skip
    """Move those of the samples from `start` to `stop` that are nearer to another mean to it.

    They are in the `number` (k,) and the sums `flat` (k * c,) of the first of `candidates` already,
    and may be nearer to any of the first `left`; a tie goes to the lower one. `scratch`
    (2, BLOCK_SIZE) and `label` (BLOCK_SIZE,) are overwritten.
    """
    c, one = means.shape[1], candidates[0]
    for first in range(start, stop, BLOCK_SIZE):
        size = min(BLOCK_SIZE, stop - first)
        best, other = scratch[0, :size], scratch[1, :size]
        squared_distances(columns, first, size, means[one], factors, scaled, best)
        for j in range(1, left):
            squared_distances(columns, first, size, means[candidates[j]], factors, scaled, other)
            for p in range(size):
                closer = other[p] < best[p]
                label[p] = j if closer else label[p] if j > 1 else 0
                best[p] = other[p] if closer else best[p]
        # one pass for each mean, with products by 0 in place of branches
        often = columns[c, first : first + size]
        for j in range(1, left):
            for p in range(size):
                other[p] = often[p] if label[p] == j else 0.0
            moved = np.int64(sum_of(other))
            number[one] -= moved
            number[candidates[j]] += moved
            for ch in range(c):
                moved = np.int64(sum_of_products(columns[ch, first : first + size], other))
                flat[one * c + ch] -= moved
                flat[candidates[j] * c + ch] += moved


@compiled(fastmath={"reassoc"})  # where no addition rounds, any order is right
def sum_of(row: Floats) -> float:
    """Return the sum of some numbers."""
    total = 0.0
    for p in range(len(row)):
        total += row[p]
    return total


@compiled(fastmath={"reassoc"})
def sum_of_products(column: Floats, often: Floats) -> float:
    """Return the sum of numbers, each times how often it occurs."""
    total = 0.0
    for p in range(len(column)):
        total += column[p] * often[p]
    return total
