"""Pixels collapsed to what k-means needs of them.

The samples of an image are a multiset of vectors. Parts of it are collected apart and merged in
any order; where vectors repeat, the merged table stands for all pixels, exactly.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from chunkmeans.kmeans.counting.colours import Table, fits, table_counter
from chunkmeans.kmeans.counting.sketch import Distinct, DistinctCounter
from chunkmeans.kmeans.exact.moments import Moments
from chunkmeans.kmeans.samples import Samples, Values, canonical

_Vectors = Table | Distinct


@dataclass(frozen=True)
class Collected:
    """What one read of some pixels leaves: a commutative monoid under `merge`."""

    vectors: _Vectors
    """All distinct vectors, or a sketch of them."""
    rest: Moments | None
    """Exact totals of all pixels, one group, where `vectors` is only a sketch."""
    lowest: Values
    """Least number of each channel, (c,)."""
    highest: Values
    """Greatest number of each channel, (c,)."""
    pixels: int
    """Valid pixels."""
    invalid: int
    """Pixels that do not count (nodata, masked, not finite)."""

    @classmethod
    def of(
        cls, samples: Samples, rest: Moments | None, lowest: Values, highest: Values, invalid: int
    ) -> "Collected":
        """Return what left these `samples()`: all vectors, or with `rest` a sketch of them."""
        dtype, channels = samples.values.dtype, samples.values.shape[1]
        vectors: _Vectors
        if fits(dtype, channels) and rest is None:
            vectors = Table.of(samples)
        else:
            vectors = Distinct.of(samples, complete=rest is None)
        counts = samples.weights if rest is None else rest.counts
        return cls(vectors, rest, lowest, highest, int(counts.sum()), invalid)

    def merge(self, other: "Collected") -> "Collected":
        """Return what both parts together leave."""
        vectors = self.vectors.merge(other.vectors)  # type: ignore[arg-type]
        return Collected(
            vectors,
            None if vectors.complete else self.moments().merge(other.moments()),
            np.minimum(self.lowest, other.lowest),
            np.maximum(self.highest, other.highest),
            self.pixels + other.pixels,
            self.invalid + other.invalid,
        )

    @property
    def complete(self) -> bool:
        """Whether the distinct vectors stand for all pixels."""
        return self.vectors.complete

    def moments(self) -> Moments:
        """Return the exact totals of all pixels, as one group."""
        if self.rest is not None:
            return self.rest
        return Moments.of(self.samples())

    def seeds(self) -> Samples:
        """Return the vectors that initial means are drawn from.

        The same whether all vectors are kept or a sketch: the whole table of integer vectors of
        up to 24 bits, else the `SKETCH` vectors of lowest hash.
        """
        if isinstance(self.vectors, Distinct):
            return self.vectors.sketch().samples()
        return self.samples()

    def samples(self) -> Samples:
        """Return the distinct vectors (all, or the sketch) in lexicographic order."""
        return self._samples

    @cached_property
    def _samples(self) -> Samples:
        return self.vectors.samples()


class Collector:
    """Collects the samples of some pixels, block by block."""

    def __init__(self, dtype: np.dtype[Any], channels: int) -> None:
        if dtype != canonical(dtype):
            raise TypeError(f"samples are collected as {canonical(dtype)}, found {dtype}")
        counter = table_counter if fits(dtype, channels) else DistinctCounter
        self.counter = counter(dtype, channels)
        number = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype)
        self.lowest = np.full(channels, number.max, dtype)
        self.highest = np.full(channels, number.min, dtype)
        self.pixels = 0
        self.invalid = 0

    def add(self, values: Values, invalid: int = 0) -> None:
        """Take valid samples (n, c), and the number of pixels that do not count."""
        self.invalid += invalid
        self.pixels += len(values)
        if len(values):
            extend_range(values, self.lowest, self.highest)
            self.counter.add(values)

    def result(self) -> Collected:
        """Return what was collected."""
        lowest, highest = self.lowest.copy(), self.highest.copy()
        vectors, rest = self.counter.result(), self.counter.rest
        return Collected(vectors, rest, lowest, highest, self.pixels, self.invalid)


ROW_NUMBERS = 1024
"""Numbers side by side in `extend_range`, about."""


def extend_range(values: Values, lowest: Values, highest: Values) -> None:
    """Extend the range of each channel, (c,) and (c,), to that of the samples, (n, c)."""
    c = len(lowest)
    lanes = max(1, ROW_NUMBERS // c)
    whole = len(values) // lanes * lanes
    # NumPy takes the least of long rows far faster than of short ones
    wide, rest = values[:whole].reshape(-1, lanes * c), values[whole:]
    if len(wide):
        np.minimum(lowest, wide.min(axis=0).reshape(-1, c).min(axis=0), out=lowest)
        np.maximum(highest, wide.max(axis=0).reshape(-1, c).max(axis=0), out=highest)
    if len(rest):
        np.minimum(lowest, rest.min(axis=0), out=lowest)
        np.maximum(highest, rest.max(axis=0), out=highest)
