"""Codes of integer samples of at most 24 bits: compiled loops that write, count and look them up.

A code has the channels side by side, the first in the highest bits, each raised by an offset to be
unsigned: codes are ordered as the samples are, lexicographically.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkmeans.kmeans.compiled.jit import compiled
from chunkmeans.kmeans.samples import Ints, Values

Codes = NDArray[np.uint32]


@compiled
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


@compiled
def count_narrow(values: Values, offset: int, bits: int, counts: Ints) -> None:
    """Count integer samples of at most 16 bits, (n, 1) or (n, 2), by their codes as of `encode`."""
    n, c = values.shape
    if c == 1:
        for p in range(n):
            counts[np.uint32(np.int64(values[p, 0]) + offset)] += 1
    else:
        for p in range(n):
            code = (np.int64(values[p, 0]) + offset) << bits
            counts[np.uint32(code | (np.int64(values[p, 1]) + offset))] += 1


@compiled
def count_colours(
    values: NDArray[np.uint8], table: NDArray[np.uint8], full: NDArray[np.uint32]
) -> int:
    """Count samples of three channels of 8 bits, (n, 3), by their codes as of `encode`.

    ``table[code]`` has the count modulo 256: so small a table stays in the cache. Codes are
    written to `full` each time they have come another 256 times; returns how many were written.
    """
    written = 0
    for p in range(len(values)):
        code = (np.uint32(values[p, 0]) << np.uint32(16)) | (
            np.uint32(values[p, 1]) << np.uint32(8)
        )
        code |= np.uint32(values[p, 2])
        count = np.uint8(table[code] + np.uint8(1))
        table[code] = count
        if count == 0:
            full[written] = code
            written += 1
    return written


@compiled
def decode(codes: NDArray[np.uint32], offset: int, bits: int, values: Values) -> None:
    """Write the samples of codes, (n,) to (n, c): `encode` back."""
    n, c = values.shape
    mask = np.int64((1 << bits) - 1)
    for ch in range(c):
        shift = bits * (c - 1 - ch)
        for p in range(n):
            values[p, ch] = ((np.int64(codes[p]) >> shift) & mask) - offset


@compiled
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


@compiled
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


@compiled
def add_plane(
    a: NDArray[np.uint8], b: NDArray[np.uint8], carry: NDArray[np.uint8], total: NDArray[np.uint8]
) -> None:
    """Add the digits of two planes and what was carried, 0 or 1 each; leave what is carried on."""
    for i in range(len(a)):
        digits = np.uint16(a[i]) + np.uint16(b[i]) + np.uint16(carry[i])
        total[i] = np.uint8(digits & 255)
        carry[i] = np.uint8(digits >> 8)


@compiled
def add_digits(plane: NDArray[np.uint8], codes: Codes, rest: Ints) -> NDArray[np.bool_]:
    """Add the lowest digit of each rest to the plane of its code, and leave `rest` the others.

    Returns where there are any, (n,).
    """
    kept = np.empty(len(codes), np.bool_)
    for n in range(len(codes)):
        total = np.int64(plane[codes[n]]) + (rest[n] & 255)
        plane[codes[n]] = np.uint8(total & 255)
        rest[n] = (rest[n] >> 8) + (total >> 8)
        kept[n] = rest[n] > 0
    return kept


@compiled
def count_sorted(codes: Codes) -> tuple[Codes, Ints]:
    """Return the distinct codes of at most 24 bits, ascending, and how often each occurs.

    Sorts by the low half of the bits, then by the high half, which takes a seventh of what
    NumPy's sort of whole numbers does. Indices are unsigned: one that may be negative is slow.
    """
    n, half = len(codes), np.uint32(12)
    low, high = np.zeros(4097, np.uint32), np.zeros(4097, np.uint32)
    for p in range(n):
        low[(codes[p] & np.uint32(0xFFF)) + np.uint32(1)] += np.uint32(1)
        high[(codes[p] >> half) + np.uint32(1)] += np.uint32(1)
    for digit in range(4096):
        low[digit + 1] += low[digit]
        high[digit + 1] += high[digit]
    parted, ordered = np.empty(n, np.uint32), np.empty(n + 1, np.uint32)
    for p in range(n):
        digit = codes[p] & np.uint32(0xFFF)
        parted[low[digit]] = codes[p]
        low[digit] += np.uint32(1)
    for p in range(n):
        digit = parted[p] >> half
        ordered[high[digit]] = parted[p]
        high[digit] += np.uint32(1)
    ordered[n] = np.uint32(0xFFFFFFFF)  # no code
    distinct, ends, found = parted, np.empty(n, np.uint32), np.uint32(0)
    for p in range(n):  # no branch: whether a code is the last of its kind is a toss-up
        distinct[found], ends[found] = ordered[p], np.uint32(p + 1)
        found += np.uint32(ordered[p + 1] != ordered[p])
    counts = np.empty(found, np.int64)
    for i in range(found):
        counts[i] = np.int64(ends[i]) - (np.int64(ends[i - 1]) if i > 0 else 0)
    return distinct[:found].copy(), counts


@compiled
def write_merged(a: Codes, na: Ints, b: Codes, nb: Ints, codes: Codes, counts: Ints) -> int:
    """Write what two ascending lists make together; return how many codes there are."""
    i = j = n = 0
    while i < len(a) and j < len(b):  # no branch but this one: which list comes next is a toss-up
        x, y = a[i], b[j]
        first, second = x <= y, y <= x
        codes[n] = x if first else y
        counts[n] = (na[i] if first else 0) + (nb[j] if second else 0)
        i += 1 if first else 0
        j += 1 if second else 0
        n += 1
    for rest in range(i, len(a)):
        codes[n], counts[n] = a[rest], na[rest]
        n += 1
    for rest in range(j, len(b)):
        codes[n], counts[n] = b[rest], nb[rest]
        n += 1
    return n
