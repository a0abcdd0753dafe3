"""The table of integer vectors of at most 24 bits: a code per vector, a count per code.

Grey images of 8 and 16 bits and RGB images of 8 bits have 256, 65,536 and 2**24 possible
vectors. One read counts them densely: a count for every possible code. What travels and is merged
is dense too, or a list of the codes that occur where that is shorter.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pipeline.kmeans.kernels import (
    count_codes,
    decode,
    encode,
    sparse,
    widen_by_codes,
    widen_by_table,
)
from pipeline.kmeans.samples import Ints, Samples, Values

TABLE_BITS = 24
"""Integer vectors up to this width are counted densely."""

LISTED = 6
"""A code with its count in a list takes as much room as three in a dense table of 32 bits; one
that holds fewer than one in so many is listed, so that two lists are merged in no more."""

Codes = NDArray[np.uint32]


def fits(dtype: np.dtype[Any], channels: int) -> bool:
    """Whether vectors of `channels` numbers of `dtype` have codes of at most 24 bits."""
    return dtype.kind in "ui" and 8 * dtype.itemsize * channels <= TABLE_BITS


@dataclass(frozen=True, slots=True)
class Table:
    """Every distinct vector with its count."""

    codes: Codes | None
    """Those that occur, (n,), ascending: the lexicographic order of the vectors; None: all."""
    counts: NDArray[Any]
    """How often each occurs, (n,) int64; of all codes, uint32 or int64, 0 where one does not."""
    pixels: int
    """Sum of the counts."""
    dtype: np.dtype[Any]
    """Of the numbers."""
    channels: int

    @property
    def complete(self) -> bool:
        """A table misses nothing."""
        return True

    @classmethod
    def of(cls, samples: Samples) -> "Table":
        """Return the table of vectors in lexicographic order, with their counts."""
        values, counts = samples.values, samples.weights
        codes = np.empty(len(values), np.uint32)
        encode(values, offset(values.dtype), 8 * values.dtype.itemsize, codes)
        return cls(codes, counts, int(counts.sum()), values.dtype, values.shape[1])

    def merge(self, other: "Table") -> "Table":
        """Return the table of both parts together."""
        pixels, size = self.pixels + other.pixels, self.size
        a, b = self.codes, other.codes
        if a is not None and b is not None and len(a) + len(b) <= size // LISTED:
            codes, listed = merge_sorted(a, self.counts, b, other.counts)
            return Table(codes, listed, pixels, self.dtype, self.channels)
        counts: Ints = np.zeros(size, np.uint32 if pixels < 2**32 else np.int64)
        for table in (self, other):
            if table.codes is None:
                np.add(counts, table.counts, out=counts)
            else:
                counts[table.codes] += table.counts.astype(counts.dtype)
        return Table(None, counts, pixels, self.dtype, self.channels)

    @property
    def size(self) -> int:
        """Number of possible codes."""
        return int(2 ** (8 * self.dtype.itemsize * self.channels))

    def listed(self) -> "Table":
        """Return the same as a list of the codes that occur."""
        if self.codes is not None:
            return self
        n = int(np.count_nonzero(self.counts))
        codes, counts = np.empty(n + 1, np.uint32), np.empty(n + 1, np.int64)
        nothing = np.empty(0, np.int64)
        sparse(self.counts, nothing.astype(np.uint32), nothing, codes, counts)
        return Table(codes[:n], counts[:n], self.pixels, self.dtype, self.channels)

    def samples(self) -> Samples:
        """Return the vectors in lexicographic order."""
        listed = self.listed()
        values = np.empty((len(listed.counts), self.channels), self.dtype)
        decode(listed.occurring(), offset(self.dtype), 8 * self.dtype.itemsize, values)
        return Samples(values, listed.counts)

    def occurring(self) -> Codes:
        """Return the codes that occur, ascending."""
        if self.codes is not None:
            return self.codes
        return np.flatnonzero(self.counts).astype(np.uint32)

    def widen(self, lowest: Values, highest: Values) -> None:
        """Widen the range of each channel, (c,) and (c,), to that of the vectors."""
        bits = 8 * self.dtype.itemsize
        if self.codes is None:
            widen_by_table(self.counts, offset(self.dtype), bits, lowest, highest)
        else:
            widen_by_codes(self.codes, offset(self.dtype), bits, lowest, highest)


def offset(dtype: np.dtype[Any]) -> int:
    """Return what makes every number of an integer `dtype` unsigned when added."""
    return -int(np.iinfo(dtype).min)


class TableCounter:
    """Counts vectors as samples come: few are sorted, many are counted densely."""

    def __init__(self, dtype: np.dtype[Any], channels: int) -> None:
        self.rest = None
        self._dtype, self._channels = dtype, channels
        self._bits = 8 * dtype.itemsize
        self._dense = np.empty(0, np.uint8)
        self._full: list[Codes] = []
        self._few: list[Codes] = []
        self._since = 0
        self._done: Table | None = None

    def add(self, values: Values) -> None:
        """Count the samples (n, c)."""
        size = 2 ** (self._bits * self._channels)
        if not self._dense.size and self._since + len(values) <= size // 16:
            codes = np.empty(len(values), np.uint32)
            encode(values, offset(self._dtype), self._bits, codes)
            self._few.append(codes)
            self._since += len(values)
            return
        if not self._dense.size:
            self._done, self._few, self._since = self.result(), [], 0
            self._dense = np.zeros(size, np.uint8)
        self._since += len(values)
        full = np.empty(len(values), np.uint32)  # touched as far as it is written
        written = count_codes(values, offset(self._dtype), self._bits, self._dense, full)
        self._full.append(full[:written].copy())

    def result(self) -> Table:
        """Return what was counted."""
        if self._dense.size:
            full, often = np.unique(np.concatenate(self._full), return_counts=True)
            n = np.count_nonzero(self._dense) + np.count_nonzero(self._dense[full] == 0)
            few = n <= len(self._dense) // LISTED
            table = self._listed(full, often, int(n)) if few else self._all(full, often)
        else:
            every = np.concatenate([np.empty(0, np.uint32), *self._few])
            codes, counts = np.unique(every, return_counts=True)
            counts = counts.astype(np.int64, copy=False)
            table = Table(codes, counts, self._since, self._dtype, self._channels)
        if self._done is None or not self._done.pixels:
            return table
        return self._done.merge(table)

    def _listed(self, full: Codes, often: Ints, n: int) -> Table:
        """Return what was counted densely as a list of `n` codes."""
        codes, counts = np.empty(n + 1, np.uint32), np.empty(n + 1, np.int64)
        sparse(self._dense, full, often, codes, counts)
        return Table(codes[:n], counts[:n], self._since, self._dtype, self._channels)

    def _all(self, full: Codes, often: Ints) -> Table:
        """Return what was counted densely as the counts of all codes."""
        counts: Ints = self._dense.astype(np.uint32 if self._since < 2**32 else np.int64)
        counts[full] += (256 * often).astype(counts.dtype)
        return Table(None, counts, self._since, self._dtype, self._channels)


@njit(nogil=True, cache=True)
def merge_sorted(a: Codes, na: Ints, b: Codes, nb: Ints) -> tuple[Codes, Ints]:
    """Merge two ascending lists of codes, adding the counts of codes in both."""
    codes = np.empty(len(a) + len(b), np.uint32)
    counts = np.empty(len(a) + len(b), np.int64)
    i = j = n = 0
    while i < len(a) and j < len(b):  # no branch but this one: which list comes next is a toss-up
        x, y = a[i], b[j]
        first, second = x <= y, y <= x
        codes[n] = x if first else y
        counts[n] = (na[i] if first else 0) + (nb[j] if second else 0)
        i += 1 if first else 0
        j += 1 if second else 0
        n += 1
    for rest in range(i, len(a)):
        codes[n], counts[n] = a[rest], na[rest]
        n += 1
    for rest in range(j, len(b)):
        codes[n], counts[n] = b[rest], nb[rest]
        n += 1
    return codes[:n].copy(), counts[:n].copy()
