"""Blocks of samples: what the compiled loops of this package work on.

A block is a few hundred consecutive samples that stay in the first-level cache. Before distances
are computed, means that cannot be nearest to any sample of the block are left out (`prune`): in a
picture, neighbouring pixels are alike, and in a tree all the more so. What is left is decided by
distances: sums of squared differences in float64, channels in fixed order, without fused or
reordered arithmetic, ties to the lowest index. So a sample's label depends on the sample and the
means alone, not on its block.

Leaving out is the test of Kanungo et al., "An efficient k-means clustering algorithm: analysis
and implementation", IEEE TPAMI 24 (2002), with a margin for rounding.

Whoever changes a compiled function of this module removes `pipeline/kmeans/__pycache__`: numba
takes its callers in other modules from there as long as those modules are the same.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Values = NDArray[Any]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Indices = NDArray[np.int32]

BLOCK = 256
"""Samples worked on at a time; a block of six channels fits the first-level cache."""

LANES = 16
"""Rows of a block that are compared at once."""

UNIT = 2.0**-48
"""32 units in the last place of a float64: of a squared distance in c channels, (c + 8) of these
are more than all its roundings together, and those of the test itself."""

LEAST = 2.0**-900
"""Squared distances below this may have lost digits to underflow; nothing is left out by them."""


class Room(NamedTuple):
    """Arrays that a loop over blocks uses again and again."""

    lo: Floats
    """Least number of each channel in the block, (c,)."""
    hi: Floats
    """Greatest number of each channel in the block, (c,)."""
    low: Values
    high: Values
    few: Indices
    """Means that may be nearest to a sample of the block, ascending, (k,)."""
    some: Floats
    """Those means, (k, c)."""
    turned: Floats
    """The block with channels apart, (c, BLOCK)."""
    work: Floats
    best: Floats
    """Squared distance of each sample to its nearest mean, (BLOCK,)."""
    label: Ints
    """Which of `few` that is, (BLOCK,)."""


@njit(nogil=True, cache=True)
def room_for(values: Values, k: int) -> Room:
    """Return the arrays for blocks of `values` (n, c) and k means."""
    c = values.shape[1]
    return Room(
        np.empty(c), np.empty(c), np.empty(c * LANES, values.dtype),
        np.empty(c * LANES, values.dtype), np.empty(k, np.int32), np.empty((k, c)),
        np.empty((c, BLOCK)), np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK, np.int64),
    )  # fmt: skip


@njit(nogil=True, cache=True)
def reach_of(means: Floats) -> Floats:
    """Return the greatest magnitude of the means in each channel, (k, c) to (c,)."""
    reach = np.zeros(means.shape[1])
    for i in range(means.shape[0]):
        for ch in range(means.shape[1]):
            reach[ch] = max(reach[ch], abs(means[i, ch]))
    return reach


@njit(nogil=True, cache=True)
def bound(values: Values, start: int, size: int, room: Room) -> None:
    """Find the range of each channel in the block of `size` samples from `start` on."""
    c = values.shape[1]
    low, high, width = room.low, room.high, c * LANES
    flat = values[start : start + size].reshape(-1)
    for q in range(width):
        low[q] = high[q] = flat[q % c]
    whole = size // LANES * width
    for at in range(0, whole, width):
        rows = flat[at : at + width]  # slices, as an index that may be negative stops the compiler
        for q in range(width):
            low[q] = min(rows[q], low[q])
            high[q] = max(rows[q], high[q])
    for at in range(whole, size * c, c):
        for ch in range(c):
            low[ch] = min(flat[at + ch], low[ch])
            high[ch] = max(flat[at + ch], high[ch])
    for q in range(width):
        ch = q % c
        low[ch], high[ch] = min(low[q], low[ch]), max(high[q], high[ch])
    for ch in range(c):
        room.lo[ch], room.hi[ch] = low[ch], high[ch]


@njit(nogil=True, cache=True)
def prune(
    lo: Floats, hi: Floats, means: Floats, weights: Floats, reach: Floats, among: Indices,
    number: int, few: Indices,
) -> int:  # fmt: skip
    """Write to `few` which of the first `number` of `among` may be nearest to a sample in a box.

    A mean is left out if it is farther than another one, by more than the roundings of any
    computed distance, from every place of the box between `lo` and `hi`. Returns how many are
    left, at least 1; their order is kept.
    """
    c = means.shape[1]
    size, nearest, least = 0.0, among[0], np.inf
    for ch in range(c):
        extent = max(abs(lo[ch]), abs(hi[ch]), reach[ch]) * weights[ch]
        size += extent * extent
    margin = max(size * UNIT * (c + 8), LEAST)
    for j in range(number):
        i = among[j]
        distance = 0.0
        for ch in range(c):
            t = ((lo[ch] + hi[ch]) * 0.5 - means[i, ch]) * weights[ch]
            distance += t * t
        if distance < least:
            least, nearest = distance, i
    left = 0
    for j in range(number):
        i = among[j]
        farther = 0.0  # least difference of the squared distances to `i` and to `nearest`
        for ch in range(c):
            m, n = means[i, ch], means[nearest, ch]
            corner = hi[ch] if m > n else lo[ch]
            farther += ((n - m) * weights[ch]) * ((2.0 * corner - m - n) * weights[ch])
        if i == nearest or not farther > margin:
            few[left] = i
            left += 1
    return left


@njit(nogil=True, cache=True)
def turn(values: Values, start: int, size: int, turned: Floats) -> None:
    """Take a block's channels apart, so that the compiler works on several samples at a time."""
    rows = values[start : start + size]
    for ch in range(values.shape[1]):
        row = turned[ch]
        for p in range(size):
            row[p] = rows[p, ch]


@njit(nogil=True, cache=True)
def decide(
    values: Values, start: int, size: int, means: Floats, weights: Floats, scaled: bool, left: int,
    room: Room,
) -> None:  # fmt: skip
    """Find the nearest of the first `left` of `room.few` for each sample of a block."""
    turn(values, start, size, room.turned)
    for j in range(left):
        for ch in range(values.shape[1]):
            room.some[j, ch] = means[room.few[j], ch]
    nearest_block(
        room.turned, size, room.some[:left], weights, scaled, room.work, room.best, room.label
    )


@njit(nogil=True, cache=True)
def nearest_block(
    turned: Floats, size: int, means: Floats, weights: Floats, scaled: bool, work: Floats,
    best: Floats, label: Ints,
) -> None:  # fmt: skip
    """Nearest mean of each sample of a block: `best` squared distance, `label` its index.

    `turned` is (c, BLOCK), `means` (k, c); a tie goes to the lowest index.
    """
    k, c = means.shape
    for p in range(size):
        best[p] = np.inf
        label[p] = 0
    for i in range(k):
        m = means[i, 0]
        if scaled:
            w = weights[0]
            for p in range(size):
                t = (turned[0, p] - m) * w
                work[p] = t * t
        else:
            for p in range(size):
                t = turned[0, p] - m
                work[p] = t * t
        for ch in range(1, c):
            m = means[i, ch]
            if scaled:
                w = weights[ch]
                for p in range(size):
                    t = (turned[ch, p] - m) * w
                    work[p] += t * t
            else:
                for p in range(size):
                    t = turned[ch, p] - m
                    work[p] += t * t
        for p in range(size):
            closer = work[p] < best[p]
            best[p] = work[p] if closer else best[p]
            label[p] = i if closer else label[p]
