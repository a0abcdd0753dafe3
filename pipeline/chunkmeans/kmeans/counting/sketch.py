"""Distinct sample vectors and how often each occurs; of too many, those of lowest hash.

A `Distinct` holds either every distinct vector of a multiset of samples (then k-means on it is
k-means on all samples), or the `SKETCH` vectors of lowest hash, whose counts are exact all the
same: a vector among the lowest of the whole is among the lowest of every part, so no part ever
drops it (bottom-k sampling; Cohen and Kaplan, PODC 2007). The hash depends on the vector alone,
so merging in any order gives the same vectors and counts.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkmeans.kmeans.compiled.blocks import BLOCK_SIZE, workspace_for
from chunkmeans.kmeans.compiled.calls import Addresses, addresses, over_samples, steps_at
from chunkmeans.kmeans.compiled.jit import compiled
from chunkmeans.kmeans.compiled.typed_bytes import as_bytes
from chunkmeans.kmeans.exact.moments import Moments
from chunkmeans.kmeans.samples import Bytes, Floats, Ints, Samples, Values

SKETCH = 2**17
"""Vectors a sketch holds."""
LIMIT = 2**20
"""Most distinct vectors that are all kept; beyond, only a sketch is."""

Hashes = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Distinct:
    """Distinct vectors with their counts, ordered by hash, equal hashes lexicographically."""

    values: Values
    """(n, c), canonical dtype."""
    counts: Ints
    """How often each occurs, (n,)."""
    hashes: Hashes
    """(n,), ascending."""
    complete: bool
    """Whether no vector is missing."""

    @classmethod
    def of(cls, samples: Samples, *, complete: bool) -> "Distinct":
        """Return distinct vectors with their counts, in any order, as they are kept."""
        hashes = hashes_of(samples.values)
        order = by_hash(samples.values, hashes)
        return cls(samples.values[order], samples.weights[order], hashes[order], complete)

    def merge(self, other: "Distinct") -> "Distinct":
        """Return the distinct vectors of both parts together."""
        values = np.concatenate([self.values, other.values])
        counts = np.concatenate([self.counts, other.counts])
        hashes = np.concatenate([self.hashes, other.hashes])
        order = by_hash(values, hashes)
        values, counts, hashes = values[order], counts[order], hashes[order]
        same = (hashes[1:] == hashes[:-1]) & (values[1:] == values[:-1]).all(axis=1)
        first = np.flatnonzero(np.concatenate([[True], ~same]))[: len(values)]
        merged = Distinct(
            values[first],
            np.add.reduceat(counts, first) if len(first) else counts,
            hashes[first],
            self.complete and other.complete,
        )
        return merged if merged.complete and len(first) <= LIMIT else merged.sketch()

    def sketch(self) -> "Distinct":
        """Return the vectors of lowest hash only."""
        keep = slice(0, SKETCH)
        return Distinct(self.values[keep], self.counts[keep], self.hashes[keep], complete=False)

    def samples(self) -> Samples:
        """Return the vectors in lexicographic order."""
        order = np.lexsort(self.values.T[::-1])
        return Samples(self.values[order], self.counts[order])


def by_hash(values: Values, hashes: Hashes) -> Ints:
    """Return the order of vectors by hash, different vectors of one hash lexicographically."""
    order = np.argsort(hashes)
    ordered = hashes[order]
    twins = np.flatnonzero(ordered[1:] == ordered[:-1])
    if (values[order[twins]] != values[order[twins + 1]]).any():
        order = np.lexsort((*values.T[::-1], hashes))
    return order


def lowest(values: Values, hashes: Hashes) -> Ints:
    """Return the rows of a sketch's vectors, in any order; sorts only if hashes are the same."""
    rows = np.flatnonzero(hashes <= np.partition(hashes, SKETCH - 1)[SKETCH - 1])
    return rows if len(rows) == SKETCH else by_hash(values, hashes)[:SKETCH]


class DistinctCounter:
    """Counts distinct vectors as samples come; keeps a sketch where they rarely repeat."""

    def __init__(self, dtype: np.dtype[Any], channels: int) -> None:
        self.complete = True
        self.rest: Moments | None = None
        """Exact totals of all samples, once not all vectors are kept."""
        self._dtype, self._channels = dtype, channels
        self._seen = 0
        self._highest = np.uint64(2**64 - 1)
        self._found = 0
        self._make_room(SKETCH)

    def add(self, values: Values) -> None:
        """Count the samples (n, c)."""
        if values.dtype.kind == "f":
            values = values + 0.0  # -0.0 equals 0.0, so it has to be the same bits
        start, kept = 0, 0
        new, kind = as_bytes(values)
        while True:
            start, self._found = insert(
                addresses(), new, kind, self._channels, start, self._values.view(np.uint8),
                self._counts, self._hashes, self._slots, self._found, self._highest,
            )  # fmt: skip
            if self.complete:
                kept = start
            if start == len(values):
                break
            self._overflow(self._seen + start)
        self._seen += len(values)
        if not self.complete and kept < len(values):
            self._count_rest(Samples(values[kept:]))

    def result(self) -> Distinct:
        """Return what was counted."""
        values, counts, hashes = self._entered()
        order = by_hash(values, hashes)
        counted = Distinct(values[order], counts[order], hashes[order], self.complete)
        return counted if self.complete else counted.sketch()

    def _overflow(self, seen: int) -> None:
        """Double the room, or go over to the sketch where vectors repeat too little for it."""
        values, counts, hashes = self._entered()
        size = 2 * len(hashes)
        if self.complete and (size > LIMIT or 2 * len(hashes) > seen):
            self.complete = False
            self._count_rest(Samples(values, counts))
        if self.complete:
            rows = np.arange(len(hashes))
        else:
            size, rows = 2 * SKETCH, lowest(values, hashes)
            self._highest = hashes[rows].max()
        self._make_room(size)
        self._found = len(rows)
        for new, old in zip(self._entered(), (values, counts, hashes), strict=True):
            new[:] = old[rows]
        fill_slots(self._hashes, self._found, self._slots)

    def _make_room(self, size: int) -> None:
        """Take new arrays of `size` vectors."""
        self._values: Values = np.empty((size, self._channels), self._dtype)
        self._counts: Ints = np.empty(size, np.int64)
        self._hashes: Hashes = np.empty(size, np.uint64)
        self._slots: NDArray[np.int32] = np.full(4 * size, -1, np.int32)

    def _entered(self) -> tuple[Values, Ints, Hashes]:
        """Return the vectors found so far, their counts and hashes, as they came."""
        found = slice(self._found)
        return self._values[found], self._counts[found], self._hashes[found]

    def _count_rest(self, samples: Samples) -> None:
        more = Moments.of(samples)
        self.rest = more if self.rest is None else self.rest.merge(more)


def hashes_of(values: Values) -> Hashes:
    """Hash of each sample, (n, c) to (n,), the same for equal numbers of any type of a kind.

    Each channel is stirred by the finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
    """
    hashes: Hashes = np.empty(len(values), np.uint64)
    write_hashes(values, values.shape[1], hashes)
    return hashes


@over_samples(0)
def write_hashes(places: Addresses, raw: Bytes, kind: int, c: int, hashes: Hashes) -> None:
    """Write the hash of each sample, block by block."""
    steps, space = steps_at(places), workspace_for(c, 1, kind)
    for start in range(0, len(raw), BLOCK_SIZE):
        size = min(BLOCK_SIZE, len(raw) - start)
        steps.transpose(raw, kind, start, size, space.transposed, space.words)
        hash_block(space.transposed, size, hashes[start : start + size])


@compiled
def hash_block(transposed: Floats, size: int, hashes: Hashes) -> None:
    """Write the hashes of the samples of a block, several at a time."""
    for p in range(size):
        hashes[p] = np.uint64(0x9E3779B97F4A7C15)
    for ch in range(len(transposed)):
        row = transposed[ch]
        for p in range(size):
            h = hashes[p] ^ np.float64(row[p] + 0.0).view(np.uint64)
            h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            hashes[p] = h ^ (h >> np.uint64(31))


@compiled
def insert(
    places: Addresses, new: Bytes, kind: int, c: int, start: int, values: Bytes, counts: Ints,
    hashes: Hashes, slots: NDArray[np.int32], found: int, highest: np.uint64,
) -> tuple[int, int]:  # fmt: skip
    """Count samples from row `start` on, those of a hash up to `highest`, until the room is full.

    Returns the row that found no room (or the number of rows) and the number of vectors.
    """
    steps = steps_at(places)
    space, block = workspace_for(c, 1, kind), np.empty(BLOCK_SIZE, np.uint64)
    itemsize = new.shape[1] // c
    row = start
    while row < len(new):
        size = min(BLOCK_SIZE, len(new) - row)
        steps.transpose(new, kind, row, size, space.transposed, space.words)
        hash_block(space.transposed, size, block)
        rows = new[row : row + size]
        if itemsize == 1:
            done, found = insert_block(rows, block, values, counts, hashes, slots, found, highest)
        elif itemsize == 2:
            done, found = insert_block(
                rows.view(np.uint16), block, values.view(np.uint16), counts, hashes, slots, found,
                highest,
            )  # fmt: skip
        elif itemsize == 4:
            done, found = insert_block(
                rows.view(np.uint32), block, values.view(np.uint32), counts, hashes, slots, found,
                highest,
            )  # fmt: skip
        else:
            done, found = insert_block(
                rows.view(np.uint64), block, values.view(np.uint64), counts, hashes, slots, found,
                highest,
            )  # fmt: skip
        row += done
        if done < size:
            break
    return row, found


@compiled
def insert_block(
    new: NDArray[Any], block: Hashes, values: NDArray[Any], counts: Ints, hashes: Hashes,
    slots: NDArray[np.int32], found: int, highest: np.uint64,
) -> tuple[int, int]:  # fmt: skip
    """Count samples, given by their bits, whose hashes are in `block`; else as `insert`."""
    n, c = new.shape
    room = len(hashes)
    wrap = np.uint64(len(slots) - 1)
    for row in range(n):
        h = block[row]
        if h > highest:
            continue  # not in the sketch, as nearly all samples once there is one
        at = h & wrap  # open addressing: from its own slot on to the first free one
        while True:
            entry = slots[at]
            if entry < 0:
                if found == room:
                    return row, found
                slots[at] = found
                for ch in range(c):
                    values[found, ch] = new[row, ch]
                counts[found] = 1
                hashes[found] = h
                found += 1
                break
            same = hashes[entry] == h
            if same:
                for ch in range(c):
                    same = same and values[entry, ch] == new[row, ch]
            if same:
                counts[entry] += 1
                break
            at = (at + np.uint64(1)) & wrap
    return n, found


@compiled
def fill_slots(hashes: Hashes, found: int, slots: NDArray[np.int32]) -> None:
    """Enter the first `found` vectors into empty slots."""
    wrap = np.uint64(len(slots) - 1)
    for entry in range(found):
        at = hashes[entry] & wrap
        while slots[at] >= 0:
            at = (at + np.uint64(1)) & wrap
        slots[at] = entry
