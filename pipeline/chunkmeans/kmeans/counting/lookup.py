"""The label of every possible vector of at most 24 bits: a pixel is labelled by looking it up."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkmeans.kmeans.compiled.blocks import Workspace, reach_of, workspace_for
from chunkmeans.kmeans.compiled.calls import Addresses, addresses, label_block, steps_at
from chunkmeans.kmeans.compiled.jit import compiled
from chunkmeans.kmeans.compiled.typed_bytes import F8, read_only
from chunkmeans.kmeans.counting.codes import decode
from chunkmeans.kmeans.counting.colours import fits, offset
from chunkmeans.kmeans.metric import Metric
from chunkmeans.kmeans.samples import Floats

CUBE = 16
"""Edge of the cubes of colours whose candidates are found together."""

SMALL_CUBE = 4
"""Edge of the cubes within those."""


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
    """Write the table of three channels of 8 bits, cube by cube of colours."""
    steps = steps_at(places)
    k = len(means)
    space, reach = workspace_for(3, k, F8), reach_of(means)
    every, outer = np.arange(k).astype(np.int32), np.empty(k, np.int32)
    cubes = 256 // CUBE
    for cube in range(cubes**3):
        r, g, b = cube // cubes**2 * CUBE, cube // cubes % cubes * CUBE, cube % cubes * CUBE
        around(r, g, b, CUBE, space)
        left = steps.prune(space.lo, space.hi, means, weights, reach, every, k, outer)
        if left == 1:
            fill(r, g, b, CUBE, numbers[outer[0]], table)
            continue
        for red in range(r, r + CUBE, SMALL_CUBE):
            for green in range(g, g + CUBE, SMALL_CUBE):
                for blue in range(b, b + CUBE, SMALL_CUBE):
                    around(red, green, blue, SMALL_CUBE, space)
                    remaining = steps.prune(
                        space.lo, space.hi, means, weights, reach, outer, left, space.candidates
                    )
                    if remaining == 1:
                        fill(red, green, blue, SMALL_CUBE, numbers[space.candidates[0]], table)
                    else:
                        list_small_cube(red, green, blue, space.transposed)
                        label_block(
                            steps, SMALL_CUBE**3, means, weights, scaled, space.candidates,
                            remaining, space,
                        )  # fmt: skip
                        fill_small_cube(red, green, blue, space, numbers, table)


@compiled
def around(r: int, g: int, b: int, edge: int, space: Workspace) -> None:
    """Take a cube of colours as the box of a block."""
    for ch, first in enumerate((r, g, b)):
        space.lo[ch], space.hi[ch] = first, first + edge - 1


@compiled
def fill(r: int, g: int, b: int, edge: int, number: Any, table: NDArray[Any]) -> None:
    """Write one number for a cube of colours."""
    for red in range(r, r + edge):
        for green in range(g, g + edge):
            code = (red << 16) | (green << 8) | b
            table[code : code + edge] = number


@compiled
def list_small_cube(r: int, g: int, b: int, transposed: Floats) -> None:
    """Write the colours of a small cube, a block with channels apart."""
    for p in range(SMALL_CUBE**3):
        transposed[0, p] = r + p // SMALL_CUBE**2
        transposed[1, p] = g + p // SMALL_CUBE % SMALL_CUBE
        transposed[2, p] = b + p % SMALL_CUBE


@compiled
def fill_small_cube(
    r: int, g: int, b: int, space: Workspace, numbers: NDArray[Any], table: NDArray[Any]
) -> None:
    """Write the numbers of the nearest means for the colours of a small cube."""
    for p in range(SMALL_CUBE**3):
        red, green = r + p // SMALL_CUBE**2, g + p // SMALL_CUBE % SMALL_CUBE
        code = (red << 16) | (green << 8) | (b + p % SMALL_CUBE)
        table[code] = numbers[space.candidates[space.label[p]]]
