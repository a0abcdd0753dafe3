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

CUBE, EDGE, DEPTH = 16, 8, 4
"""Edge of a cube of colours; reds and greens, and blues, of a box of it, which is a block. As even
as may be: of many means fewer are near to a short box than to a long one."""


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
            read_only(numbers), table.reshape(256, 256, 256),
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
    """Write the table of three channels of 8 bits, (256, 256, 256), cube by cube of colours."""
    steps = steps_at(places)
    k = len(means)
    space, reach, every = workspace_for(3, k, F8), reach_of(means), np.arange(k).astype(np.int32)
    lo, hi, outer = space.lo, space.hi, np.empty(k, np.int32)
    for red, green, blue in np.ndindex(256 // CUBE, 256 // CUBE, 256 // CUBE):
        r, g, b = CUBE * red, CUBE * green, CUBE * blue
        lo[0], lo[1], lo[2] = r, g, b
        hi[0], hi[1], hi[2] = r + CUBE - 1, g + CUBE - 1, b + CUBE - 1
        among = steps.prune(lo, hi, means, weights, reach, every, k, outer)
        cube = table[r : r + CUBE, g : g + CUBE, b : b + CUBE]
        if among == 1:
            cube[:] = numbers[outer[0]]
            continue
        for x, y, z in np.ndindex(CUBE // EDGE, CUBE // EDGE, CUBE // DEPTH):
            x, y, z = EDGE * x, EDGE * y, DEPTH * z
            lo[0], lo[1], lo[2] = r + x, g + y, b + z
            hi[0], hi[1], hi[2] = r + x + EDGE - 1, g + y + EDGE - 1, b + z + DEPTH - 1
            left = steps.prune(lo, hi, means, weights, reach, outer, among, space.candidates)
            box = cube[x : x + EDGE, y : y + EDGE, z : z + DEPTH]
            if left == 1:
                box[:] = numbers[space.candidates[0]]
                continue
            list_box(lo, space.transposed)
            label_block(steps, BLOCK_SIZE, means, weights, scaled, space.candidates, left, space)
            for p in range(BLOCK_SIZE):
                number = numbers[space.candidates[space.label[p]]]
                box[p // (EDGE * DEPTH), p // DEPTH % EDGE, p % DEPTH] = number


@compiled
def list_box(first: Floats, transposed: Floats) -> None:
    """Write the colours of a box from its first on, a block with channels apart."""
    for p in range(BLOCK_SIZE):
        transposed[0, p] = first[0] + p // (EDGE * DEPTH)
        transposed[1, p] = first[1] + p // DEPTH % EDGE
        transposed[2, p] = first[2] + p % DEPTH
