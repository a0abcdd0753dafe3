"""The nearest mean of each sample of a block.

What decides are distances: sums of squared differences in float64, channels in fixed order,
without fused or reordered arithmetic, ties to the lowest index (`measure`). Where there is much to
decide, a filter in float32 goes first, as of Shewchuk, "Adaptive precision floating-point
arithmetic and fast robust geometric predicates", Discrete Comput. Geom. 18 (1997): it labels the
samples that it can prove to be labelled like that, and the others are left to `measure`.

The filter. Let a be a sample and b a mean, each less the middle of the block's box, times the
weights and a power of two that brings the greatest of them to about one. Their squared distance,
less the square of a that is the same for all means, is ``q = b.b - 2 a.b``. Computed in float32,
with u = 2**-24: a, -2 b and b.b are rounded once to float32 (what float64 rounded before is lost
in a further u); a product and a sum of c + 1 terms round each term c + 1 times at the most, in
any order, fused or not (Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed.,
section 3.1). So q is off by at most ``E = (c + 8) u M`` with ``M = max of b.b + 2 h.|b|`` over
the means, h half the box: (c + 3) u of it to first order, the rest for second order (c is at most
`WIDE`) and for underflow (M is at least 2**-60). The distances that `measure` computes are off by
at most (c + 2) 2**-53 of themselves, and they are at most ``2 (M + h.h)``. So if the second
smallest q exceeds the smallest by more than ``2 E + (c + 8) 2**-50 (M + h.h)``, `measure` would
find the same mean, and no tie.
"""

from math import frexp, ldexp

import numpy as np
from numba import float32, float64, int32, int64, void
from numpy.typing import NDArray

from pipeline.kmeans.blocks import Floats, Indices, Ints
from pipeline.kmeans.compiled import array, compiled, step

Singles = NDArray[np.float32]

WIDE = 4096
"""Most channels that the bound of the filter holds for."""

WORTH = 12
"""Least product of means and channels for which the filter takes less time than it saves."""

SHORT = 32
"""A shorter block is not worth the filter's preparations."""


@step(
    void, array(float64, 2), int64, array(float64, 2, read=True), array(float64, read=True),
    int64, array(int32), int64, array(float64), array(float64), array(float64, 2),
    array(float64, 2), array(float32, 2), array(float32, 2), array(int64),
)  # fmt: skip
def nearest(
    turned: Floats, size: int, means: Floats, weights: Floats, scaled: int, few: Indices,
    left: int, lo: Floats, hi: Floats, some: Floats, work: Floats, singles: Singles,
    scores: Singles, label: Ints,
) -> None:  # fmt: skip
    """Find which of the first `left` of `few` is nearest to each sample of a block.

    `turned` is (c, BLOCK), `means` (k, c), `lo` and `hi` (c,) the block's box; a tie goes to the
    lowest index. The rest is room: `some` (k, c), `work` (2, BLOCK), `singles` (c + 3, BLOCK),
    `scores` (k, c + 1).
    """
    c = means.shape[1]
    for j in range(left):
        for ch in range(c):
            some[j, ch] = means[few[j], ch]
    if left * c >= WORTH and c <= WIDE and size >= SHORT:
        apart = prepare(turned, size, some[:left], weights, lo, hi, singles, scores)
        if apart > 0.0:
            score(singles, size, scores[:left], label)
            open_ones = sift(singles[c + 1], singles[c + 2], apart, size, work[0])
            if open_ones <= size // 8:
                for q in range(open_ones):
                    p = np.int64(work[0, q])
                    label[p] = closest(turned, p, some[:left], weights)
                return
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
def prepare(
    turned: Floats, size: int, means: Floats, weights: Floats, lo: Floats, hi: Floats,
    singles: Singles, scores: Singles,
) -> np.float32:  # fmt: skip
    """Write a to `singles`, -2 b and b.b to `scores`; return how far apart q have to be.

    0 if the numbers are too large or too small for the bound.
    """
    k, c = means.shape
    greatest = 0.0
    for ch in range(c):
        middle = (lo[ch] + hi[ch]) * 0.5
        reach = max(hi[ch] - middle, middle - lo[ch])
        for i in range(k):
            reach = max(reach, abs(means[i, ch] - middle))
        greatest = max(greatest, reach * weights[ch])
    if not (greatest > 2.0**-300 and greatest < 2.0**300):
        return np.float32(0.0)
    scale = ldexp(1.0, -frexp(greatest)[1])
    box = most = 0.0
    for i in range(k):
        square, mixed = 0.0, 0.0
        for ch in range(c):
            middle = (lo[ch] + hi[ch]) * 0.5
            half = max(hi[ch] - middle, middle - lo[ch]) * weights[ch] * scale
            b = (means[i, ch] - middle) * weights[ch] * scale
            scores[i, ch] = -2.0 * b
            square += b * b
            mixed += half * abs(b)
            if i == 0:
                box += half * half
        scores[i, c] = square
        most = max(most, square + 2.0 * mixed)
    if not most > 2.0**-60:
        return np.float32(0.0)
    for ch in range(c):
        middle, weight = (lo[ch] + hi[ch]) * 0.5, weights[ch]
        row, single = turned[ch], singles[ch]
        for p in range(size):
            single[p] = ((row[p] - middle) * weight) * scale
    return np.float32((c + 8) * (2.0**-23 * most + 2.0**-50 * (most + box)) * (1.0 + 2.0**-20))


@compiled(fastmath={"contract", "reassoc"})  # the bound holds in any order, fused or not
def score(singles: Singles, size: int, scores: Singles, label: Ints) -> None:
    """Compute q of all means; keep the least, which it is, and the second least of each sample."""
    c = scores.shape[1] - 1
    work, best, second = singles[c, :size], singles[c + 1, :size], singles[c + 2, :size]
    for p in range(size):
        best[p] = second[p] = np.inf
    for i in range(len(scores)):
        first = scores[i, c]
        for p in range(size):
            work[p] = first
        whole = c // 4 * 4
        for ch in range(0, whole, 4):
            u, v, w, x = scores[i, ch], scores[i, ch + 1], scores[i, ch + 2], scores[i, ch + 3]
            a, b = singles[ch, :size], singles[ch + 1, :size]
            d, e = singles[ch + 2, :size], singles[ch + 3, :size]
            for p in range(size):
                work[p] += (a[p] * u + b[p] * v) + (d[p] * w + e[p] * x)
        for ch in range(whole, c):
            u, a = scores[i, ch], singles[ch, :size]
            for p in range(size):
                work[p] += a[p] * u
        for p in range(size):
            q, least = work[p], best[p]
            closer = q < least
            between = least if closer else q
            second[p] = between if between < second[p] else second[p]
            best[p] = q if closer else least
            label[p] = i if closer else label[p]


@compiled
def sift(best: Singles, second: Singles, apart: np.float32, size: int, found: Floats) -> int:
    """List the samples whose second q is not more than `apart` above the least; return how many."""
    n = 0
    for p in range(size):
        found[n] = p
        n += 0 if second[p] - best[p] > apart else 1
    return n


@compiled
def closest(turned: Floats, p: int, means: Floats, weights: Floats) -> int:
    """Nearest mean of one sample, by the arithmetic of `measure`."""
    least, label = np.inf, 0
    for i in range(len(means)):
        d = 0.0
        for ch in range(means.shape[1]):
            t = (turned[ch, p] - means[i, ch]) * weights[ch]
            d += t * t
        if d < least:
            least, label = d, i
    return label


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
