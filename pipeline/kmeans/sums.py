"""Sums by nearest mean, compiled: assigned and added in one go, exactly, block by block.

Within a block sums are plain float64 where that loses nothing: if all numbers of a channel are
multiples of a quantum and 256 of the largest are at most 2**53 of it, no addition rounds. Where it
could, sample after sample goes into the limbs of `exact`. What a group has got from a block is
added to its sum: an int64 for samples of at most 16 bits, limbs for others.

Whoever changes a compiled function of this module removes `pipeline/kmeans/__pycache__`.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pipeline.kmeans.blocks import (
    BLOCK,
    LANES,
    Floats,
    Indices,
    Ints,
    Room,
    Values,
    bound,
    decide,
    prune,
    reach_of,
    room_for,
    turn,
)
from pipeline.kmeans.exact import add, add_times, parts

Limbs = NDArray[np.int64]

FEW = 4
"""Up to so many means, a pass over the block for each is faster than going where labels lead."""

MOST = 2.0**45
"""256 integers up to this have sums below 2**53."""

WIDEST = 2.0**21
"""256 float32 numbers, the largest up to this many times the least, have sums that a float64
holds: 24 bits each, 21 between them, 8 for their number."""


@njit(nogil=True, cache=True)
def add_nearest(
    values: Values, counts: Ints, means: Floats, weights: Floats, scaled: bool, number: Ints,
    sums: Limbs, exponent: int,
) -> None:  # fmt: skip
    """Add samples to the `number` (k,) and `sums` (k, c, limbs) of their nearest means (k, c).

    `counts` (n,) says how often each sample occurs; empty: once. One limb: int64 sums, which hold
    2**47 pixels of 16 bits; else limbs whose lowest bit is worth ``2**exponent``, not carried.
    """
    k = len(means)
    room, reach, every = room_for(values, k), reach_of(means), np.arange(k).astype(np.int32)
    for start in range(0, len(values), BLOCK):
        size = min(BLOCK, len(values) - start)
        bound(values, start, size, room)
        left = prune(room.lo, room.hi, means, weights, reach, every, k, room.few)
        if left > 1:
            decide(values, start, size, means, weights, scaled, left, room)
        add_block(values, counts, start, size, left, room, number, sums, exponent)


@njit(nogil=True, cache=True)
def add_block(
    values: Values, counts: Ints, start: int, size: int, left: int, room: Room, number: Ints,
    sums: Limbs, exponent: int,
) -> None:  # fmt: skip
    """Add a block whose samples are labelled by `room`; all to the same mean if `left` is 1."""
    few, label = room.few, room.label
    if left == 1:
        for p in range(size):
            label[p] = 0
    if counts.size > 0:
        add_weighted(values, counts, start, size, few, label, number, sums)
        return
    c, limbs = sums.shape[1], sums.shape[2]
    if left == 1 and limbs == 1:
        number[few[0]] += size
        add_all(values, start, size, sums[few[0], :, 0])
        return
    if left == 1:
        turn(values, start, size, room.turned)
    part = room.some  # its means were compared
    if left <= FEW:
        for j in range(left):
            number[few[j]] += count_where(label[:size], j)
            for ch in range(c):
                part[j, ch] = sum_where(room.turned[ch], label[:size], j)
    else:
        for j in range(left):
            for ch in range(c):
                part[j, ch] = 0.0
        for p in range(size):
            number[few[label[p]]] += 1
            for ch in range(c):
                part[label[p], ch] += room.turned[ch, p]
    flat = sums.reshape(-1)
    for ch in range(c):
        if limbs == 1:
            for j in range(left):
                sums[few[j], ch, 0] += np.int64(part[j, ch])
        elif fits(room.turned[ch], size, values.itemsize):
            for j in range(left):
                deposit(part[j, ch], flat, (few[j] * c + ch) * limbs, exponent)
        else:
            for p in range(size):
                magnitude, shift, sign = parts(values[start + p, ch])
                add(flat, (few[label[p]] * c + ch) * limbs, magnitude, shift, sign)


@njit(nogil=True, cache=True)
def count_where(label: Ints, j: int) -> int:
    """Return how many labels are `j`."""
    total = 0
    for p in range(len(label)):
        total += 1 if label[p] == j else 0
    return total


@njit(nogil=True, cache=True, fastmath={"reassoc"})  # where no addition rounds, any order is right
def sum_where(row: Floats, label: Ints, j: int) -> float:
    """Return the sum of the numbers whose label is `j`."""
    total = 0.0
    for p in range(len(label)):
        total += row[p] if label[p] == j else 0.0
    return total


@njit(nogil=True, cache=True)
def add_all(values: Values, start: int, size: int, sums: Ints) -> None:
    """Add a block of integers to the sums of its channels, (c,)."""
    c = values.shape[1]
    width = c * LANES
    flat = values[start : start + size].reshape(-1)
    lanes = np.zeros(width, np.int64)
    whole = size // LANES * width
    for at in range(0, whole, width):
        rows = flat[at : at + width]
        for q in range(width):
            lanes[q] += np.int64(rows[q])
    for at in range(whole, size * c):
        lanes[at % c] += np.int64(flat[at])
    for q in range(width):
        sums[q % c] += lanes[q]


@njit(nogil=True, cache=True)
def add_weighted(
    values: Values, counts: Ints, start: int, size: int, few: Indices, label: Ints, number: Ints,
    sums: Limbs,
) -> None:  # fmt: skip
    """Add samples that occur `counts` times each."""
    c, limbs = sums.shape[1], sums.shape[2]
    flat = sums.reshape(-1)
    for p in range(size):
        i, count = np.int64(few[label[p]]), counts[start + p]
        number[i] += count
        for ch in range(c):
            if limbs == 1:
                sums[i, ch, 0] += np.int64(values[start + p, ch]) * count
            else:
                magnitude, shift, sign = parts(values[start + p, ch])
                add_times(flat, (i * c + ch) * limbs, magnitude, count, shift, sign)


@njit(nogil=True, cache=True)
def fits(row: Floats, size: int, itemsize: int) -> bool:
    """Whether the sums of some numbers of one channel, as float64, are exact in float64."""
    least, greatest, broken = np.empty(LANES), np.empty(LANES), np.empty(LANES)
    for q in range(LANES):
        least[q], greatest[q], broken[q] = np.inf, 0.0, 0.0
    for start in range(0, size, LANES):
        numbers = row[start : min(start + LANES, size)]
        for q in range(len(numbers)):
            x = abs(numbers[q])
            y = x if x > 0.0 else np.inf
            z = abs(x - np.rint(x))
            greatest[q] = x if x > greatest[q] else greatest[q]
            least[q] = y if y < least[q] else least[q]
            broken[q] = z if z > broken[q] else broken[q]
    for q in range(1, LANES):
        least[0] = min(least[q], least[0])
        greatest[0] = max(greatest[q], greatest[0])
        broken[0] = max(broken[q], broken[0])
    whole = broken[0] == 0.0 and greatest[0] <= MOST
    return whole or (itemsize == 4 and greatest[0] <= least[0] * WIDEST)


@njit(nogil=True, cache=True)
def deposit(part: float, flat: Ints, base: int, exponent: int) -> None:
    """Add a float64, a multiple of ``2**exponent``, to the limbs that begin at `base`."""
    magnitude, shift, sign = parts(part)
    shift -= 1074 + exponent
    if shift < 0:
        magnitude >>= np.uint64(-shift)
        shift = 0
    add(flat, base, magnitude, shift, sign)
