"""Blocks of samples: their workspace, their boxes, and the means that a box leaves.

Compiled loops work on blocks: a few hundred consecutive samples that stay in the first-level
cache. Before distances are computed, means that cannot be nearest to any sample of the block are
left out (`prune`): in a picture, neighbouring pixels are alike, and in a tree all the more so. Of
what is left, `nearest` finds the nearest. So a sample's label depends on the sample and the means
alone, not on its block.

Leaving out is the test of Kanungo et al., "An efficient k-means clustering algorithm: analysis
and implementation", IEEE TPAMI 24 (2002), with a margin for rounding.
"""

from typing import NamedTuple

import numpy as np
from numba import float64, int32, int64, uint8, void

from chunkmeans.kmeans.compiled.jit import array, compiled, step
from chunkmeans.kmeans.compiled.typed_bytes import F4, F8, I2, I8, U1, U2, U8
from chunkmeans.kmeans.samples import Bytes, Floats, Indices, Ints, Singles, Values

BLOCK_SIZE = 256
"""Samples worked on at a time; a block of six channels fits the first-level cache."""

LANES = 16
"""Rows of a block that are compared at once."""

UNIT = 2.0**-48
"""16 units in the last place of a float64: of a squared distance in c channels, (c + 8) of these
are more than all its roundings together, and those of the test itself, in any order."""

LEAST_DISTANCE = 2.0**-900
"""Squared distances below this may have lost digits to underflow; nothing is left out by them."""


class Workspace(NamedTuple):
    """Arrays that a loop over blocks uses again and again."""

    lo: Floats
    """Least number of each channel in the block, (c,)."""
    hi: Floats
    """Greatest number of each channel in the block, (c,)."""
    lanes: Bytes
    """Least and greatest numbers, or sums, of each lane while they are being found."""
    candidates: Indices
    """Means that may be nearest to a sample of the block, ascending, (k,)."""
    gathered: Floats
    """Numbers of theirs: the means themselves, or sums of a block, (k, c)."""
    transposed: Floats
    """The block with channels apart, (c, BLOCK_SIZE)."""
    words: Ints
    """The same of integers of 64 bits, as they are, (c, BLOCK_SIZE); else empty."""
    scratch: Floats
    """Two numbers of each sample, (2, BLOCK_SIZE)."""
    singles: Singles
    """The block as of `float32_filter`, and four numbers of each sample, (c + 4, BLOCK_SIZE)."""
    scores: Singles
    """Means as of `float32_filter`, an even number, (k + 1, c + 1)."""
    label: Ints
    """Which of `candidates` is nearest to each sample, (BLOCK_SIZE,)."""


@compiled
def workspace_for(c: int, k: int, kind: int) -> Workspace:
    """Return the arrays for blocks of samples of c channels and k means."""
    wide = c if kind in (I8, U8) else 0
    return Workspace(
        np.empty(c), np.empty(c), np.empty(2 * c * LANES * 4, np.uint8), np.empty(k, np.int32),
        np.empty((k, c)), np.empty((c, BLOCK_SIZE)), np.empty((wide, BLOCK_SIZE), np.int64),
        np.empty((2, BLOCK_SIZE)), np.empty((c + 4, BLOCK_SIZE), np.float32),
        np.empty((k + 1, c + 1), np.float32), np.empty(BLOCK_SIZE, np.int64),
    )  # fmt: skip


@compiled
def reach_of(means: Floats) -> Floats:
    """Return the greatest magnitude of the means in each channel, (k, c) to (c,)."""
    reach = np.zeros(means.shape[1])
    for i in range(means.shape[0]):
        for ch in range(means.shape[1]):
            reach[ch] = max(reach[ch], abs(means[i, ch]))
    return reach


@step(
    int64, array(uint8, 2, read=True), int64, int64, int64, array(uint8), array(float64),
    array(float64),
)  # fmt: skip
def bound(
    raw: Bytes, kind: int, start: int, size: int, lanes: Bytes, lo: Floats, hi: Floats
) -> int:
    """Find the range of each channel in the block of `size` samples from `start` on.

    Of numbers of up to 32 bits; returns 0 for others, which `bound_transposed` is for.
    """
    flat = raw[start : start + size].reshape(-1)
    if kind == U1:
        bound_as(flat, lanes, size, lo, hi)
    elif kind == U2:
        bound_as(flat.view(np.uint16), lanes.view(np.uint16), size, lo, hi)
    elif kind == I2:
        bound_as(flat.view(np.int16), lanes.view(np.int16), size, lo, hi)
    elif kind == F4:
        bound_as(flat.view(np.float32), lanes.view(np.float32), size, lo, hi)
    else:
        return 0
    return 1


@compiled
def bound_as(flat: Values, lanes: Values, size: int, lo: Floats, hi: Floats) -> None:
    """Find the range of each channel in samples that lie one after the other, (size * c,)."""
    c = lo.size
    # of 16 samples at once all channels side by side: each has a lane, so that the compiler takes
    # rows as they lie; the lanes of a channel are brought together at the end
    width = c * LANES
    low, high = lanes[:width], lanes[width : 2 * width]
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
        lo[ch], hi[ch] = low[ch], high[ch]


@step(void, array(float64, 2), int64, array(float64, 2), array(float64), array(float64))
def bound_transposed(
    transposed: Floats, size: int, scratch: Floats, lo: Floats, hi: Floats
) -> None:
    """Find the range of each channel in a transposed block."""
    low, high = scratch[0, :LANES], scratch[1, :LANES]
    for ch in range(len(lo)):
        row = transposed[ch, :size]
        for q in range(LANES):
            low[q] = high[q] = row[0]
        for start in range(0, size, LANES):
            numbers = row[start : min(start + LANES, size)]
            for q in range(len(numbers)):
                x = numbers[q]
                low[q] = x if x < low[q] else low[q]
                high[q] = x if x > high[q] else high[q]
        for q in range(1, LANES):
            low[0] = min(low[0], low[q])
            high[0] = max(high[0], high[q])
        lo[ch], hi[ch] = low[0], high[0]


@step(
    void, array(uint8, 2, read=True), int64, int64, int64, array(float64, 2), array(int64, 2)
)  # fmt: skip
def transpose(
    raw: Bytes, kind: int, start: int, size: int, transposed: Floats, words: Ints
) -> None:
    """Put a block's channels apart, so that the compiler works on several samples at a time."""
    flat, c = raw[start : start + size].reshape(-1), len(transposed)
    if kind == U1:
        transpose_as(flat.reshape(size, c), transposed)
    elif kind == U2:
        transpose_as(flat.view(np.uint16).reshape(size, c), transposed)
    elif kind == I2:
        transpose_as(flat.view(np.int16).reshape(size, c), transposed)
    elif kind == F4:
        transpose_as(flat.view(np.float32).reshape(size, c), transposed)
    elif kind == F8:
        transpose_as(flat.view(np.float64).reshape(size, c), transposed)
    else:
        transpose_as(flat.view(np.int64).reshape(size, c), words)
        for ch in range(c):
            row, of = transposed[ch], words[ch]
            if kind == I8:
                for p in range(size):
                    row[p] = of[p]
            else:
                for p in range(size):
                    row[p] = np.uint64(of[p])


@compiled
def transpose_as(rows: Values, transposed: Values) -> None:
    """Put the channels of samples apart, (size, c) to (c, BLOCK_SIZE)."""
    for ch in range(rows.shape[1]):
        row = transposed[ch]
        for p in range(rows.shape[0]):
            row[p] = rows[p, ch]


@step(
    int64, array(float64), array(float64), array(float64, 2, read=True),
    array(float64, read=True), array(float64), array(int32), int64, array(int32),
)  # fmt: skip
def prune(
    lo: Floats, hi: Floats, means: Floats, weights: Floats, reach: Floats, among: Indices,
    number: int, candidates: Indices,
) -> int:  # fmt: skip
    """List which of the first `number` of `among` may be nearest to a sample in a box.

    Written to `candidates`. A mean is left out if it is farther than another one, by more than the
    roundings of any computed distance, from every place of the box between `lo` and `hi`. Returns
    how many are left, at least 1; their order is kept.
    """
    c = means.shape[1]
    size, nearest, least = 0.0, among[0], np.inf
    for ch in range(c):
        extent = max(abs(lo[ch]), abs(hi[ch]), reach[ch]) * weights[ch]
        size += extent * extent
    margin = max(size * UNIT * (c + 8), LEAST_DISTANCE)
    # compared with the mean nearest to the middle, which leaves out most; any mean would be right
    for j in range(number):
        distance = from_middle(lo, hi, means[among[j]], weights)
        if distance < least:
            least, nearest = distance, among[j]
    left = 0
    for j in range(number):
        i = among[j]
        # "not above", so that a NaN of an overflow keeps the mean
        if i == nearest or not farther(lo, hi, means[i], means[nearest], weights) > margin:
            candidates[left] = i
            left += 1
    return left


@compiled(fastmath={"contract", "reassoc"})
def from_middle(lo: Floats, hi: Floats, mean: Floats, weights: Floats) -> float:
    """Squared distance of a mean to the middle of a box."""
    distance = 0.0
    for ch in range(len(mean)):
        t = ((lo[ch] + hi[ch]) * 0.5 - mean[ch]) * weights[ch]
        distance += t * t
    return distance


@compiled(fastmath={"contract", "reassoc"})
def farther(lo: Floats, hi: Floats, mean: Floats, other: Floats, weights: Floats) -> float:
    """Least difference of the squared distances from a place of the box to one mean and another."""
    least = 0.0
    for ch in range(len(mean)):
        m, n = mean[ch], other[ch]
        corner = hi[ch] if m > n else lo[ch]
        least += ((n - m) * weights[ch]) * ((2.0 * corner - m - n) * weights[ch])
    return least
