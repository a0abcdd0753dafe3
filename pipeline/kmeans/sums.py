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
from pipeline.kmeans.exact import CARRY_EVERY, add, add_square, add_times, carry, parts

Limbs = NDArray[np.int64]

FEW = 4
"""Up to so many means, a pass over the block for each is faster than going where labels lead."""

MOST = 2.0**45
"""256 integers up to this have sums below 2**53."""

NONE = 9999
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
        elif quantum_of(room.turned[ch], size, values.itemsize) != NONE:
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
def quantum_of(row: Floats, size: int, itemsize: int) -> int:
    """Return q if some numbers of one channel are multiples of ``2**q`` up to ``2**45`` of it.

    Then their sums, as float64, are exact. `NONE` if there is no such q.
    """
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
    if broken[0] == 0.0 and greatest[0] <= MOST:
        return 0
    if itemsize == 4 and greatest[0] <= least[0] * WIDEST:
        _, shift, _ = parts(least[0])
        return int(max(shift - 1074 + 52 - 23, -149))
    return NONE


@njit(nogil=True, cache=True)
def deposit(part: float, flat: Ints, base: int, exponent: int) -> None:
    """Add a float64, a multiple of ``2**exponent``, to the limbs that begin at `base`."""
    magnitude, shift, sign = parts(part)
    shift -= 1074 + exponent
    if shift < 0:
        magnitude >>= np.uint64(-shift)
        shift = 0
    add(flat, base, magnitude, shift, sign)


# -- squares, for standard deviations and the inertia ----------------------------------------------


@njit(nogil=True, cache=True)
def add_moments(
    values: Values, label: NDArray[np.uint16], number: Ints, sums: Limbs, squares: Limbs,
    sum_exponent: int, square_exponent: int,
) -> None:  # fmt: skip
    """Add samples (n, c) to the `number` (k,), `sums` and `squares` of the groups they are in.

    `label` (n,) is their group, from 0; empty: all are in one. Sums and squares (k, c, limbs) are
    as in `add_nearest`; int64 squares hold 2**31 samples of 16 bits.
    """
    k = len(number)
    room, once = room_for(values, k), np.empty(0, np.int64)
    place = np.full(k, -1)
    since = 0
    for start in range(0, len(values), BLOCK):
        size = min(BLOCK, len(values) - start)
        left = 1
        room.few[0] = 0
        if label.size > 0:
            left = gather(label[start : start + size], place, room)
        turn(values, start, size, room.turned)
        add_block(values, once, start, size, left, room, number, sums, sum_exponent)
        add_squares(values, start, size, left, room, squares, square_exponent)
        since += size
        if since >= CARRY_EVERY and squares.shape[2] > 1:
            carry(sums.reshape(-1, sums.shape[2]))
            carry(squares.reshape(-1, squares.shape[2]))
            since = 0


@njit(nogil=True, cache=True)
def add_weighted_moments(
    values: Values, counts: Ints, label: NDArray[np.uint16], number: Ints, sums: Limbs,
    squares: Limbs,
) -> None:  # fmt: skip
    """Add samples that occur `counts` times each to the totals of their groups, `label` (n,)."""
    c, limbs, more = sums.shape[1], sums.shape[2], squares.shape[2]
    flat, flat_squares = sums.reshape(-1), squares.reshape(-1)
    for p in range(len(values)):
        i, count = np.int64(label[p]), counts[p]
        number[i] += count
        for ch in range(c):
            if limbs == 1:
                x = np.int64(values[p, ch])
                sums[i, ch, 0] += x * count
                squares[i, ch, 0] += x * x * count
            else:
                magnitude, shift, sign = parts(values[p, ch])
                add_times(flat, (i * c + ch) * limbs, magnitude, count, shift, sign)
                add_square(flat_squares, (i * c + ch) * more, magnitude, count, 2 * shift)
        if p % CARRY_EVERY == CARRY_EVERY - 1 and limbs > 1:
            carry(sums.reshape(-1, limbs))
            carry(squares.reshape(-1, more))


@njit(nogil=True, cache=True)
def gather(label: NDArray[np.uint16], place: Ints, room: Room) -> int:
    """List the groups of a block in `room.few`, and each sample's place among them."""
    left = 0
    for p in range(len(label)):
        i = label[p]
        if place[i] < 0:
            place[i] = left
            room.few[left] = i
            left += 1
        room.label[p] = place[i]
    for j in range(left):
        place[room.few[j]] = -1
    return left


@njit(nogil=True, cache=True)
def add_squares(
    values: Values, start: int, size: int, left: int, room: Room, squares: Limbs, exponent: int
) -> None:
    """Add the squares of a block whose samples are labelled by `room`."""
    few, label = room.few, room.label[:size]
    c, limbs = squares.shape[1], squares.shape[2]
    flat = squares.reshape(-1)
    high, low = np.empty(size, np.int64), np.empty(size, np.int64)
    for ch in range(c):
        row = room.turned[ch, :size]
        if limbs == 1:
            for p in range(size):
                room.work[p] = row[p] * row[p]
            if left <= FEW:
                for j in range(left):
                    squares[few[j], ch, 0] += np.int64(sum_where(room.work, label, j))
            else:
                for p in range(size):
                    squares[few[label[p]], ch, 0] += np.int64(room.work[p])
            continue
        quantum = quantum_of(row, size, values.itemsize)
        if quantum != NONE and left <= FEW:
            # of numbers up to 2**45 quanta: (2**23 high + low)**2, each product below 2**46
            unit = 2.0**-quantum
            for p in range(size):
                x = np.int64(abs(row[p]) * unit)
                high[p], low[p] = x >> 23, x & 0x7FFFFF
            shift = 2 * quantum - exponent
            for j in range(left):
                base = (few[j] * c + ch) * limbs
                add(flat, base, np.uint64(products(high, high, label, j)), shift + 46, 1)
                add(flat, base, np.uint64(products(high, low, label, j)), shift + 24, 1)
                add(flat, base, np.uint64(products(low, low, label, j)), shift, 1)
            continue
        for p in range(size):
            magnitude, shift, _ = parts(values[start + p, ch])
            add_square(flat, (few[label[p]] * c + ch) * limbs, magnitude, 1, 2 * shift)


@njit(nogil=True, cache=True)
def products(a: Ints, b: Ints, label: Ints, j: int) -> int:
    """Return the sum of the products of those numbers whose label is `j`."""
    total = 0
    for p in range(len(label)):
        total += a[p] * b[p] if label[p] == j else 0
    return total
