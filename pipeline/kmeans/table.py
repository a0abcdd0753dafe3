"""The table of integer vectors of at most 24 bits: a code per vector, a count per code.

Grey images of 8 and 16 bits and RGB images of 8 bits have 256, 65,536 and 2**24 possible
vectors. One read counts them densely; what travels and is merged is the sparse form.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pipeline.kmeans.kernels import count_codes, encode
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
        bits = 8 * self.dtype.itemsize
        values = np.empty((len(self.codes), self.channels), self.dtype)
        for ch in range(self.channels):
            number = (self.codes >> np.uint32(bits * (self.channels - 1 - ch))).astype(np.int64)
            values[:, ch] = (number & (2**bits - 1)) - offset(self.dtype)
        return Samples(values, self.counts)


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
            codes = np.flatnonzero(self._dense).astype(np.uint32)
            counts = self._dense[codes].astype(np.int64)
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
    while i < len(a) or j < len(b):
        if j == len(b) or (i < len(a) and a[i] < b[j]):
            codes[n], counts[n] = a[i], na[i]
            i += 1
        elif i == len(a) or b[j] < a[i]:
            codes[n], counts[n] = b[j], nb[j]
            j += 1
        else:
            codes[n], counts[n] = a[i], na[i] + nb[j]
            i += 1
            j += 1
        n += 1
    return codes[:n].copy(), counts[:n].copy()
