"""How far two samples are apart, and by it: labels, sums and the farthest samples."""

from dataclasses import dataclass
from functools import cached_property
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkmeans.kmeans.compiled import assign
from chunkmeans.kmeans.compiled.limbs import CARRY_EVERY, carry
from chunkmeans.kmeans.compiled.sums import add_nearest
from chunkmeans.kmeans.exact.moments import Moments
from chunkmeans.kmeans.partial_sums import Far, PartialSums, empty_sums
from chunkmeans.kmeans.samples import Floats, Samples, Values

ROWS_LISTED = 2**14
"""Samples that may be among the farthest, listed before they are sorted, at most."""


@dataclass(frozen=True)
class Metric:
    """The Euclidean distance, each channel's difference times its weight.

    Nearest means are found by squared distances in float64, channels in fixed order
    (`compiled.nearest.squared_difference`); ties go to the lowest index. So a label depends on
    the sample and the means alone.
    """

    weights: Floats
    """(c,), positive."""

    @cached_property
    def scaled(self) -> bool:
        """Whether any weight is not one."""
        return bool((self.weights != 1.0).any())

    def labels(
        self, values: Values, means: Floats, numbers: NDArray[Any], out: NDArray[Any]
    ) -> None:
        """Write ``numbers[nearest]`` of each sample to `out`.

        Parameters
        ----------
        values
            Samples, (n, c).
        means
            (k, c).
        numbers
            What is written for each mean, (k,), at most 16 bits.
        out
            (n,), uint8 or uint16.
        """
        numbers, raw = numbers.astype(np.uint16), out.view(np.uint8)
        assign.assign(values, means, self.weights, numbers, self.scaled, raw, out.itemsize)

    def sums(self, samples: Samples, means: Floats) -> PartialSums:
        """Return the exact sums and counts of samples by nearest mean, (n, c) and (k, c)."""
        values, times = samples.values, samples.weights
        counts, sums, exponent = empty_sums(len(means), values)
        for start in range(0, len(values), CARRY_EVERY):
            rows = slice(start, start + CARRY_EVERY)
            add_nearest(
                values[rows], times[rows], means, self.weights, self.scaled, counts, sums, exponent
            )
            if sums.shape[2] > 1:
                carry(sums.reshape(-1, sums.shape[2]))
        return PartialSums.of_limbs(counts, sums, values.dtype)

    def moments(self, samples: Samples, means: Floats) -> Moments:
        """Return exact counts, sums and squares of samples by nearest mean."""
        labels = np.empty(len(samples.values), np.uint16)
        self.labels(samples.values, means, np.arange(len(means), dtype=np.uint16), labels)
        return Moments.of(samples, labels, len(means))

    def farthest(self, values: Values, means: Floats, number: int) -> Far:
        """Return the `number` distinct samples farthest from their own mean, (n, c) and (k, c)."""
        far, greatest, start = Far(values[:0], np.empty(0)), np.full(number, -1.0), 0
        rows, distances = np.empty(ROWS_LISTED, np.int64), np.empty(ROWS_LISTED)
        while start < len(values):
            start, found = assign.list_far(
                values, means, self.weights, self.scaled, start, greatest, rows, distances
            )
            kept = np.flatnonzero(distances[:found] >= greatest[0])
            far = far.merge(Far(values[rows[kept]], distances[kept]), number)
        return far

    def squared_distances(self, values: Values, means: Floats) -> Floats:
        """Return the squared distance of each sample (n, c) to its nearest mean, (n,)."""
        out = np.empty(len(values))
        assign.nearest_distances(values, means, self.weights, self.scaled, out)
        return out

    def norms(self, moves: Floats) -> list[float]:
        """Return the lengths of the means' moves, (k, c) to k numbers."""
        weights, found = self.weights.tolist(), []
        for move in moves.tolist():
            total = 0.0
            for difference, weight in zip(move, weights, strict=True):
                scaled = difference * weight
                total += scaled * scaled  # in this order: NumPy's sums differ between versions
            found.append(sqrt(total))
        return found
