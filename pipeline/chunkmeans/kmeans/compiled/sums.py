"""Exact sums by nearest mean, their averages, and sums of squares: loops over blocks of samples."""

import numpy as np
from numpy.typing import NDArray

from chunkmeans.kmeans.compiled import calls, groups
from chunkmeans.kmeans.compiled.blocks import BLOCK_SIZE, Workspace, reach_of, workspace_for
from chunkmeans.kmeans.compiled.jit import compiled
from chunkmeans.kmeans.compiled.limbs import CARRY_EVERY, add, add_square, add_times, carry
from chunkmeans.kmeans.samples import Bytes, Floats, Ints, Limbs, Values


@calls.over_samples(3)
def add_nearest(
    places: calls.Addresses, raw: Bytes, kind: int, counts: Ints, means: Floats, weights: Floats,
    scaled: bool, number: Ints, sums: Limbs, exponent: int,
) -> None:  # fmt: skip
    """Add samples to the `number` (k,) and `sums` (k, c, limbs) of their nearest means (k, c).

    `counts` (n,) says how often each sample occurs; empty: once. One limb: int64 sums, which hold
    2**47 pixels of 16 bits; else limbs whose lowest bit is worth ``2**exponent``, not carried.
    """
    steps = calls.steps_at(places)
    k, c = means.shape
    space, reach, every = workspace_for(c, k, kind), reach_of(means), np.arange(k).astype(np.int32)
    flat = sums.reshape(-1)
    for start in range(0, len(raw), BLOCK_SIZE):
        size = min(BLOCK_SIZE, len(raw) - start)
        left, transposed = calls.prune_block(
            steps, raw, kind, start, size, means, weights, reach, every, space
        )
        if left == 1 and sums.shape[2] == 1 and counts.size == 0:
            # inside one group, as most blocks are: added as the numbers lie
            i = space.candidates[0]
            number[i] += size
            steps.add_all(raw, kind, start, size, space.lanes, flat[i * c : i * c + c])
            continue
        if not transposed:
            steps.transpose(raw, kind, start, size, space.transposed, space.words)
        if left > 1:
            calls.label_block(steps, size, means, weights, scaled, space.candidates, left, space)
        calls.sum_block(
            steps, kind, size, counts[start : start + size], space.candidates, left, number, sums,
            exponent, space,
        )  # fmt: skip


@compiled
def average_groups(totals: Values, counts: Ints, means: Floats, out: Floats) -> None:
    """Write the average of each group, (k, c); a group without samples keeps its mean."""
    k, c = means.shape
    for i in range(k):
        for ch in range(c):
            out[i, ch] = totals[i, ch] / counts[i] if counts[i] > 0 else means[i, ch]


# -- squares, for standard deviations and the inertia ----------------------------------------------


@calls.over_samples(2)
def add_moments(
    places: calls.Addresses, raw: Bytes, kind: int, once: Ints, label: NDArray[np.uint16],
    number: Ints, sums: Limbs, squares: Limbs, exponent: int,
) -> None:  # fmt: skip
    """Add samples (n, c) to the `number` (k,), `sums` and `squares` of the groups they are in.

    `once` is `ONCE`. `label` (n,) is their group, from 0; empty: all are in one. Sums and squares
    (k, c, limbs) are as in `add_nearest`, the lowest bit of squares worth ``2**(2 * exponent)``;
    int64 squares hold 2**31 samples of 16 bits.
    """
    steps = calls.steps_at(places)
    k = len(number)
    space = workspace_for(sums.shape[1], k, kind)
    place = np.full(k, -1)
    since = 0
    for start in range(0, len(raw), BLOCK_SIZE):
        size = min(BLOCK_SIZE, len(raw) - start)
        left = 1
        space.candidates[0] = 0
        if label.size > 0:
            left = list_groups(label[start : start + size], place, space)
        steps.transpose(raw, kind, start, size, space.transposed, space.words)
        calls.sum_block(
            steps, kind, size, once, space.candidates, left, number, sums, exponent, space
        )
        add_squares(kind, size, left, space, squares, 2 * exponent)
        since += size
        if since >= CARRY_EVERY and squares.shape[2] > 1:
            carry(sums.reshape(-1, sums.shape[2]))
            carry(squares.reshape(-1, squares.shape[2]))
            since = 0


@calls.over_samples(2)
def add_weighted_moments(
    places: calls.Addresses, raw: Bytes, kind: int, counts: Ints, label: NDArray[np.uint16],
    number: Ints, sums: Limbs, squares: Limbs, exponent: int,
) -> None:  # fmt: skip
    """Add samples that occur `counts` times each to the totals of their groups, `label` (n,)."""
    steps = calls.steps_at(places)
    c, limbs, more = sums.shape[1], sums.shape[2], squares.shape[2]
    flat, flat_squares = sums.reshape(-1), squares.reshape(-1)
    space = workspace_for(c, 1, kind)
    since = 0
    for start in range(0, len(raw), BLOCK_SIZE):
        size = min(BLOCK_SIZE, len(raw) - start)
        steps.transpose(raw, kind, start, size, space.transposed, space.words)
        if limbs == 1 and len(number) == 1:
            add_to_one(space.transposed, counts[start : start + size], number, flat, flat_squares)
            continue
        for p in range(size):
            i, count = np.int64(label[start + p]), counts[start + p]
            number[i] += count
            for ch in range(c):
                if limbs == 1:
                    x = np.int64(space.transposed[ch, p])
                    flat[i * c + ch] += x * count
                    flat_squares[i * c + ch] += x * x * count
                else:
                    magnitude, shift, sign = groups.number_parts(
                        space.transposed, space.words, kind, ch, p, exponent
                    )
                    add_times(flat, (i * c + ch) * limbs, magnitude, count, shift, sign)
                    add_square(flat_squares, (i * c + ch) * more, magnitude, count, 2 * shift)
        since += size
        if since >= CARRY_EVERY and limbs > 1:
            carry(sums.reshape(-1, limbs))
            carry(squares.reshape(-1, more))
            since = 0


@compiled
def add_to_one(transposed: Floats, counts: Ints, number: Ints, sums: Ints, squares: Ints) -> None:
    """Add a transposed block of integers of at most 16 bits to the totals of one group, (c,)."""
    size = len(counts)
    number[0] += counts.sum()
    for ch in range(len(sums)):
        row, total, square = transposed[ch, :size], 0, 0
        for p in range(size):
            x = np.int64(row[p])
            total += x * counts[p]
            square += x * x * counts[p]
        sums[ch] += total
        squares[ch] += square


@compiled
def list_groups(label: NDArray[np.uint16], place: Ints, space: Workspace) -> int:
    """List the groups of a block in `space.candidates`, and each sample's place among them."""
    left = 0
    for p in range(len(label)):
        i = label[p]
        if place[i] < 0:
            place[i] = left
            space.candidates[left] = i
            left += 1
        space.label[p] = place[i]
    for j in range(left):
        place[space.candidates[j]] = -1
    return left


@compiled
def add_squares(
    kind: int, size: int, left: int, space: Workspace, squares: Limbs, exponent: int
) -> None:
    """Add the squares of a block whose samples are labelled by `space`."""
    candidates, label = space.candidates, space.label[:size]
    c, limbs = squares.shape[1], squares.shape[2]
    flat = squares.reshape(-1)
    squared = space.scratch[0]
    high, low = np.empty(size, np.int64), np.empty(size, np.int64)
    for ch in range(c):
        row = space.transposed[ch, :size]
        if limbs == 1:
            for p in range(size):
                squared[p] = row[p] * row[p]
            if left <= groups.PASSES:
                for j in range(left):
                    squares[candidates[j], ch, 0] += np.int64(groups.sum_where(squared, label, j))
            else:
                for p in range(size):
                    squares[candidates[label[p]], ch, 0] += np.int64(squared[p])
            continue
        quantum = groups.quantum_of(row, size, kind, space.scratch)
        if quantum != groups.NO_QUANTUM and left <= groups.PASSES:
            # of numbers up to 2**45 quanta: (2**23 high + low)**2, each product below 2**46
            unit = 2.0**-quantum
            for p in range(size):
                x = np.int64(abs(row[p]) * unit)
                high[p], low[p] = x >> 23, x & 0x7FFFFF
            shift = 2 * quantum - exponent
            for j in range(left):
                base = (candidates[j] * c + ch) * limbs
                add(flat, base, np.uint64(products(high, high, label, j)), shift + 46, 1)
                add(flat, base, np.uint64(products(high, low, label, j)), shift + 24, 1)
                add(flat, base, np.uint64(products(low, low, label, j)), shift, 1)
            continue
        for p in range(size):
            magnitude, shift, _ = groups.number_parts(
                space.transposed, space.words, kind, ch, p, exponent // 2
            )
            add_square(flat, (candidates[label[p]] * c + ch) * limbs, magnitude, 1, 2 * shift)


@compiled
def products(a: Ints, b: Ints, label: Ints, j: int) -> int:
    """Return the sum of the products of those numbers whose label is `j`."""
    total = 0
    for p in range(len(label)):
        total += a[p] * b[p] if label[p] == j else 0
    return total
