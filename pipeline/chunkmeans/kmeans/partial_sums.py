"""Exact sums by nearest mean, and the farthest samples: values that merge in any order."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from chunkmeans.kmeans.exact.accumulator import Exact, form
from chunkmeans.kmeans.samples import Floats, Ints, Limbs, Values


@dataclass(frozen=True, slots=True)
class PartialSums:
    """Exact sums and counts of some samples by nearest mean: a commutative monoid."""

    counts: Ints
    """Samples nearest to each mean, (k,)."""
    sums: Exact
    """Their sums, (k, c)."""

    @classmethod
    def of_limbs(cls, counts: Ints, sums: Limbs, dtype: np.dtype[Any]) -> "PartialSums":
        """Take over what was added to `empty_sums`, of samples of a canonical `dtype`."""
        f = form(dtype)
        return cls(counts, Exact.of_limbs(sums, f.sum_limbs, f.sum_exponent))

    def merge(self, other: "PartialSums") -> "PartialSums":
        """Return the sums of both parts together."""
        return PartialSums(self.counts + other.counts, self.sums + other.sums)


@dataclass(frozen=True, slots=True)
class Far:
    """The distinct samples farthest from their own mean, greatest distance first."""

    values: Values
    """(m, c); of equal distances the lexicographically smaller comes first."""
    distances: Floats
    """Squared, in the scaled metric, (m,)."""

    def merge(self, other: "Far", number: int) -> "Far":
        """Return the farthest `number` of both parts."""
        values = np.concatenate([self.values, other.values])
        distances = np.concatenate([self.distances, other.distances])
        order = np.lexsort((*values.T[::-1], -distances))
        values, distances = values[order], distances[order]
        new = np.ones(len(values), bool)
        new[1:] = (values[1:] != values[:-1]).any(axis=1)
        return Far(values[new][:number], distances[new][:number])


def empty_sums(k: int, values: Values) -> tuple[Ints, Limbs, int]:
    """Return counts (k,) and sums (k, c, limbs) to add samples (n, c) to; the sums' exponent.

    Samples of at most 16 bits have one limb: an int64, which holds the sums of 2**47 of them.
    """
    f = form(values.dtype)
    limbs = 1 if values.dtype.itemsize <= 2 else f.sum_limbs
    return np.zeros(k, np.int64), np.zeros((k, values.shape[1], limbs), np.int64), f.sum_exponent
