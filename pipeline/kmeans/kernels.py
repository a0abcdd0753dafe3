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
    room = room_for(values, 1)
    for start in range(0, len(values), BLOCK):
        bound(values, start, min(BLOCK, len(values) - start), room)
        for ch in range(len(lowest)):
            lowest[ch] = min(room.low[ch], lowest[ch])
            highest[ch] = max(room.high[ch], highest[ch])


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
def count_codes(
    values: Values, offset: int, bits: int, table: NDArray[np.uint8], full: NDArray[np.uint32]
) -> int:
    """Count integer samples of at most 24 bits by their codes as of `encode`.

    ``table[code]`` has the count modulo 256: so small a table stays in the cache. Codes are
    written to `full` each time they have come another 256 times; returns how many were written.
    """
    n, c = values.shape
    written = 0
    for p in range(n):
        if c == 3:
            code = (np.int64(values[p, 0]) + offset) << (2 * bits)
            code |= (np.int64(values[p, 1]) + offset) << bits
            code |= np.int64(values[p, 2]) + offset
        else:
            code = np.int64(0)
            for ch in range(c):
                code = (code << bits) | (np.int64(values[p, ch]) + offset)
        count = np.uint8(table[code] + np.uint8(1))
        table[code] = count
        if count == 0:
            full[written] = code
            written += 1
    return written


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
def sparse(
    dense: Ints, first: int, more: NDArray[np.uint32], rest: Ints, codes: NDArray[np.uint32],
    counts: Ints,
) -> int:  # fmt: skip
    """Write the codes that occur, ascending, and how often each does; return how many they are.

    The code `first` + i occurs as often as ``dense[i]`` says, and another time as often as `rest`
    says if it is in `more`. There is room for one more than occur: every code is written, and
    stays if it occurs, so that there is no branch to mistake.
    """
    n = listed = 0
    for i in range(len(dense)):
        code, count = first + i, dense[i]
        if listed < len(more) and more[listed] == code:
            count += rest[listed]
            listed += 1
        codes[n], counts[n] = code, count
        n += 1 if count > 0 else 0
    return n


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
