"""Samples to try, and the shortest ways from them to what is tested."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from typing import Any
from unittest.mock import patch

import numpy as np
from chunkmeans.kmeans.counting import sketch as distinct
from chunkmeans.kmeans.counting.collect import Collected, Collector
from chunkmeans.kmeans.exact.accumulator import Exact
from chunkmeans.kmeans.exact.moments import Moments
from chunkmeans.kmeans.metric import Metric
from chunkmeans.kmeans.partial_sums import Far, PartialSums
from chunkmeans.kmeans.samples import Samples
from hypothesis import strategies as st
from numpy.typing import NDArray

CANONICAL = ("u1", "u2", "i2", "i8", "u8", "f4", "f8")


def column(*numbers: float, dtype: str = "u1") -> NDArray[Any]:
    """One-channel samples, (n, 1)."""
    return np.array(numbers, dtype)[:, None]


def collect(values: NDArray[Any], invalid: int = 0) -> Collected:
    """What one read of samples (n, c) leaves."""
    collector = Collector(values.dtype, values.shape[1])
    collector.add(values, invalid)
    return collector.result()


def table_of(values: NDArray[Any]) -> Samples:
    """Distinct vectors and their counts, by NumPy alone; both zeros become 0.0."""
    plain = values + 0.0 if values.dtype.kind == "f" else values
    rows, counts = np.unique(plain, axis=0, return_counts=True)
    return Samples(rows, counts.astype(np.int64))


def exactly(sums: Exact) -> list[Fraction]:
    """Exact sums as fractions, in C order."""
    return [Fraction(i) * Fraction(2) ** sums.exponent for i in sums.integers]


def parts(values: NDArray[Any]) -> st.SearchStrategy[list[NDArray[Any]]]:
    """Samples shuffled and cut anywhere, empty parts included."""
    n = len(values)
    return st.tuples(
        st.permutations(range(n)), st.lists(st.integers(0, n), max_size=4).map(sorted)
    ).map(lambda drawn: np.split(values[drawn[0]], drawn[1]))


@contextmanager
def small_sketch(sketch: int = 8, limit: int = 32) -> Iterator[None]:
    """Make the sketch and the bound on distinct vectors small enough to be reached."""
    with patch.object(distinct, "SKETCH", sketch), patch.object(distinct, "LIMIT", limit):
        yield


@dataclass(frozen=True)
class RawPixels:
    """`Pixels` that are kept as they came, part by part, and summed in that order."""

    parts: Sequence[NDArray[Any]]
    metric: Metric

    def sums(self, means: NDArray[np.float64]) -> PartialSums:
        """Exact sums, part by part."""
        return reduce(PartialSums.merge, (self.metric.sums(Samples(p), means) for p in self.parts))

    def farthest(self, means: NDArray[np.float64], number: int) -> Far:
        """Candidates, part by part."""
        found = [self.metric.farthest(p, means, number) for p in self.parts]
        return reduce(lambda a, b: a.merge(b, number), found)


def same_moments(a: Moments, b: Moments) -> bool:
    """Whether two totals are the same, bit for bit."""
    return np.array_equal(a.counts, b.counts) and a.sums == b.sums and a.squares == b.squares


def same_samples(a: Samples, b: Samples) -> bool:
    """Whether two tables are the same, bit for bit: the sign of a zero too."""
    return (
        a.values.dtype == b.values.dtype
        and a.values.tobytes() == b.values.tobytes()
        and a.values.shape == b.values.shape
        and np.array_equal(a.weights, b.weights)
    )
