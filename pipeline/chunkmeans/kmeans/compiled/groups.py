"""Blocks of samples added to the sums of the groups they are in, exactly.

Within a block sums are plain float64 where that loses nothing: if all numbers of a channel are
multiples of a quantum and 256 of the largest are at most 2**53 of it, no addition rounds. Where it
could, sample after sample goes into `limbs`. What a group has got from a block is
added to its sum: an int64 for samples of at most 16 bits, limbs for others.
"""

from typing import Any

import numpy as np
from numba import float64, int32, int64, uint8, void

from chunkmeans.kmeans.compiled.blocks import LANES
from chunkmeans.kmeans.compiled.jit import array, compiled, step
from chunkmeans.kmeans.compiled.limbs import add, add_times, parts, parts_from
from chunkmeans.kmeans.compiled.typed_bytes import F4, I8, U1, U2, U8
from chunkmeans.kmeans.samples import Bytes, Floats, Indices, Ints, Limbs, Values

PASSES = 4
"""Up to so many groups, a pass over the block for each is faster than going where labels lead."""

MOST_QUANTA = 2.0**45
"""256 integers up to this have sums below 2**53."""

NO_QUANTUM = 9999
"""Where `quantum_of` finds none: more than any exponent."""

WIDEST_RATIO = 2.0**21
"""256 float32 numbers, the largest up to this many times the least, have sums that a float64
holds: 24 bits each, 21 between them, 8 for their number."""


@step(
    void, array(float64, 2), array(int64, 2), int64, array(int64, read=True), int64, int64,
    array(int32), array(int64), array(float64, 2), array(float64, 2), array(int64),
    array(int64, 3), int64,
)  # fmt: skip
def add_block(
    transposed: Floats, words: Ints, kind: int, counts: Ints, size: int, left: int,
    candidates: Indices, label: Ints, part: Floats, scratch: Floats, number: Ints, sums: Limbs,
    exponent: int,
) -> None:  # fmt: skip
    """Add a block to the groups of `candidates` (k,) that `label` (BLOCK_SIZE,) says.

    To the first of them if one is `left`, whatever the labels. `counts` (size,) says how often
    each sample occurs; empty: once. `part` (k, c) and `scratch` (2, BLOCK_SIZE) are overwritten.
    """
    flat, c, limbs = sums.reshape(-1), sums.shape[1], sums.shape[2]
    if left == 1:
        label[:size] = 0
    if counts.size > 0:
        add_weighted(
            transposed, words, kind, counts, candidates, label, number, flat, limbs, exponent
        )
        return
    count_groups(label[:size], candidates, left, number)
    sum_groups(transposed, label[:size], left, part)
    for ch in range(c):
        if limbs == 1:
            for j in range(left):
                flat[candidates[j] * c + ch] += np.int64(part[j, ch])
        elif quantum_of(transposed[ch], size, kind, scratch) != NO_QUANTUM:
            for j in range(left):
                deposit(part[j, ch], flat, (candidates[j] * c + ch) * limbs, exponent)
        else:  # `part` is rounded here: sample after sample
            for p in range(size):
                magnitude, shift, sign = number_parts(transposed, words, kind, ch, p, exponent)
                add(flat, (candidates[label[p]] * c + ch) * limbs, magnitude, shift, sign)


@compiled
def count_groups(label: Ints, candidates: Indices, left: int, number: Ints) -> None:
    """Add how often each label occurs to the `number` (k,) of its candidate."""
    if left <= PASSES:
        for j in range(left):
            total = 0
            for p in range(len(label)):
                total += 1 if label[p] == j else 0
            number[candidates[j]] += total
    else:
        for p in range(len(label)):
            number[candidates[label[p]]] += 1


@compiled
def sum_groups(transposed: Floats, label: Ints, left: int, part: Floats) -> None:
    """Write the float64 sum of each channel for each of the first `left` labels, (k, c)."""
    c = len(transposed)
    for j in range(left):
        for ch in range(c):
            part[j, ch] = sum_where(transposed[ch], label, j) if left <= PASSES else 0.0
    if left > PASSES:
        for p in range(len(label)):
            for ch in range(c):
                part[label[p], ch] += transposed[ch, p]


@compiled
def number_parts(transposed: Floats, words: Ints, kind: int, ch: int, p: int, exponent: int) -> Any:
    """Magnitude, shift from `exponent` on, and sign of a number of the block."""
    if kind in (I8, U8):
        word = words[ch, p]
        if kind == I8 and word < 0:
            return np.uint64(0) - np.uint64(word), np.int64(0), np.int64(-1)
        return np.uint64(word), np.int64(0), np.int64(1)
    return parts_from(transposed[ch, p], exponent)


@compiled(fastmath={"reassoc"})  # where no addition rounds, any order is right
def sum_where(row: Floats, label: Ints, j: int) -> float:
    """Return the sum of the numbers whose label is `j`."""
    total = 0.0
    for p in range(len(label)):
        total += row[p] if label[p] == j else 0.0
    return total


@step(void, array(uint8, 2, read=True), int64, int64, int64, array(uint8), array(int64))
def add_all(raw: Bytes, kind: int, start: int, size: int, lanes: Bytes, sums: Ints) -> None:
    """Add a block of integers of at most 16 bits to the sums of its channels, (c,).

    `lanes` has 8 bytes for each of `LANES` numbers of a channel.
    """
    flat = raw[start : start + size].reshape(-1)
    if kind == U1:
        add_all_as(flat, lanes.view(np.int64), sums)
    elif kind == U2:
        add_all_as(flat.view(np.uint16), lanes.view(np.int64), sums)
    else:
        add_all_as(flat.view(np.int16), lanes.view(np.int64), sums)


@compiled
def add_all_as(flat: Values, lanes: Ints, sums: Ints) -> None:
    """Add samples that lie one after the other, (size * c,), to the sums of their channels."""
    c = len(sums)
    width = c * LANES
    for q in range(width):
        lanes[q] = 0
    whole = len(flat) // width * width
    for at in range(0, whole, width):
        rows = flat[at : at + width]
        for q in range(width):
            lanes[q] += np.int64(rows[q])
    for at in range(whole, len(flat)):
        lanes[at % c] += np.int64(flat[at])
    for q in range(width):
        sums[q % c] += lanes[q]


@compiled
def add_weighted(
    transposed: Floats, words: Ints, kind: int, counts: Ints, candidates: Indices, label: Ints,
    number: Ints, flat: Ints, limbs: int, exponent: int,
) -> None:  # fmt: skip
    """Add the samples of a block, which occur `counts` (size,) times each."""
    c = len(transposed)
    for p in range(len(counts)):
        i, count = np.int64(candidates[label[p]]), counts[p]
        number[i] += count
        for ch in range(c):
            if limbs == 1:
                flat[i * c + ch] += np.int64(transposed[ch, p]) * count
            else:
                magnitude, shift, sign = number_parts(transposed, words, kind, ch, p, exponent)
                add_times(flat, (i * c + ch) * limbs, magnitude, count, shift, sign)


@compiled
def quantum_of(row: Floats, size: int, kind: int, scratch: Floats) -> int:
    """Return q if some numbers of one channel are multiples of ``2**q`` up to ``2**45`` of it.

    Then their sums, as float64, are exact. `NO_QUANTUM` if there is no such q. `scratch`
    (2, BLOCK_SIZE) is overwritten.
    """
    least, greatest = scratch[0, :LANES], scratch[0, LANES : 2 * LANES]
    broken = scratch[1, :LANES]  # how far numbers are from integers
    for q in range(LANES):
        least[q], greatest[q], broken[q] = np.inf, 0.0, 0.0
    for start in range(0, size, LANES):
        numbers = row[start : min(start + LANES, size)]
        for q in range(len(numbers)):
            x = abs(numbers[q])
            y = x if x > 0.0 else np.inf  # zero is a multiple of every quantum
            z = abs(x - np.rint(x))
            greatest[q] = x if x > greatest[q] else greatest[q]
            least[q] = y if y < least[q] else least[q]
            broken[q] = z if z > broken[q] else broken[q]
    for q in range(1, LANES):
        least[0] = min(least[q], least[0])
        greatest[0] = max(greatest[q], greatest[0])
        broken[0] = max(broken[q], broken[0])
    if broken[0] == 0.0 and greatest[0] <= MOST_QUANTA:
        return 0
    if kind == F4 and greatest[0] <= least[0] * WIDEST_RATIO:
        _, shift, _ = parts(least[0])
        return int(max(shift - 1074 + 52 - 23, -149))
    return NO_QUANTUM


@compiled
def deposit(part: float, flat: Ints, base: int, exponent: int) -> None:
    """Add a float64, a multiple of ``2**exponent``, to the limbs that begin at `base`."""
    magnitude, shift, sign = parts(part)
    shift -= 1074 + exponent
    if magnitude == 0:
        return
    if shift < 0:
        magnitude >>= np.uint64(-shift)
        shift = 0
    add(flat, base, magnitude, shift, sign)
