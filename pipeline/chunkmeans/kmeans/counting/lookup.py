"""The label of every possible vector of at most 24 bits: a pixel is labelled by looking it up."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkmeans.kmeans.compiled.blocks import BLOCK_SIZE, reach_of, workspace_for
from chunkmeans.kmeans.compiled.calls import Addresses, addresses, label_block, steps_at
from chunkmeans.kmeans.compiled.jit import compiled
from chunkmeans.kmeans.compiled.typed_bytes import F8, read_only
from chunkmeans.kmeans.counting.codes import decode
from chunkmeans.kmeans.counting.colours import fits, offset
from chunkmeans.kmeans.metric import Metric
from chunkmeans.kmeans.samples import Floats

EDGE, DEPTH = 4, 16
"""Reds and greens, and blues, of a box of colours: a block whose candidates are found together."""


def look_up_table(
    means: Floats, metric: Metric, numbers: NDArray[Any], dtype: np.dtype[Any]
) -> NDArray[Any]:
    """Return ``numbers[index of the nearest mean]`` of every vector, by its code.

    Parameters
    ----------
    means
        (k, c).
    metric
        How far vectors are apart.
    numbers
        What to write for each mean, (k,).
    dtype
        Of the vectors' numbers; `fits` holds of it and c channels.
    """
    c = means.shape[1]
    if not fits(dtype, c):
        raise ValueError(f"{c} channels of {dtype} have more than 24 bits")
    table = np.empty(2 ** (8 * dtype.itemsize * c), numbers.dtype)
    if c == 3:
        paint(
            addresses(), read_only(means), read_only(metric.weights), metric.scaled,
            read_only(numbers), table,
        )  # fmt: skip
        return table
    values = np.empty((len(table), c), dtype)
    decode(np.arange(len(table), dtype=np.uint32), offset(dtype), 8 * dtype.itemsize, values)
    metric.labels(values, means, numbers, table)
    return table


@compiled
def paint(
    places: Addresses, means: Floats, weights: Floats, scaled: bool, numbers: NDArray[Any],
    table: NDArray[Any],
) -> None:  # fmt: skip
    """Write the table of three channels of 8 bits, box by box of colours."""
    steps = steps_at(places)
    k = len(means)
    space, reach, every = workspace_for(3, k, F8), reach_of(means), np.arange(k).astype(np.int32)
    outer = np.empty(k, np.int32)
    for column in range((256 // EDGE) ** 2):
        r, g = column // (256 // EDGE) * EDGE, column % (256 // EDGE) * EDGE
        space.lo[0], space.lo[1], space.lo[2] = r, g, 0
        space.hi[0], space.hi[1], space.hi[2] = r + EDGE - 1, g + EDGE - 1, 255
        among = steps.prune(space.lo, space.hi, means, weights, reach, every, k, outer)
        for b in range(0, 256, DEPTH):
            space.lo[2], space.hi[2] = b, b + DEPTH - 1
            left = steps.prune(
                space.lo, space.hi, means, weights, reach, outer, among, space.candidates
            )
            if left > 1:
                list_box(r, g, b, space.transposed)
                label_block(
                    steps, BLOCK_SIZE, means, weights, scaled, space.candidates, left, space
                )
            for row in range(EDGE * EDGE):
                code = ((r + row // EDGE) << 16) | ((g + row % EDGE) << 8) | b
                if left == 1:
                    table[code : code + DEPTH] = numbers[space.candidates[0]]
                else:
                    for p in range(DEPTH):
                        label = space.label[row * DEPTH + p]
                        table[code + p] = numbers[space.candidates[label]]


@compiled
def list_box(r: int, g: int, b: int, transposed: Floats) -> None:
    """Write the colours of a box, a block with channels apart."""
    for p in range(BLOCK_SIZE):
        transposed[0, p] = r + p // (EDGE * DEPTH)
        transposed[1, p] = g + p // DEPTH % EDGE
        transposed[2, p] = b + p % DEPTH
