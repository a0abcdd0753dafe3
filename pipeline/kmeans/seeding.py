"""Initial means: drawn from distinct vectors weighted by their counts.

Draws depend on the seed and on the multiset of vectors alone. They come from the raw stream of
PCG64, which NumPy keeps the same in every version, by steps that are written out here.
"""

from math import log

import numpy as np

from pipeline.kmeans import kernels
from pipeline.kmeans.lloyd import Metric
from pipeline.kmeans.samples import Floats, Samples, Values


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
    values, counts = samples.values, samples.weights.astype(np.float64)
    drawn = draws.below(int(samples.weights.sum()))
    rows = [int(np.searchsorted(np.cumsum(samples.weights), drawn, side="right"))]
    nearest = _distances(values, rows[0], metric)
    candidates = 2 + int(log(k))
    while len(rows) < k:
        ends = np.cumsum(counts * nearest)
        if ends[-1] == 0.0:
            break
        last = int(np.searchsorted(ends, ends[-1]))  # of those that can be drawn
        best: tuple[float, int, Floats] | None = None
        for _ in range(candidates):
            at = draws.fraction() * ends[-1]
            row = min(int(np.searchsorted(ends, at, side="right")), last)
            closer = np.minimum(nearest, _distances(values, row, metric))
            left = float(np.cumsum(counts * closer)[-1])
            if best is None or left < best[0]:
                best = left, row, closer
        if best is not None:
            rows.append(best[1])
            nearest = best[2]
    return values[rows].astype(np.float64)


def _distances(values: Values, row: int, metric: Metric) -> Floats:
    """Return the squared distance of every vector to that of `row`, (n, c) to (n,)."""
    out = np.empty(len(values))
    mean = values[row].astype(np.float64)
    kernels.squared_distances(values, mean, metric.weights, metric.scaled, out)
    return out
