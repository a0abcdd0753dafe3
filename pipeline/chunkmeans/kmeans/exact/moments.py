"""Exact counts, sums and sums of squares of samples, by group."""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from chunkmeans.kmeans.compiled.sums import add_moments, add_weighted_moments
from chunkmeans.kmeans.exact.accumulator import Exact, form
from chunkmeans.kmeans.samples import Floats, Ints, Samples

INT64_PIXELS = 2**31
"""Pixels of at most 16 bits whose sums and squares an int64 holds."""


@dataclass(frozen=True, slots=True)
class Moments:
    """Exact totals of samples, by group."""

    counts: Ints
    """(k,)."""
    sums: Exact
    """(k, c)."""
    squares: Exact
    """Sums of squares, (k, c)."""

    @classmethod
    def of(
        cls, samples: Samples, labels: NDArray[np.uint16] | None = None, k: int = 1
    ) -> "Moments":
        """Return the totals of samples whose groups are `labels`, (n,) from 0; None: one group."""
        values, weights = samples.values, samples.weights
        f, c = form(values.dtype), values.shape[1]
        pixels = len(values) if samples.counts is None else int(weights.sum())
        small = values.dtype.itemsize <= 2 and pixels <= INT64_PIXELS
        counts = np.zeros(k, np.int64)
        sums = np.zeros((k, c, 1 if small else f.sum_limbs), np.int64)
        squares = np.zeros((k, c, 1 if small else f.square_limbs), np.int64)
        groups = np.zeros(len(weights), np.uint16) if labels is None else labels
        add = add_moments if samples.counts is None else add_weighted_moments
        add(values, weights, groups, counts, sums, squares, f.sum_exponent)
        return cls(
            counts, Exact.of_limbs(sums, f.sum_limbs, f.sum_exponent),
            Exact.of_limbs(squares, f.square_limbs, f.square_exponent),
        )  # fmt: skip

    def merge(self, other: "Moments") -> "Moments":
        """Return the totals of both parts together."""
        return Moments(
            self.counts + other.counts, self.sums + other.sums, self.squares + other.squares
        )

    def total(self) -> "Moments":
        """Return the totals of all groups together, as one group."""
        counts = self.counts.sum(keepdims=True)
        return Moments(counts, self.sums.total(), self.squares.total())

    def deviations(self) -> Floats:
        """Return the standard deviation around each group's own average, (k, c); 0 if empty.

        The variance is the exact rational ``(n Q - S**2) / n**2``, rounded once.
        """
        k, c = self.sums.limbs.shape[:2]
        out = np.zeros((k, c))
        sums, squares = self.sums.integers, self.squares.integers
        shift = 2 * self.sums.exponent
        for i, n in enumerate(self.counts.tolist()):
            for ch in range(c if n else 0):
                spread = n * squares[i * c + ch] - sums[i * c + ch] ** 2
                down = n * n << max(0, -shift)
                out[i, ch] = sqrt((spread << max(0, shift)) / down)  # not **: pow is not exact
        return out
