"""The table of integer vectors of at most 24 bits: a code per vector, a count per code.

Grey images of 8 and 16 bits and RGB images of 8 bits have 256, 65,536 and 2**24 possible
vectors. One read counts them densely; what travels and is merged is the sparse form.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pipeline.kmeans.kernels import count_codes, decode, encode, sparse, widen_by_codes
from pipeline.kmeans.samples import Ints, Samples, Values

TABLE_BITS = 24
"""Integer vectors up to this width are counted densely."""

Codes = NDArray[np.uint32]


def fits(dtype: np.dtype[Any], channels: int) -> bool:
    """Whether vectors of `channels` numbers of `dtype` have codes of at most 24 bits."""
    return dtype.kind in "ui" and 8 * dtype.itemsize * channels <= TABLE_BITS


@dataclass(frozen=True, slots=True)
class Table:
    """Every distinct vector with its count."""

    codes: Codes
    """(n,), ascending: the lexicographic order of the vectors."""
    counts: Ints
    """How often each occurs, (n,)."""
    dtype: np.dtype[Any]
    """Of the numbers."""
    channels: int

    @property
    def complete(self) -> bool:
        """A table misses nothing."""
        return True

    def merge(self, other: "Table") -> "Table":
        """Return the table of both parts together."""
        codes, counts = merge_sorted(self.codes, self.counts, other.codes, other.counts)
        return Table(codes, counts, self.dtype, self.channels)

    def samples(self) -> Samples:
        """Return the vectors in lexicographic order."""
        values = np.empty((len(self.codes), self.channels), self.dtype)
        decode(self.codes, offset(self.dtype), 8 * self.dtype.itemsize, values)
        return Samples(values, self.counts)

    def widen(self, lowest: Values, highest: Values) -> None:
        """Widen the range of each channel, (c,) and (c,), to that of the vectors."""
        bits = 8 * self.dtype.itemsize
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
        self._dense = np.empty(0, np.uint32)
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
            self._dense = np.zeros(size, np.uint32)
        if self._since + len(values) >= 2**32:
            self._done, self._since = self.result(), 0
            self._dense[:] = 0
        self._since += len(values)
        count_codes(values, offset(self._dtype), self._bits, self._dense)

    def result(self) -> Table:
        """Return what was counted."""
        if self._dense.size:
            codes, counts = sparse(self._dense)
        else:
            every = np.concatenate([np.empty(0, np.uint32), *self._few])
            codes, counts = np.unique(every, return_counts=True)
        table = Table(codes, counts.astype(np.int64), self._dtype, self._channels)
        return table if self._done is None else self._done.merge(table)


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
        i += np.int64(first)
        j += np.int64(second)
        n += 1
    for rest in range(i, len(a)):
        codes[n], counts[n] = a[rest], na[rest]
        n += 1
    for rest in range(j, len(b)):
        codes[n], counts[n] = b[rest], nb[rest]
        n += 1
    return codes[:n].copy(), counts[:n].copy()
