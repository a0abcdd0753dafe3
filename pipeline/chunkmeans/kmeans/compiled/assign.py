"""The compiled loops over samples. All release the GIL; none of them rounds a sum.

Canonical sample types are u1, u2, i2, i8, u8, f4 and f8 (see `samples.canonical`).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkmeans.kmeans.compiled.blocks import BLOCK, Floats, Ints, Values, reach_of, room_for
from chunkmeans.kmeans.compiled.calls import Addresses, addresses, prune_block, steps_at
from chunkmeans.kmeans.compiled.jit import compiled
from chunkmeans.kmeans.compiled.typed_bytes import F4, F8, I2, I8, U1, U2, Bytes, raw, read


def assign(
    values: Values, means: Floats, weights: Floats, scaled: bool, numbers: NDArray[Any],
    out: NDArray[Any],
) -> None:  # fmt: skip
    """Write ``numbers[index of the nearest mean]`` of each sample, (n, c) and (k, c) to (n,).

    `out` is of 8 or of 16 bits.
    """
    _assign(
        addresses(), *raw(values), read(means), read(weights), scaled,
        read(numbers.astype(np.uint16)), out.view(np.uint8), out.itemsize,
    )  # fmt: skip


@compiled
def _assign(
    places: Addresses, raw: Bytes, kind: int, means: Floats, weights: Floats, scaled: bool,
    numbers: NDArray[np.uint16], out: Bytes, width: int,
) -> None:  # fmt: skip
    steps = steps_at(places)
    k, c = means.shape
    room, reach, every = room_for(c, k, kind), reach_of(means), np.arange(k).astype(np.int32)
    found = np.empty(k, np.uint16)
    for start in range(0, len(raw), BLOCK):
        size = min(BLOCK, len(raw) - start)
        left, turned = prune_block(
            steps, raw, kind, start, size, means, weights, reach, every, room
        )
        for j in range(left):
            found[j] = numbers[room.few[j]]
        part = out[start * width : (start + size) * width]
        if left == 1 and width == 1:
            part[:] = np.uint8(found[0])
        elif left == 1:
            part.view(np.uint16)[:] = found[0]
        else:
            if not turned:
                steps.turn(raw, kind, start, size, room.turned, room.words)
            steps.nearest(
                room.turned, size, means, weights, scaled, room.few, left, room.lo, room.hi,
                room.some, room.work, room.singles, room.scores, room.label,
            )  # fmt: skip
            if width == 1:
                pick(found, room.label[:size], part)
            else:
                pick(found, room.label[:size], part.view(np.uint16))


@compiled
def pick(found: NDArray[np.uint16], label: Ints, out: NDArray[Any]) -> None:
    """Write ``found[label]``, (size,)."""
    for p in range(len(label)):
        out[p] = found[label[p]]


def farthest(
    values: Values, means: Floats, weights: Floats, scaled: bool, number: int
) -> tuple[Ints, Floats]:
    """Rows and squared distances of the `number` distinct samples farthest from their own mean.

    Greatest distance first; a tie goes to the lexicographically smaller sample.
    """
    rows, far = np.empty(number, np.int64), np.empty(number)
    found = _farthest(addresses(), *raw(values), read(means), read(weights), scaled, rows, far)
    return rows[:found], far[:found]


@compiled
def _farthest(
    places: Addresses,
    raw: Bytes,
    kind: int,
    means: Floats,
    weights: Floats,
    scaled: bool,
    rows: Ints,
    far: Floats,
) -> int:
    steps = steps_at(places)
    found, number = 0, len(rows)
    room = room_for(means.shape[1], 1, kind)
    for start in range(0, len(raw), BLOCK):
        size = min(BLOCK, len(raw) - start)
        steps.turn(raw, kind, start, size, room.turned, room.words)
        steps.distances(room.turned, size, means, weights, scaled, room.work, room.label)
        for p in range(size):
            d, row = room.work[1, p], start + p
            if found == number and d < far[found - 1]:
                continue
            at, known = found, False
            while at > 0:
                if d < far[at - 1]:
                    break
                if d == far[at - 1]:
                    order = compare(raw, kind, row, rows[at - 1])
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
    return found


@compiled
def compare(raw: Bytes, kind: int, a: int, b: int) -> Any:
    """Lexicographic order of two rows: -1, 0 or 1."""
    one, other = raw[a], raw[b]
    if kind == U1:
        return compare_as(one, other)
    if kind == U2:
        return compare_as(one.view(np.uint16), other.view(np.uint16))
    if kind == I2:
        return compare_as(one.view(np.int16), other.view(np.int16))
    if kind == I8:
        return compare_as(one.view(np.int64), other.view(np.int64))
    if kind == F4:
        return compare_as(one.view(np.float32), other.view(np.float32))
    if kind == F8:
        return compare_as(one.view(np.float64), other.view(np.float64))
    return compare_as(one.view(np.uint64), other.view(np.uint64))


@compiled
def compare_as(one: Values, other: Values) -> int:
    """Lexicographic order of two samples, (c,)."""
    for ch in range(len(one)):
        if one[ch] < other[ch]:
            return -1
        if one[ch] > other[ch]:
            return 1
    return 0


def squared_distances(
    values: Values, mean: Floats, weights: Floats, scaled: bool, out: Floats
) -> None:
    """Write the squared distance of each sample to one mean, (n, c) and (c,) to (n,)."""
    _squared_distances(addresses(), *raw(values), read(mean[None]), read(weights), scaled, out)


@compiled
def _squared_distances(
    places: Addresses,
    raw: Bytes,
    kind: int,
    means: Floats,
    weights: Floats,
    scaled: bool,
    out: Floats,
) -> None:
    steps = steps_at(places)
    room = room_for(means.shape[1], 1, kind)
    for start in range(0, len(raw), BLOCK):
        size = min(BLOCK, len(raw) - start)
        steps.turn(raw, kind, start, size, room.turned, room.words)
        steps.distances(room.turned, size, means, weights, scaled, room.work, room.label)
        out[start : start + size] = room.work[1, :size]


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
