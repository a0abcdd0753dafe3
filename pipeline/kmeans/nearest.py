"""The nearest mean of each sample of a block.

What decides are distances: sums of squared differences in float64, channels in fixed order,
without fused or reordered arithmetic, ties to the lowest index (`measure`).
"""

import numpy as np
from numba import float64, int32, int64, void

from pipeline.kmeans.blocks import Floats, Indices, Ints
from pipeline.kmeans.compiled import array, compiled, step


@step(
    void, array(float64, 2), int64, array(float64, 2, read=True), array(float64, read=True),
    int64, array(int32), int64, array(float64, 2), array(float64, 2), array(int64),
)  # fmt: skip
def nearest(
    turned: Floats, size: int, means: Floats, weights: Floats, scaled: int, few: Indices,
    left: int, some: Floats, work: Floats, label: Ints,
) -> None:  # fmt: skip
    """Find which of the first `left` of `few` is nearest to each sample of a block.

    `turned` is (c, BLOCK), `means` (k, c); a tie goes to the lowest index.
    """
    for j in range(left):
        for ch in range(means.shape[1]):
            some[j, ch] = means[few[j], ch]
    measure(turned, size, some[:left], weights, scaled, work[0], work[1], label)


@step(
    void, array(float64, 2), int64, array(float64, 2, read=True), array(float64, read=True),
    int64, array(float64, 2), array(int64),
)  # fmt: skip
def distances(
    turned: Floats, size: int, means: Floats, weights: Floats, scaled: int, work: Floats,
    label: Ints,
) -> None:  # fmt: skip
    """Find the nearest of all means of each sample of a block; its squared distance: `work[1]`."""
    measure(turned, size, means, weights, scaled, work[0], work[1], label)


@compiled
def measure(
    turned: Floats, size: int, means: Floats, weights: Floats, scaled: int, work: Floats,
    best: Floats, label: Ints,
) -> None:  # fmt: skip
    """Nearest mean of each sample of a block: `best` squared distance, `label` its index."""
    k, c = means.shape
    for p in range(size):
        best[p] = np.inf
        label[p] = 0
    for i in range(k):
        m = means[i, 0]
        if scaled:
            w = weights[0]
            for p in range(size):
                t = (turned[0, p] - m) * w
                work[p] = t * t
        else:
            for p in range(size):
                t = turned[0, p] - m
                work[p] = t * t
        for ch in range(1, c):
            m = means[i, ch]
            if scaled:
                w = weights[ch]
                for p in range(size):
                    t = (turned[ch, p] - m) * w
                    work[p] += t * t
            else:
                for p in range(size):
                    t = turned[ch, p] - m
                    work[p] += t * t
        for p in range(size):
            closer = work[p] < best[p]
            best[p] = work[p] if closer else best[p]
            label[p] = i if closer else label[p]
