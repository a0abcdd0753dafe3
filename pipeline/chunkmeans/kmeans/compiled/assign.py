"""Compiled loops that assign samples to their nearest means: labels and distances.

All release the GIL. Canonical sample types are u1, u2, i2, i8, u8, f4 and f8 (see
`samples.canonical`).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkmeans.kmeans.compiled import calls
from chunkmeans.kmeans.compiled.blocks import BLOCK_SIZE, reach_of, workspace_for
from chunkmeans.kmeans.compiled.jit import compiled
from chunkmeans.kmeans.samples import Bytes, Floats, Ints


@calls.over_samples(3)
def assign(
    places: calls.Addresses, raw: Bytes, kind: int, means: Floats, weights: Floats,
    numbers: NDArray[np.uint16], scaled: bool, out: Bytes, width: int,
) -> None:  # fmt: skip
    """Write ``numbers[index of the nearest mean]`` of each sample, (n, c) and (k, c) to (n,).

    `out` is (n * width,), for numbers of 1 or 2 bytes.
    """
    steps = calls.steps_at(places)
    k, c = means.shape
    space, reach, every = workspace_for(c, k, kind), reach_of(means), np.arange(k).astype(np.int32)
    found = np.empty(k, np.uint16)
    for start in range(0, len(raw), BLOCK_SIZE):
        size = min(BLOCK_SIZE, len(raw) - start)
        left, transposed = calls.prune_block(
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
            calls.label_block(steps, size, means, weights, scaled, space.candidates, left, space)
            if width == 1:
                pick(found, space.label[:size], part)
            else:
                pick(found, space.label[:size], part.view(np.uint16))


@compiled
def pick(found: NDArray[np.uint16], label: Ints, out: NDArray[Any]) -> None:
    """Write ``found[label]``, (size,)."""
    for p in range(len(label)):
        out[p] = found[label[p]]


@calls.over_samples(2)
def nearest_distances(
    places: calls.Addresses, raw: Bytes, kind: int, means: Floats, weights: Floats, scaled: bool,
    out: Floats,
) -> None:  # fmt: skip
    """Write the squared distance of each sample to its nearest mean, (n, c) and (k, c) to (n,)."""
    steps = calls.steps_at(places)
    space = workspace_for(means.shape[1], 1, kind)
    for start in range(0, len(raw), BLOCK_SIZE):
        size = min(BLOCK_SIZE, len(raw) - start)
        steps.transpose(raw, kind, start, size, space.transposed, space.words)
        steps.measure(space.transposed, size, means, weights, scaled, space.scratch, space.label)
        out[start : start + size] = space.scratch[1, :size]


@calls.over_samples(2)
def list_far(
    places: calls.Addresses, raw: Bytes, kind: int, means: Floats, weights: Floats, scaled: bool,
    start: int, greatest: Floats, rows: Ints, distances: Floats,
) -> tuple[int, int]:  # fmt: skip
    """List the samples from `start` on that may be among the farthest, until `rows` is full.

    `greatest` (number,) has different squared distances, ascending: the greatest so far. As many
    samples at least are as far as the first of them, so what is nearer is not listed. Returns the
    row to go on from, and how many are listed.
    """
    steps, found = calls.steps_at(places), 0
    space = workspace_for(means.shape[1], 1, kind)
    for first in range(start, len(raw), BLOCK_SIZE):
        size = min(BLOCK_SIZE, len(raw) - first)
        steps.transpose(raw, kind, first, size, space.transposed, space.words)
        steps.measure(space.transposed, size, means, weights, scaled, space.scratch, space.label)
        for p in range(size):
            row, distance = first + p, space.scratch[1, p]
            if distance < greatest[0]:
                continue  # as nearly all samples do
            same = found > 0 and distance == distances[found - 1]
            if same and (raw[row] == raw[rows[found - 1]]).all():
                continue  # as saturated pixels are, of which there may be many
            if found == len(rows):
                return row, found
            rows[found], distances[found] = row, distance
            found += 1
            at = np.searchsorted(greatest, distance)
            if at == len(greatest) or greatest[at] > distance:
                greatest[: at - 1] = greatest[1:at]
                greatest[at - 1] = distance
    return len(raw), found
