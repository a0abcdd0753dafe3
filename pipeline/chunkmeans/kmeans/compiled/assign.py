"""Compiled loops that assign samples to their nearest means: labels, distances, the farthest.

All release the GIL. Canonical sample types are u1, u2, i2, i8, u8, f4 and f8 (see
`samples.canonical`).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkmeans.kmeans.compiled.blocks import BLOCK_SIZE, reach_of, workspace_for
from chunkmeans.kmeans.compiled.calls import (
    Addresses,
    addresses,
    label_block,
    prune_block,
    steps_at,
)
from chunkmeans.kmeans.compiled.jit import compiled
from chunkmeans.kmeans.compiled.typed_bytes import F4, F8, I2, I8, U1, U2, as_bytes, read_only
from chunkmeans.kmeans.samples import Bytes, Floats, Ints, Values


def assign(
    values: Values, means: Floats, weights: Floats, scaled: bool, numbers: NDArray[Any],
    out: NDArray[Any],
) -> None:  # fmt: skip
    """Write ``numbers[index of the nearest mean]`` of each sample, (n, c) and (k, c) to (n,).

    `out` is of 8 or of 16 bits.
    """
    _assign(
        addresses(), *as_bytes(values), read_only(means), read_only(weights), scaled,
        read_only(numbers.astype(np.uint16)), out.view(np.uint8), out.itemsize,
    )  # fmt: skip


@compiled
def _assign(
    places: Addresses, raw: Bytes, kind: int, means: Floats, weights: Floats, scaled: bool,
    numbers: NDArray[np.uint16], out: Bytes, width: int,
) -> None:  # fmt: skip
    steps = steps_at(places)
    k, c = means.shape
    space, reach, every = workspace_for(c, k, kind), reach_of(means), np.arange(k).astype(np.int32)
    found = np.empty(k, np.uint16)
    for start in range(0, len(raw), BLOCK_SIZE):
        size = min(BLOCK_SIZE, len(raw) - start)
        left, transposed = prune_block(
            steps, raw, kind, start, size, means, weights, reach, every, space
        )
        for j in range(left):
            found[j] = numbers[space.candidates[j]]
        part = out[start * width : (start + size) * width]
        if left == 1 and width == 1:
            part[:] = np.uint8(found[0])
        elif left == 1:
            part.view(np.uint16)[:] = found[0]
        else:
            if not transposed:
                steps.transpose(raw, kind, start, size, space.transposed, space.words)
            label_block(steps, size, means, weights, scaled, space.candidates, left, space)
            if width == 1:
                pick(found, space.label[:size], part)
            else:
                pick(found, space.label[:size], part.view(np.uint16))


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
    found = _farthest(
        addresses(), *as_bytes(values), read_only(means), read_only(weights), scaled, rows, far
    )
    return rows[:found], far[:found]


@compiled
def _farthest(
    places: Addresses, raw: Bytes, kind: int, means: Floats, weights: Floats, scaled: bool,
    rows: Ints, far: Floats,
) -> int:  # fmt: skip
    steps = steps_at(places)
    found, number = 0, len(rows)
    space = workspace_for(means.shape[1], 1, kind)
    for start in range(0, len(raw), BLOCK_SIZE):
        size = min(BLOCK_SIZE, len(raw) - start)
        steps.transpose(raw, kind, start, size, space.transposed, space.words)
        steps.measure(space.transposed, size, means, weights, scaled, space.scratch, space.label)
        for p in range(size):
            d, row = space.scratch[1, p], start + p
            if found == number and d < far[found - 1]:
                continue  # as nearly all samples do
            at = insertion(raw, kind, row, d, rows, far, found)
            if at < 0 or at == number:
                continue
            for j in range(min(found, number - 1), at, -1):
                rows[j], far[j] = rows[j - 1], far[j - 1]
            rows[at], far[at] = row, d
            found = min(found + 1, number)
    return found


@compiled
def insertion(
    raw: Bytes, kind: int, row: int, distance: float, rows: Ints, far: Floats, found: int
) -> int:
    """Return where a row belongs among the `found` farthest; -1 if an equal sample is there."""
    at = found
    while at > 0 and distance >= far[at - 1]:
        if distance == far[at - 1]:
            order = compare(raw, kind, row, rows[at - 1])
            if order == 0:
                return -1
            if order > 0:
                break
        at -= 1
    return at


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
    means = read_only(mean[None])
    _squared_distances(addresses(), *as_bytes(values), means, read_only(weights), scaled, out)


@compiled
def _squared_distances(
    places: Addresses, raw: Bytes, kind: int, means: Floats, weights: Floats, scaled: bool,
    out: Floats,
) -> None:  # fmt: skip
    steps = steps_at(places)
    space = workspace_for(means.shape[1], 1, kind)
    for start in range(0, len(raw), BLOCK_SIZE):
        size = min(BLOCK_SIZE, len(raw) - start)
        steps.transpose(raw, kind, start, size, space.transposed, space.words)
        steps.measure(space.transposed, size, means, weights, scaled, space.scratch, space.label)
        out[start : start + size] = space.scratch[1, :size]
