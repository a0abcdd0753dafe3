"""Initial means, drawn from distinct vectors weighted by their counts.

Draws depend on the seed and on the multiset of vectors alone. They come from the raw stream of
PCG64, which NumPy keeps the same in every version, by steps that are written out here.
"""

from math import log

import numpy as np

from chunkmeans.kmeans.metric import Metric
from chunkmeans.kmeans.samples import Floats, Ints, Samples, Values


class Draws:
    """A stream of draws that is the same in every version and on every machine."""

    def __init__(self, seed: int, restart: int) -> None:
        self._bits = np.random.PCG64(np.random.SeedSequence([seed, restart]))

    def below(self, total: int) -> int:
        """Return an integer in [0, total), uniform up to total / 2**64."""
        return (int(self._bits.random_raw()) * total) >> 64

    def fraction(self) -> float:
        """Return a float in [0, 1)."""
        return float(int(self._bits.random_raw()) >> 11) * 2.0**-53


def random_means(samples: Samples, k: int, draws: Draws) -> Floats:
    """Return k distinct vectors drawn by count without replacement, (n, c) to (k, c).

    Fewer than k where there are fewer distinct vectors.
    """
    ends = np.cumsum(samples.weights)
    chosen: list[tuple[int, int, int]] = []
    rows = []
    for _ in range(min(k, len(ends))):
        at = draws.below(int(ends[-1]) - sum(length for _, length, _ in chosen))
        for start, length, _ in sorted(chosen):
            if at >= start:
                at += length
        row = int(np.searchsorted(ends, at, side="right"))
        length = int(samples.weights[row])
        chosen.append((int(ends[row]) - length, length, row))
        rows.append(row)
    return samples.values[rows].astype(np.float64)


def plusplus_means(samples: Samples, k: int, draws: Draws, metric: Metric) -> Floats:
    """Return k vectors spread by greedy weighted k-means++, (n, c) to (k, c).

    Arthur and Vassilvitskii, SODA 2007: each vector is drawn in proportion to its count times its
    squared distance to the nearest vector drawn before. Greedy: of 2 + ln k candidates the one
    that leaves the least inertia. Fewer than k where there are fewer vectors that float64 tells
    apart.
    """
    values, counts = samples.values, samples.weights
    drawn = draws.below(int(counts.sum()))
    rows = [int(np.searchsorted(np.cumsum(counts), drawn, side="right"))]
    nearest = metric.squared_distances(values, values[rows[:1]].astype(np.float64))
    candidates = 2 + int(log(k))
    while len(rows) < k:
        ends = _cumulated(counts, nearest)
        if ends[-1] == 0.0:
            break
        last = int(np.searchsorted(ends, ends[-1]))  # of those that can be drawn
        drawn_rows = []
        for _ in range(candidates):
            at = draws.fraction() * ends[-1]
            drawn_rows.append(min(int(np.searchsorted(ends, at, side="right")), last))
        del ends
        left = [_cumulated(counts, _closer(values, row, metric, nearest))[-1] for row in drawn_rows]
        rows.append(drawn_rows[left.index(min(left))])
        nearest = _closer(values, rows[-1], metric, nearest)
    return values[rows].astype(np.float64)


def _cumulated(counts: Ints, distances: Floats) -> Floats:
    """Return the sums of counts times distances up to each row, (n,) and (n,) to (n,)."""
    out = np.multiply(counts, distances)
    return np.cumsum(out, out=out)


def _closer(values: Values, row: int, metric: Metric, nearest: Floats) -> Floats:
    """Return the squared distance of every vector to the nearest, that of `row` among them."""
    out = metric.squared_distances(values, values[[row]].astype(np.float64))
    return np.minimum(nearest, out, out=out)
