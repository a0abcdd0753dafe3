"""The compiled loops over samples. All release the GIL; none of them rounds a sum.

Canonical sample types are u1, u2, i2, i8, u8, f4 and f8 (see `samples.canonical`).
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pipeline.kmeans.blocks import (
    BLOCK,
    Floats,
    Ints,
    Values,
    bound,
    decide,
    nearest_block,
    prune,
    reach_of,
    room_for,
)
from pipeline.kmeans.exact import CARRY_EVERY, add_square, add_times, carry, parts


@njit(nogil=True, cache=True)
def assign(
    values: Values, means: Floats, weights: Floats, scaled: bool, numbers: NDArray[Any],
    out: NDArray[Any],
) -> None:  # fmt: skip
    """Write ``numbers[index of the nearest mean]`` of each sample, (n, c) and (k, c) to (n,)."""
    k = len(means)
    room, reach, every = room_for(values, k), reach_of(means), np.arange(k).astype(np.int32)
    found = np.empty(k, out.dtype)
    for start in range(0, len(values), BLOCK):
        size = min(BLOCK, len(values) - start)
        bound(values, start, size, room)
        left = prune(room.lo, room.hi, means, weights, reach, every, k, room.few)
        for j in range(left):
            found[j] = numbers[room.few[j]]
        if left == 1:
            out[start : start + size] = found[0]
            continue
        decide(values, start, size, means, weights, scaled, left, room)
        for p in range(size):
            out[start + p] = found[room.label[p]]


@njit(nogil=True, cache=True)
def add_small(
    values: Values, counts: Ints, labels: NDArray[np.uint16], number: Ints, sums: Ints
) -> None:
    """Add samples of at most 16 bits to their groups' `number` (k,) and `sums` (k, c).

    `counts` (n,) says how often each sample occurs; empty: once. int64 holds 2**47 pixels.
    """
    n, c = values.shape
    weighted = counts.size > 0
    for p in range(n):
        i = labels[p]
        count = counts[p] if weighted else 1
        number[i] += count
        for ch in range(c):
            sums[i, ch] += np.int64(values[p, ch]) * count


@njit(nogil=True, cache=True)
def add_small_squares(
    values: Values, counts: Ints, labels: NDArray[np.uint16], squares: Ints
) -> None:
    """Add the squares of samples of at most 16 bits to their groups, (k, c).

    `counts` as in `add_small`; their sum times the greatest square has to stay below 2**63.
    """
    n, c = values.shape
    weighted = counts.size > 0
    for p in range(n):
        i = labels[p]
        count = counts[p] if weighted else 1
        for ch in range(c):
            x = np.int64(values[p, ch])
            squares[i, ch] += x * x * count


@njit(nogil=True, cache=True)
def add_wide(
    values: Values, counts: Ints, labels: NDArray[np.uint16], number: Ints, sums: Ints
) -> None:
    """Add samples of any type to their groups' `number` (k,) and limbs of `sums` (k, c, limbs)."""
    n, c = values.shape
    flat, limbs = sums.reshape(-1), sums.shape[2]
    weighted = counts.size > 0
    since = 0
    for p in range(n):
        i = np.int64(labels[p])
        count = counts[p] if weighted else 1
        number[i] += count
        for ch in range(c):
            magnitude, shift, sign = parts(values[p, ch])
            add_times(flat, (i * c + ch) * limbs, magnitude, count, shift, sign)
        since += 1
        if since == CARRY_EVERY:
            carry(sums.reshape(-1, sums.shape[2]))
            since = 0


@njit(nogil=True, cache=True)
def add_squares(values: Values, counts: Ints, labels: NDArray[np.uint16], squares: Ints) -> None:
    """Add the squares of samples of any type to the limbs of their groups, (k, c, limbs)."""
    n, c = values.shape
    flat, limbs = squares.reshape(-1), squares.shape[2]
    weighted = counts.size > 0
    since = 0
    for p in range(n):
        i = np.int64(labels[p])
        count = counts[p] if weighted else 1
        for ch in range(c):
            magnitude, shift, _ = parts(values[p, ch])
            add_square(flat, (i * c + ch) * limbs, magnitude, count, 2 * shift)
        since += 1
        if since == CARRY_EVERY:
            carry(squares.reshape(-1, squares.shape[2]))
            since = 0


@njit(nogil=True, cache=True)
def farthest(
    values: Values, means: Floats, weights: Floats, scaled: bool, number: int
) -> tuple[Ints, Floats]:
    """Rows and squared distances of the `number` distinct samples farthest from their own mean.

    Greatest distance first; a tie goes to the lexicographically smaller sample.
    """
    n, c = values.shape
    rows = np.empty(number, np.int64)
    far = np.empty(number, np.float64)
    found = 0
    turned = np.empty((c, BLOCK), np.float64)
    work, best = np.empty(BLOCK, np.float64), np.empty(BLOCK, np.float64)
    label = np.empty(BLOCK, np.int64)
    for start in range(0, n, BLOCK):
        size = min(BLOCK, n - start)
        for p in range(size):
            for ch in range(c):
                turned[ch, p] = values[start + p, ch]
        nearest_block(turned, size, means, weights, scaled, work, best, label)
        for p in range(size):
            d, row = best[p], start + p
            if found == number and d < far[found - 1]:
                continue
            at, known = found, False
            while at > 0:
                if d < far[at - 1]:
                    break
                if d == far[at - 1]:
                    order = compare(values, row, rows[at - 1])
                    if order == 0:
                        known = True
                        break
                    if order > 0:
                        break
                at -= 1
            if known or at == number:
                continue
            last = min(found, number - 1)
            for j in range(last, at, -1):
                rows[j], far[j] = rows[j - 1], far[j - 1]
            rows[at], far[at] = row, d
            found = min(found + 1, number)
    return rows[:found], far[:found]


@njit(nogil=True, cache=True)
def compare(values: Values, a: int, b: int) -> int:
    """Lexicographic order of two rows: -1, 0 or 1."""
    for ch in range(values.shape[1]):
        if values[a, ch] < values[b, ch]:
            return -1
        if values[a, ch] > values[b, ch]:
            return 1
    return 0


@njit(nogil=True, cache=True)
def squared_distances(
    values: Values, mean: Floats, weights: Floats, scaled: bool, out: Floats
) -> None:
    """Write the squared distance of each sample to one mean, (n, c) and (c,) to (n,)."""
    n, c = values.shape
    for p in range(n):
        d = 0.0
        for ch in range(c):
            t = np.float64(values[p, ch]) - mean[ch]
            if scaled:
                t *= weights[ch]
            d += t * t
        out[p] = d


@njit(nogil=True, cache=True)
def widen(values: Values, lowest: Values, highest: Values) -> None:
    """Widen the range of each channel, (c,) and (c,), to that of the samples, (n, c)."""
    n, c = values.shape
    for p in range(n):
        for ch in range(c):
            x = values[p, ch]
            if x < lowest[ch]:
                lowest[ch] = x
            if x > highest[ch]:
                highest[ch] = x


@njit(nogil=True, cache=True)
def encode(values: Values, offset: int, bits: int, codes: NDArray[np.uint32]) -> None:
    """Write the codes of integer samples of at most 24 bits, (n, c) to (n,).

    A code has the channels side by side, the first in the highest bits, each raised by `offset`
    to be unsigned: codes are ordered as the samples are, lexicographically.
    """
    n, c = values.shape
    for p in range(n):
        code = np.int64(0)
        for ch in range(c):
            code = (code << bits) | (np.int64(values[p, ch]) + offset)
        codes[p] = code


@njit(nogil=True, cache=True)
def count_codes(values: Values, offset: int, bits: int, table: NDArray[np.uint32]) -> None:
    """Count integer samples of at most 24 bits: ``table[code] += 1``, codes as of `encode`."""
    n, c = values.shape
    if c == 1:
        for p in range(n):
            table[np.int64(values[p, 0]) + offset] += np.uint32(1)
    elif c == 3:
        for p in range(n):
            code = (np.int64(values[p, 0]) + offset) << (2 * bits)
            code |= (np.int64(values[p, 1]) + offset) << bits
            code |= np.int64(values[p, 2]) + offset
            table[code] += np.uint32(1)
    else:
        for p in range(n):
            code = np.int64(0)
            for ch in range(c):
                code = (code << bits) | (np.int64(values[p, ch]) + offset)
            table[code] += np.uint32(1)


@njit(nogil=True, cache=True)
def decode(codes: NDArray[np.uint32], offset: int, bits: int, values: Values) -> None:
    """Write the samples of codes, (n,) to (n, c): `encode` back."""
    n, c = values.shape
    mask = np.int64((1 << bits) - 1)
    for ch in range(c):
        shift = bits * (c - 1 - ch)
        for p in range(n):
            values[p, ch] = ((np.int64(codes[p]) >> shift) & mask) - offset


@njit(nogil=True, cache=True)
def widen_by_codes(
    codes: NDArray[np.uint32], offset: int, bits: int, lowest: Values, highest: Values
) -> None:
    """Widen the range of each channel, (c,) and (c,), to that of the samples of codes, (n,)."""
    c = len(lowest)
    mask = np.int64((1 << bits) - 1)
    for ch in range(c):
        shift = bits * (c - 1 - ch)
        low, high = np.int64(lowest[ch]), np.int64(highest[ch])
        for p in range(len(codes)):
            x = ((np.int64(codes[p]) >> shift) & mask) - offset
            low, high = min(x, low), max(x, high)
        lowest[ch], highest[ch] = low, high


@njit(nogil=True, cache=True)
def sparse(table: NDArray[np.uint32]) -> tuple[NDArray[np.uint32], Ints]:
    """Return the codes that occur, ascending, and how often each does."""
    size = 0
    for code in range(len(table)):
        size += 1 if table[code] > 0 else 0
    codes, counts = np.empty(size + 1, np.uint32), np.empty(size + 1, np.int64)
    n = 0
    for code in range(len(table)):  # written in any case, kept if it occurs: no branch to mistake
        codes[n], counts[n] = code, table[code]
        n += 1 if table[code] > 0 else 0
    return codes[:n], counts[:n]


@njit(nogil=True, cache=True)
def look_up(values: Values, offset: int, bits: int, table: NDArray[Any], out: NDArray[Any]) -> None:
    """Write what `table` has for the code of each sample, (n, c) to (n,); codes as of `encode`."""
    n, c = values.shape
    if c == 1:
        for p in range(n):
            out[p] = table[np.int64(values[p, 0]) + offset]
    elif c == 3:
        for p in range(n):
            code = (np.int64(values[p, 0]) + offset) << (2 * bits)
            code |= (np.int64(values[p, 1]) + offset) << bits
            code |= np.int64(values[p, 2]) + offset
            out[p] = table[code]
    else:
        for p in range(n):
            code = np.int64(0)
            for ch in range(c):
                code = (code << bits) | (np.int64(values[p, ch]) + offset)
            out[p] = table[code]
