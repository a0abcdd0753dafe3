"""The table of integer vectors of at most 24 bits: a code per vector, a count per code.

Grey images of 8 and 16 bits and RGB images of 8 bits have 256, 65,536 and 2**24 possible
vectors. One read counts them in a byte for every possible code, which stays in the processor's
cache; what a byte cannot hold is listed. So are the codes that occur, without any bytes, where
they are few.
"""

from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkmeans.kmeans.counting import codes as loops
from chunkmeans.kmeans.samples import Ints, Samples, Values

TABLE_BITS = 24
"""Integer vectors up to this width are counted densely."""

NARROW_BITS = 16
"""Vectors up to this width are counted in a number each, which together stay in the cache."""

LISTED = 16
"""A list is kept while at most 1 in 16 possible codes occurs; beyond that a dense plane of bytes is
smaller: a listed code takes 12 bytes, and two lists that are merged become a third."""

CODES_AT_ONCE = 2**16
"""Codes whose digits are put together at a time."""

Planes = tuple[NDArray[np.uint8], ...]


def fits(dtype: np.dtype[Any], channels: int) -> bool:
    """Whether vectors of `channels` numbers of `dtype` have codes of at most 24 bits."""
    return dtype.kind in "ui" and 8 * dtype.itemsize * channels <= TABLE_BITS


@dataclass(frozen=True, slots=True)
class Table:
    """Every distinct vector with its count: a commutative monoid under `merge`.

    A count is written to base 256: its lowest digits are in planes, a byte of each for every
    possible code, and the rest is in a list of the codes that have one.
    """

    planes: Planes
    """Digits of the counts of all codes, the lowest first."""
    codes: loops.Codes
    """Those that have a rest, (n,), ascending: the lexicographic order of the vectors."""
    rest: Ints
    """Above zero, in units of ``256**len(planes)``, (n,)."""
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
        loops.encode(values, offset(values.dtype), 8 * values.dtype.itemsize, codes)
        table = cls((), codes, counts, int(counts.sum()), values.dtype, values.shape[1])
        return table.compact()

    @property
    def size(self) -> int:
        """Number of possible codes."""
        return int(2 ** (8 * self.dtype.itemsize * self.channels))

    def merge(self, other: "Table") -> "Table":
        """Return the table of both parts together.

        What is over in one plane goes into the next at once: what is over in the last is few.
        """
        parts, pixels = (self, other), self.pixels + other.pixels
        number = max(len(part.planes) for part in parts)
        if number:
            number = max(number, planes_of(pixels, self.size))
        planes = tuple(np.empty(self.size, np.uint8) for _ in range(number))
        codes = add_planes(self.planes, other.planes, planes)
        rest = np.ones(len(codes), np.int64)
        for part in parts:
            more = add_list(part.codes, part.rest, planes[len(part.planes) :])
            codes, rest = merge_sorted(codes, rest, *more)
        return replace(self, planes=planes, codes=codes, rest=rest, pixels=pixels).compact()

    def compact(self) -> "Table":
        """Return the same with as many planes as make the list short."""
        table = self
        while len(table.codes) > self.size // LISTED:
            table = table.with_planes(len(table.planes) + 1)
        return table

    def with_planes(self, number: int) -> "Table":
        """Return the same with at least so many planes."""
        more = tuple(np.zeros(self.size, np.uint8) for _ in range(number - len(self.planes)))
        codes, rest = add_list(self.codes, self.rest, more)
        return replace(self, planes=self.planes + more, codes=codes, rest=rest)

    def listed(self) -> "Table":
        """Return the same without planes: a list of the codes that occur, and their counts."""
        if not self.planes:
            return self
        occurs = reduce(np.bitwise_or, self.planes)
        n = int(np.count_nonzero(occurs)) + int(np.count_nonzero(occurs[self.codes] == 0))
        codes, counts = np.empty(n + 1, np.uint32), np.empty(n + 1, np.int64)
        rest = self.rest << 8 * len(self.planes)
        found = 0
        for start in range(0, self.size, CODES_AT_ONCE):
            parts = [plane[start : start + CODES_AT_ONCE].astype(np.int64) for plane in self.planes]
            low = reduce(np.add, (part << 8 * i for i, part in enumerate(parts)))
            a, b = np.searchsorted(self.codes, [start, start + CODES_AT_ONCE])
            found += loops.sparse(
                low, start, self.codes[a:b], rest[a:b], codes[found:], counts[found:]
            )
        return replace(self, planes=(), codes=codes[:n], rest=counts[:n])

    def samples(self) -> Samples:
        """Return the vectors in lexicographic order."""
        listed = self.listed()
        values = np.empty((len(listed.codes), self.channels), self.dtype)
        loops.decode(listed.codes, offset(self.dtype), 8 * self.dtype.itemsize, values)
        return Samples(values, listed.rest)


def planes_of(pixels: int, size: int) -> int:
    """Return how many planes a table of `size` possible codes may come to have.

    >>> planes_of(2**20, 2**24), planes_of(2**28, 2**24), planes_of(2**29, 2**24)
    (0, 1, 2)
    """
    planes = 0
    while pixels >> 8 * planes > size // LISTED:
        planes += 1
    return planes


def counting_bytes(size: int) -> int:
    """Return how many bytes a task takes to count vectors, beside what it has counted.

    Narrow ones are listed at the end, with copies on their way.
    """
    return size * (40 if size <= 2**NARROW_BITS else 1)


def merged_bytes(pixels: int, size: int) -> int:
    """Return how many bytes the merging of two tables takes beside them, at most.

    That is of so many pixels together: the planes of both, and lists, with copies on their way.
    """
    return planes_of(pixels, size) * size + 48 * min(pixels, size // LISTED)


def offset(dtype: np.dtype[Any]) -> int:
    """Return what makes every number of an integer `dtype` unsigned when added."""
    return -int(np.iinfo(dtype).min)


def table_counter(dtype: np.dtype[Any], channels: int) -> "NarrowCounter | ColourCounter":
    """Return what counts vectors that `fits` says have a table."""
    if 8 * dtype.itemsize * channels <= NARROW_BITS:
        return NarrowCounter(dtype, channels)
    return ColourCounter()


class NarrowCounter:
    """Counts vectors of at most 16 bits as samples come, in a number for every possible code."""

    rest = None

    def __init__(self, dtype: np.dtype[Any], channels: int) -> None:
        self._dtype, self._channels = dtype, channels
        self._bits = 8 * dtype.itemsize
        self._counts = np.zeros(2 ** (self._bits * channels), np.int64)

    def add(self, values: Values) -> None:
        """Count the samples (n, c)."""
        loops.count_narrow(values, offset(self._dtype), self._bits, self._counts)

    def result(self) -> Table:
        """Return what was counted."""
        codes = np.flatnonzero(self._counts).astype(np.uint32)
        counts = self._counts[codes]
        pixels = int(counts.sum())
        return Table((), codes, counts, pixels, self._dtype, self._channels).compact()


class ColourCounter:
    """Counts colours of 24 bits as samples come: few are sorted, many are counted densely."""

    rest = None

    def __init__(self) -> None:
        self._dense = np.empty(0, np.uint8)
        self._full: list[loops.Codes] = []
        self._few: list[loops.Codes] = []
        self._since = 0
        self._done: Table | None = None

    def add(self, values: Values) -> None:
        """Count the samples (n, 3)."""
        if not self._dense.size and self._since + len(values) < 2**TABLE_BITS // LISTED:
            codes = np.empty(len(values), np.uint32)
            loops.encode(values, 0, 8, codes)
            self._few.append(codes)
            self._since += len(values)
            return
        if not self._dense.size:
            self._done, self._few, self._since = self.result(), [], 0
            self._dense = np.zeros(2**TABLE_BITS, np.uint8)
        self._since += len(values)
        full = np.empty(len(values), np.uint32)  # touched as far as it is written
        written = loops.count_colours(values, self._dense, full)
        self._full.append(full[:written].copy())

    def result(self) -> Table:
        """Return what was counted."""
        if self._dense.size:
            codes, often = np.unique(np.concatenate(self._full), return_counts=True)
            table = self._table((self._dense,), codes, often)
            if np.count_nonzero(self._dense) + len(codes) <= len(self._dense) // LISTED:
                table = table.listed()
        else:
            every = np.concatenate([np.empty(0, np.uint32), *self._few])
            table = self._table((), *loops.count_sorted(every))
        if self._done is None or not self._done.pixels:
            return table.compact()
        return self._done.merge(table)

    def _table(self, planes: Planes, codes: loops.Codes, rest: NDArray[Any]) -> Table:
        rest = rest.astype(np.int64, copy=False)
        return Table(planes, codes, rest, self._since, np.dtype(np.uint8), 3)


def add_planes(a: Planes, b: Planes, total: Planes) -> loops.Codes:
    """Write the sum of two tables' planes; return the codes at which it is over in the last one.

    Of a plane that is not there all digits are zero.
    """
    over, none = [np.empty(0, np.uint32)], np.zeros(CODES_AT_ONCE, np.uint8)
    for start in range(0, len(total[0]) if total else 0, CODES_AT_ONCE):
        here = slice(start, start + CODES_AT_ONCE)
        carry = np.zeros(len(total[0][here]), np.uint8)
        for i, plane in enumerate(total):
            x, y = (part[i][here] if i < len(part) else none[: len(carry)] for part in (a, b))
            loops.add_plane(x, y, carry, plane[here])
        over.append((start + np.flatnonzero(carry.view(bool))).astype(np.uint32))
    return np.concatenate(over)


def add_list(codes: loops.Codes, rest: Ints, planes: Planes) -> tuple[loops.Codes, Ints]:
    """Add listed counts to planes, lowest digits to the first; return what they cannot hold."""
    if planes:
        rest = rest.copy()
    for plane in planes:
        kept = loops.add_digits(plane, codes, rest)
        codes, rest = codes[kept], rest[kept]
    return codes, rest


def merge_sorted(a: loops.Codes, na: Ints, b: loops.Codes, nb: Ints) -> tuple[loops.Codes, Ints]:
    """Merge two ascending lists of codes, adding the counts of codes in both."""
    if not len(a) or not len(b):
        return (a, na) if len(a) else (b, nb)
    codes, counts = np.empty(len(a) + len(b), np.uint32), np.empty(len(a) + len(b), np.int64)
    n = loops.write_merged(a, na, b, nb, codes, counts)
    for array in (codes, counts):
        array.resize(n, refcheck=False)  # in place: a copy would take as much again
    return codes, counts
