"""Sums by nearest mean, and sums of squares: compiled loops over blocks of samples."""

import numpy as np
from numpy.typing import NDArray

from chunkmeans.kmeans.compiled.blocks import BLOCK, Floats, Ints, Room, Values, reach_of, room_for
from chunkmeans.kmeans.compiled.calls import Addresses, addresses, prune_block, steps_at
from chunkmeans.kmeans.compiled.groups import FEW, NONE, Limbs, parts_of, quantum_of, sum_where
from chunkmeans.kmeans.compiled.jit import compiled
from chunkmeans.kmeans.compiled.typed_bytes import Bytes, raw, read
from chunkmeans.kmeans.exact.accumulator import CARRY_EVERY, add, add_square, add_times, carry
from chunkmeans.kmeans.samples import ONCE


def add_nearest(
    values: Values, counts: Ints, means: Floats, weights: Floats, scaled: bool, number: Ints,
    sums: Limbs, exponent: int,
) -> None:  # fmt: skip
    """Add samples to the `number` (k,) and `sums` (k, c, limbs) of their nearest means (k, c).

    `counts` (n,) says how often each sample occurs; empty: once. One limb: int64 sums, which hold
    2**47 pixels of 16 bits; else limbs whose lowest bit is worth ``2**exponent``, not carried.
    """
    _add_nearest(
        addresses(),
        *raw(values),
        read(counts),
        read(means),
        read(weights),
        scaled,
        number,
        sums,
        exponent,
    )


@compiled
def _add_nearest(
    places: Addresses, raw: Bytes, kind: int, counts: Ints, means: Floats, weights: Floats,
    scaled: bool, number: Ints, sums: Limbs, exponent: int,
) -> None:  # fmt: skip
    steps = steps_at(places)
    k, c = means.shape
    room, reach, every = room_for(c, k, kind), reach_of(means), np.arange(k).astype(np.int32)
    flat = sums.reshape(-1)
    for start in range(0, len(raw), BLOCK):
        size = min(BLOCK, len(raw) - start)
        left, turned = prune_block(
            steps, raw, kind, start, size, means, weights, reach, every, room
        )
        if left == 1 and sums.shape[2] == 1 and counts.size == 0:
            i = room.few[0]
            number[i] += size
            steps.add_all(raw, kind, start, size, room.lanes, flat[i * c : i * c + c])
            continue
        if not turned:
            steps.turn(raw, kind, start, size, room.turned, room.words)
        if left > 1:
            steps.nearest(
                room.turned, size, means, weights, scaled, room.few, left, room.lo, room.hi,
                room.some, room.work, room.singles, room.scores, room.label,
            )  # fmt: skip
        steps.add_block(
            room.turned, room.words, kind, counts[start : start + size], size, left, room.few,
            room.label, room.some, room.work, number, sums, exponent,
        )  # fmt: skip


# -- squares, for standard deviations and the inertia ----------------------------------------------


def add_moments(
    values: Values, label: NDArray[np.uint16], number: Ints, sums: Limbs, squares: Limbs,
    sum_exponent: int, square_exponent: int,
) -> None:  # fmt: skip
    """Add samples (n, c) to the `number` (k,), `sums` and `squares` of the groups they are in.

    `label` (n,) is their group, from 0; empty: all are in one. Sums and squares (k, c, limbs) are
    as in `add_nearest`; int64 squares hold 2**31 samples of 16 bits.
    """
    _add_moments(
        addresses(),
        *raw(values),
        read(ONCE),
        read(label),
        number,
        sums,
        squares,
        sum_exponent,
        square_exponent,
    )


@compiled
def _add_moments(
    places: Addresses, raw: Bytes, kind: int, once: Ints, label: NDArray[np.uint16], number: Ints,
    sums: Limbs, squares: Limbs, sum_exponent: int, square_exponent: int,
) -> None:  # fmt: skip
    steps = steps_at(places)
    k = len(number)
    room = room_for(sums.shape[1], k, kind)
    place = np.full(k, -1)
    since = 0
    for start in range(0, len(raw), BLOCK):
        size = min(BLOCK, len(raw) - start)
        left = 1
        room.few[0] = 0
        if label.size > 0:
            left = gather(label[start : start + size], place, room)
        steps.turn(raw, kind, start, size, room.turned, room.words)
        steps.add_block(
            room.turned, room.words, kind, once, size, left, room.few, room.label, room.some,
            room.work, number, sums, sum_exponent,
        )  # fmt: skip
        add_squares(kind, size, left, room, squares, square_exponent)
        since += size
        if since >= CARRY_EVERY and squares.shape[2] > 1:
            carry(sums.reshape(-1, sums.shape[2]))
            carry(squares.reshape(-1, squares.shape[2]))
            since = 0


def add_weighted_moments(
    values: Values, counts: Ints, label: NDArray[np.uint16], number: Ints, sums: Limbs,
    squares: Limbs, sum_exponent: int,
) -> None:  # fmt: skip
    """Add samples that occur `counts` times each to the totals of their groups, `label` (n,)."""
    _add_weighted_moments(
        addresses(), *raw(values), read(counts), read(label), number, sums, squares, sum_exponent
    )


@compiled
def _add_weighted_moments(
    places: Addresses, raw: Bytes, kind: int, counts: Ints, label: NDArray[np.uint16],
    number: Ints, sums: Limbs, squares: Limbs, exponent: int,
) -> None:  # fmt: skip
    steps = steps_at(places)
    c, limbs, more = sums.shape[1], sums.shape[2], squares.shape[2]
    flat, flat_squares = sums.reshape(-1), squares.reshape(-1)
    room = room_for(c, 1, kind)
    since = 0
    for start in range(0, len(raw), BLOCK):
        size = min(BLOCK, len(raw) - start)
        steps.turn(raw, kind, start, size, room.turned, room.words)
        if limbs == 1 and len(number) == 1:
            add_to_one(room.turned, counts[start : start + size], number, flat, flat_squares)
            continue
        for p in range(size):
            i, count = np.int64(label[start + p]), counts[start + p]
            number[i] += count
            for ch in range(c):
                if limbs == 1:
                    x = np.int64(room.turned[ch, p])
                    flat[i * c + ch] += x * count
                    flat_squares[i * c + ch] += x * x * count
                else:
                    magnitude, shift, sign = parts_of(
                        room.turned, room.words, kind, ch, p, exponent
                    )
                    add_times(flat, (i * c + ch) * limbs, magnitude, count, shift, sign)
                    add_square(flat_squares, (i * c + ch) * more, magnitude, count, 2 * shift)
        since += size
        if since >= CARRY_EVERY and limbs > 1:
            carry(sums.reshape(-1, limbs))
            carry(squares.reshape(-1, more))
            since = 0


@compiled
def add_to_one(turned: Floats, counts: Ints, number: Ints, sums: Ints, squares: Ints) -> None:
    """Add a turned block of integers of at most 16 bits to the totals of one group, (c,)."""
    size = len(counts)
    number[0] += counts.sum()
    for ch in range(len(sums)):
        row, total, square = turned[ch, :size], 0, 0
        for p in range(size):
            x = np.int64(row[p])
            total += x * counts[p]
            square += x * x * counts[p]
        sums[ch] += total
        squares[ch] += square


@compiled
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


@compiled
def add_squares(kind: int, size: int, left: int, room: Room, squares: Limbs, exponent: int) -> None:
    """Add the squares of a block whose samples are labelled by `room`."""
    few, label = room.few, room.label[:size]
    c, limbs = squares.shape[1], squares.shape[2]
    flat = squares.reshape(-1)
    high, low, squared = np.empty(size, np.int64), np.empty(size, np.int64), room.work[0]
    for ch in range(c):
        row = room.turned[ch, :size]
        if limbs == 1:
            for p in range(size):
                squared[p] = row[p] * row[p]
            if left <= FEW:
                for j in range(left):
                    squares[few[j], ch, 0] += np.int64(sum_where(squared, label, j))
            else:
                for p in range(size):
                    squares[few[label[p]], ch, 0] += np.int64(squared[p])
            continue
        quantum = quantum_of(row, size, kind, room.work)
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
            magnitude, shift, _ = parts_of(room.turned, room.words, kind, ch, p, exponent // 2)
            add_square(flat, (few[label[p]] * c + ch) * limbs, magnitude, 1, 2 * shift)


@compiled
def products(a: Ints, b: Ints, label: Ints, j: int) -> int:
    """Return the sum of the products of those numbers whose label is `j`."""
    total = 0
    for p in range(len(label)):
        total += a[p] * b[p] if label[p] == j else 0
    return total
