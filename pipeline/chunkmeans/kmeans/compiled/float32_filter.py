"""A filter in float32 for the nearest mean: where its bound proves the answer, float64 is spared.

As of Shewchuk, "Adaptive precision floating-point arithmetic and fast robust geometric
predicates", Discrete Comput. Geom. 18 (1997): it labels the samples whose nearest mean it can prove
to be the one that float64 would find, and leaves the others to float64.

Let a be a sample and b a mean, each less the middle of the block's box, times the weights and a
power of two that brings the greatest of them to about one. Their squared distance, less the square
of a that is the same for all means, is ``q = b.b - 2 a.b``. Computed in float32, with u = 2**-24:
a, -2 b and b.b are rounded once to float32 (what float64 rounded before is lost in a further u);
a product and a sum of c + 1 terms round each term c + 1 times at the most, in any order, fused or
not (Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd ed., section 3.1). So q is off
by at most ``E = (c + 8) u M`` with ``M = max of b.b + 2 h.|b|`` over the means, h half the box:
(c + 3) u of it to first order, the rest for second order (c is at most `FILTER_CHANNELS`) and for
underflow (M is at least 2**-62). The distances that `nearest.measure` computes are off by at most
(c + 4) 2**-53 of themselves, and they are at most ``2 (M + h.h)``. So if the second smallest q
exceeds the smallest by more than ``2 E + (c + 8) 2**-50 (M + h.h)``, `measure` would find the same
mean, and no tie.
"""

from math import frexp, ldexp

import numpy as np

from chunkmeans.kmeans.compiled.blocks import BLOCK_SIZE
from chunkmeans.kmeans.compiled.jit import compiled
from chunkmeans.kmeans.samples import Floats, Ints, Singles

FILTER_CHANNELS = BLOCK_SIZE
"""Most channels of the filter; its bound holds for some thousands."""

FILTER_WORK = 64
"""Least product of means and channels for which the filter takes less time than it saves."""

FILTER_SAMPLES = 32
"""A shorter block is not worth the filter's preparations."""


@compiled
def prepare(
    transposed: Floats, size: int, means: Floats, weights: Floats, lo: Floats, hi: Floats,
    work: Floats, singles: Singles, scores: Singles,
) -> np.float32:  # fmt: skip
    """Write a to `singles`, -2 b and b.b to `scores`; return how far apart q have to be.

    0 if the numbers are too large or too small for the bound.
    """
    k, c = means.shape
    middle, half = work[0, :c], work[1, :c]
    box = most = 0.0  # h.h and M, not yet scaled
    for ch in range(c):
        middle[ch] = (lo[ch] + hi[ch]) * 0.5
        half[ch] = max(hi[ch] - middle[ch], middle[ch] - lo[ch]) * weights[ch]
        box += half[ch] * half[ch]
    for i in range(k):
        most = max(most, extent(means[i], middle, half, weights))
    # neither products nor their sums over- or underflow, and what a rounds off does not exceed M
    if not (most + box > 2.0**-600 and most + box < 2.0**600 and most > 2.0**-60 * box):
        return np.float32(0.0)
    scale = ldexp(1.0, -((frexp(most + box)[1] + 1) // 2))  # the sum becomes 1/4 to 1
    for i in range(k):
        scores[i, c] = scale_mean(means[i], middle, weights, scale, scores[i, :c])
    if k % 2 == 1:  # means are taken in pairs
        scores[k, :c] = 0.0
        scores[k, c] = np.inf
    for ch in range(c):
        scale_channel(transposed[ch, :size], middle[ch], weights[ch], scale, singles[ch, :size])
    apart = (c + 8) * (2.0**-23 * most + 2.0**-50 * (most + box)) * (scale * scale)
    return np.float32(apart * (1.0 + 2.0**-20))


@compiled(fastmath={"contract", "reassoc"})
def extent(mean: Floats, middle: Floats, half: Floats, weights: Floats) -> float:
    """Return b.b + 2 h.|b| of a mean, (c,), not scaled."""
    total = 0.0
    for ch in range(len(mean)):
        b = abs((mean[ch] - middle[ch]) * weights[ch])
        total += b * (b + 2.0 * half[ch])
    return total


@compiled(fastmath={"contract", "reassoc"})
def scale_mean(
    mean: Floats, middle: Floats, weights: Floats, scale: float, double: Singles
) -> float:
    """Write -2 b of a mean, (c,), and return b.b."""
    total = 0.0
    for ch in range(len(mean)):
        b = ((mean[ch] - middle[ch]) * weights[ch]) * scale
        double[ch] = -2.0 * b
        total += b * b
    return total


@compiled
def scale_channel(row: Floats, middle: float, weight: float, scale: float, single: Singles) -> None:
    """Write one channel of a."""
    for p in range(len(row)):
        single[p] = ((row[p] - middle) * weight) * scale


@compiled
def score(singles: Singles, size: int, scores: Singles, label: Ints) -> None:
    """Compute q of all means, an even number; keep the least and the second least, and which it is.

    `singles` are a (c, BLOCK_SIZE), and room: q of two means, the least and the second least.
    """
    c = scores.shape[1] - 1
    one, two = singles[c, :size], singles[c + 1, :size]
    best, second = singles[c + 2, :size], singles[c + 3, :size]
    best[:] = np.inf
    second[:] = np.inf
    for i in range(0, len(scores), 2):
        s, t = scores[i], scores[i + 1]
        one[:] = s[c]
        two[:] = t[c]
        ch = 0
        while ch + 8 <= c:
            add_eight(singles[ch : ch + 8], s[ch : ch + 8], t[ch : ch + 8], one, two)
            ch += 8
        while ch + 2 <= c:
            add_two(singles[ch : ch + 2], s[ch : ch + 2], t[ch : ch + 2], one, two)
            ch += 2
        if ch < c:
            add_one(singles[ch], s[ch], t[ch], one, two)
        keep_least(one, two, i, best, second, label)


# Eight channels of two means at once: what is loaded is used twice, and storing is seldom. The
# bound holds in any order, fused or not.


@compiled(fastmath={"contract", "reassoc"})
def add_eight(rows: Singles, s: Singles, t: Singles, one: Singles, two: Singles) -> None:
    """Add the products of eight channels."""
    n = len(one)
    a, b, c, d = rows[0, :n], rows[1, :n], rows[2, :n], rows[3, :n]
    e, f, g, h = rows[4, :n], rows[5, :n], rows[6, :n], rows[7, :n]
    s0, s1, s2, s3, s4, s5, s6, s7 = s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7]
    t0, t1, t2, t3, t4, t5, t6, t7 = t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7]
    for p in range(n):
        one[p] += (a[p] * s0 + b[p] * s1 + c[p] * s2 + d[p] * s3) + (
            e[p] * s4 + f[p] * s5 + g[p] * s6 + h[p] * s7
        )
        two[p] += (a[p] * t0 + b[p] * t1 + c[p] * t2 + d[p] * t3) + (
            e[p] * t4 + f[p] * t5 + g[p] * t6 + h[p] * t7
        )


@compiled(fastmath={"contract", "reassoc"})
def add_two(rows: Singles, s: Singles, t: Singles, one: Singles, two: Singles) -> None:
    """Add the products of two channels."""
    n = len(one)
    a, b = rows[0, :n], rows[1, :n]
    s0, s1, t0, t1 = s[0], s[1], t[0], t[1]
    for p in range(n):
        one[p] += a[p] * s0 + b[p] * s1
        two[p] += a[p] * t0 + b[p] * t1


@compiled(fastmath={"contract"})
def add_one(row: Singles, s: np.float32, t: np.float32, one: Singles, two: Singles) -> None:
    """Add the products of one channel."""
    for p in range(len(one)):
        one[p] += row[p] * s
        two[p] += row[p] * t


@compiled
def keep_least(
    one: Singles, two: Singles, i: int, best: Singles, second: Singles, label: Ints
) -> None:
    """Take q of the means i and i + 1 for the least, or the second least."""
    for p in range(len(one)):
        x, y, least, next_ = one[p], two[p], best[p], second[p]
        lower, higher, which = (x, y, i) if x < y else (y, x, i + 1)
        closer = lower < least
        between = least if closer else lower
        between = between if between < higher else higher
        second[p] = between if between < next_ else next_
        best[p] = lower if closer else least
        label[p] = which if closer else label[p]


@compiled
def unproven(best: Singles, second: Singles, apart: np.float32) -> int:
    """Return how many samples have a second q not more than `apart` above the least."""
    n = 0
    for p in range(len(best)):
        n += 0 if second[p] - best[p] > apart else 1
    return n
