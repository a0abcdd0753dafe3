"""The nearest mean of each sample of a block.

What decides are distances: sums of squared differences in float64, channels in fixed order,
without fused or reordered arithmetic, ties to the lowest index. Each difference is squared by
`squared_difference` and nowhere else. Where there is much to decide, a filter in float32 goes
first, which finds the same (`float32_filter`).
"""

import numpy as np
from numba import float32, float64, int32, int64, void

from chunkmeans.kmeans.compiled.float32_filter import (
    FILTER_CHANNELS,
    FILTER_SAMPLES,
    FILTER_WORK,
    prepare,
    score,
    unproven,
)
from chunkmeans.kmeans.compiled.jit import array, compiled, step
from chunkmeans.kmeans.samples import Floats, Indices, Ints, Singles


@compiled(inline="always")  # as a call it would keep loops from taking several samples at a time
def squared_difference(x: float, mean: float, weight: float) -> float:
    """Return what one channel adds to a squared distance.

    By subtraction, as the expanded square ``x**2 - 2 x m + m**2`` cancels.
    """
    t = (x - mean) * weight
    return t * t


@compiled
def squared_distances(
    transposed: Floats, first: int, size: int, mean: Floats, weights: Floats, scaled: int,
    out: Floats,
) -> None:  # fmt: skip
    """Write the squared distances of `size` samples, from `first` on, to one mean, (c,).

    `transposed` is (c or more, n), samples with channels apart.
    """
    for ch in range(len(mean)):
        row, m, w = transposed[ch, first : first + size], mean[ch], weights[ch]
        # four loops, each without a branch: the compiler takes several samples at a time, leaves
        # out the product with 1, and the first channel needs no zeros to add to
        if scaled and ch == 0:
            for p in range(size):
                out[p] = squared_difference(row[p], m, w)
        elif scaled:
            for p in range(size):
                out[p] += squared_difference(row[p], m, w)
        elif ch == 0:
            for p in range(size):
                out[p] = squared_difference(row[p], m, 1.0)
        else:
            for p in range(size):
                out[p] += squared_difference(row[p], m, 1.0)


@compiled
def closest(transposed: Floats, p: int, means: Floats, weights: Floats) -> int:
    """Return the nearest mean of one sample of a block, as `measure` finds it."""
    least, label = np.inf, 0
    for i in range(len(means)):
        distance = 0.0
        for ch in range(means.shape[1]):
            distance += squared_difference(transposed[ch, p], means[i, ch], weights[ch])
        if distance < least:
            least, label = distance, i
    return label


# (a step takes arrays, not a `Workspace`: a value of eleven arrays costs more to pass than to use)
@step(
    void, array(float64, 2), int64, array(float64, 2, read=True), array(float64, read=True),
    int64, array(float64, 2), array(int64),
)  # fmt: skip
def measure(
    transposed: Floats, size: int, means: Floats, weights: Floats, scaled: int, scratch: Floats,
    label: Ints,
) -> None:  # fmt: skip
    """Find the nearest of all means of each sample of a block: `label`, distance `scratch[1]`."""
    measure_block(transposed, size, means, weights, scaled, scratch[0], scratch[1], label)


@compiled
def measure_block(
    transposed: Floats, size: int, means: Floats, weights: Floats, scaled: int, distance: Floats,
    best: Floats, label: Ints,
) -> None:  # fmt: skip
    """Do what `measure` does, as a part of another loop."""
    for p in range(size):
        best[p] = np.inf
        label[p] = 0
    for i in range(len(means)):
        # the first channel apart, so that no zeros are written first; unscaled apart, so that the
        # product with 1 is left out; indexed rather than by `squared_distances`, whose slices would
        # take as long as the arithmetic of so few samples
        m, w = means[i, 0], weights[0]
        if scaled:
            for p in range(size):
                distance[p] = squared_difference(transposed[0, p], m, w)
        else:
            for p in range(size):
                distance[p] = squared_difference(transposed[0, p], m, 1.0)
        for ch in range(1, means.shape[1]):
            m, w = means[i, ch], weights[ch]
            if scaled:
                for p in range(size):
                    distance[p] += squared_difference(transposed[ch, p], m, w)
            else:
                for p in range(size):
                    distance[p] += squared_difference(transposed[ch, p], m, 1.0)
        for p in range(size):
            # selected, not branched on: which mean is nearest is a toss-up on a border
            closer = distance[p] < best[p]
            best[p] = distance[p] if closer else best[p]
            label[p] = i if closer else label[p]


@step(
    void, array(float64, 2), int64, array(float64, 2, read=True), array(float64, read=True),
    int64, array(int32), int64, array(float64), array(float64), array(float64, 2),
    array(float64, 2), array(float32, 2), array(float32, 2), array(int64),
)  # fmt: skip
def nearest(
    transposed: Floats, size: int, means: Floats, weights: Floats, scaled: int,
    candidates: Indices, left: int, lo: Floats, hi: Floats, gathered: Floats, scratch: Floats,
    singles: Singles, scores: Singles, label: Ints,
) -> None:  # fmt: skip
    """Find which of the first `left` of `candidates` is nearest to each sample of a block.

    `transposed` is (c, BLOCK_SIZE), `means` (k, c), `lo` and `hi` (c,) the block's box; a tie goes
    to the lowest index. The others are of a `Workspace`.
    """
    c = means.shape[1]
    for j in range(left):
        for ch in range(c):
            gathered[j, ch] = means[candidates[j], ch]
    some = gathered[:left]
    if left * c >= FILTER_WORK and c <= FILTER_CHANNELS and size >= FILTER_SAMPLES:
        apart = prepare(transposed, size, some, weights, lo, hi, scratch, singles, scores)
        if apart > 0.0:
            score(singles, size, scores[: left + left % 2], label)
            best, second = singles[c + 2, :size], singles[c + 3, :size]
            # where most samples lie between means, sample after sample is slower than all at once
            if unproven(best, second, apart) <= size // 8:
                for p in range(size):
                    if not second[p] - best[p] > apart:
                        label[p] = closest(transposed, p, some, weights)
                return
    measure_block(transposed, size, some, weights, scaled, scratch[0], scratch[1], label)
