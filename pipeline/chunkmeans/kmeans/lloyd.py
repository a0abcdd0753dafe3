"""Lloyd's iteration with Gonzalez and Woods' stopping rule.

Digital Image Processing, 4th ed., section 10.5: assign every sample to its nearest mean, replace
each mean by the average of its samples, and stop when E, the sum of the Euclidean norms of the
means' moves, is at most the threshold T. The samples are not here: whoever has them answers for
given means with exact `PartialSums`, from a table, from pixels in memory or from a cluster.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import fsum, sqrt
from operator import mul
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from chunkmeans.errors import ChunkError
from chunkmeans.kmeans.compiled import assign as kernels
from chunkmeans.kmeans.compiled.sums import add_nearest
from chunkmeans.kmeans.exact.accumulator import (
    CARRY_EVERY,
    Exact,
    Limbs,
    add_dyadics,
    carry,
    dyadic,
    dyadics,
    form,
    rounded,
)
from chunkmeans.kmeans.exact.moments import Moments
from chunkmeans.kmeans.model import Iteration
from chunkmeans.kmeans.samples import Floats, Ints, Samples, Values

Empty = Literal["farthest", "keep", "error"]


@dataclass(frozen=True, slots=True)
class PartialSums:
    """Exact sums and counts of some samples by nearest mean: a commutative monoid."""

    counts: Ints
    """(k,)."""
    sums: Exact
    """(k, c)."""

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


class Pixels(Protocol):
    """Samples, wherever they are, that answer for given means (k, c)."""

    def sums(self, means: Floats) -> PartialSums:
        """Return exact sums and counts by nearest mean."""
        ...

    def farthest(self, means: Floats, number: int) -> Far:
        """Return the distinct samples farthest from their own mean."""
        ...


@dataclass(frozen=True)
class Metric:
    """How far two samples are apart: Euclidean, each channel's difference times its weight."""

    weights: Floats
    """(c,), positive."""

    @cached_property
    def scaled(self) -> bool:
        """Whether any weight is not one."""
        return bool((self.weights != 1.0).any())

    def labels(
        self, values: Values, means: Floats, numbers: NDArray[Any], out: NDArray[Any]
    ) -> None:
        """Write ``numbers[nearest]`` of each sample, (n, c) to (n,); ties to the lowest index."""
        kernels.assign(values, means, self.weights, self.scaled, numbers, out)

    def sums(self, samples: Samples, means: Floats) -> PartialSums:
        """Return the exact sums and counts of samples by nearest mean."""
        values, weights = samples.values, samples.weights
        number, sums, exponent = sums_of_groups(len(means), values)
        for start in range(0, len(values), CARRY_EVERY):
            rows = slice(start, start + CARRY_EVERY)
            add_nearest(
                values[rows], weights[rows], means, self.weights, self.scaled, number, sums,
                exponent,
            )  # fmt: skip
            if sums.shape[2] > 1:
                carry(sums.reshape(-1, sums.shape[2]))
        return partial_sums(number, sums, values.dtype)

    def moments(self, samples: Samples, means: Floats) -> Moments:
        """Return exact counts, sums and squares of samples by nearest mean."""
        labels = np.empty(len(samples.values), np.uint16)
        self.labels(samples.values, means, np.arange(len(means), dtype=np.uint16), labels)
        return Moments.of(samples, labels, len(means))

    def farthest(self, values: Values, means: Floats, number: int) -> Far:
        """Return the distinct samples farthest from their own mean."""
        rows, distances = kernels.farthest(values, means, self.weights, self.scaled, number)
        return Far(values[rows], distances)

    def lengths(self, moves: Floats) -> list[float]:
        """Return the Euclidean norms of differences, (k, c) to k numbers."""
        weights, found = self.weights.tolist(), []
        for move in moves.tolist():
            total = 0.0
            for difference, weight in zip(move, weights, strict=True):
                scaled = difference * weight
                total += scaled * scaled
            found.append(sqrt(total))
        return found


def sums_of_groups(k: int, values: Values) -> tuple[Ints, Limbs, int]:
    """Return numbers (k,) and sums (k, c, limbs) to add samples (n, c) to; the sums' exponent.

    Samples of at most 16 bits have one limb: an int64, which holds the sums of 2**47 of them.
    """
    f = form(values.dtype)
    limbs = 1 if values.dtype.itemsize <= 2 else f.sum_limbs
    return np.zeros(k, np.int64), np.zeros((k, values.shape[1], limbs), np.int64), f.sum_exponent


def partial_sums(number: Ints, sums: Limbs, dtype: np.dtype[Any]) -> PartialSums:
    """Take over what was added to `sums_of_groups`."""
    f = form(dtype)
    return PartialSums(number, Exact.of_limbs(sums, f.sum_limbs, f.sum_exponent))


def lloyd(
    means: Floats,
    pixels: Pixels,
    whole: Moments,
    metric: Metric,
    *,
    first: int = 1,
    threshold: float = 0.0,
    max_iterations: int = 1000,
    empty: Empty = "farthest",
) -> Iterator[Iteration]:
    """Yield the iterations from `means` (k, c) until E <= `threshold`.

    Parameters
    ----------
    pixels
        Answers with exact sums for given means.
    whole
        Exact totals of all samples as one group; the inertia is computed from them.
    first
        Which iteration comes next: 1 from initial means.
    threshold
        T, in the metric's units, at least 0.
    max_iterations
        The most iterations, at least 1.
    empty
        What happens to a group that no sample is nearest to: ``farthest`` moves its mean onto
        the sample farthest from its own mean, ``keep`` leaves it, ``error`` raises.

    Raises
    ------
    ChunkError
        If a group is emptied and `empty` is ``error``.
    """
    for index in range(first, max_iterations + 1):
        iteration = turn(index, means, pixels, whole, metric, empty)
        yield iteration
        if iteration.residual <= threshold:
            return
        means = iteration.means


def turn(
    index: int, means: Floats, pixels: Pixels, whole: Moments, metric: Metric, empty: Empty
) -> Iteration:
    """Return one iteration: sums, new means, residual and inertia."""
    partial = pixels.sums(means)
    counts = partial.counts[:, None]
    moved = np.divide(partial.sums.floats(), counts, out=means.copy(), where=counts > 0)
    emptied = np.flatnonzero(partial.counts == 0)
    refilled: tuple[int, ...] = ()
    if len(emptied) and empty == "error":
        raise ChunkError(
            f"group {emptied[0] + 1} of {len(means)} has no sample in iteration {index}; lower "
            "kmeans.k, or set kmeans.empty to farthest or keep"
        )
    if len(emptied) and empty == "farthest":
        far = pixels.farthest(means, len(emptied))
        away = far.distances > 0
        refilled = tuple(emptied[: int(away.sum())].tolist())
        moved[list(refilled)] = far.values[away].astype(np.float64) + 0.0  # -0.0 is 0.0
    return Iteration(
        index=index,
        means=moved,
        residual=residual(means, moved, metric),
        inertia=inertia(partial, means, whole, metric),
        counts=partial.counts,
        refilled=refilled,
    )


def residual(old: Floats, new: Floats, metric: Metric) -> float:
    """Return E, the sum of the norms of the means' moves, (k, c) and (k, c)."""
    return fsum(metric.lengths(new - old))


def inertia(partial: PartialSums, means: Floats, whole: Moments, metric: Metric) -> float:
    """Return the sum of squared distances to the means that `partial` was taken for.

    The exact value of ``sum over channels of w**2 (Q - 2 sum(m S) + sum(n m**2))``, with Q the
    sum of squares of all samples, rounded once.
    """
    k, c = means.shape
    sums, squares = partial.sums.integers, whole.squares.integers
    counts = partial.counts.tolist()
    integers, e = dyadics(means.T.ravel().tolist())
    exponents = whole.squares.exponent, e + partial.sums.exponent + 1, 2 * e
    lowest = min(exponents)
    q, m, n = (exponent - lowest for exponent in exponents)
    terms = []
    for ch, weight in enumerate(metric.weights.tolist()):
        column = integers[ch * k : (ch + 1) * k]
        mixed = sum(map(mul, column, sums[ch::c]))
        spread = sum(map(mul, counts, map(mul, column, column)))
        w, scale = dyadic(weight)
        total = (squares[ch] << q) - (mixed << m) + (spread << n)
        terms.append((w * w * total, 2 * scale + lowest))
    return rounded(*add_dyadics(terms))


def brightness_order(means: Floats) -> Ints:
    """Return the rows of `means` (k, c) from dark to bright: channel average, then lexicographic.

    >>> brightness_order(np.array([[5.0, 1.0], [2.0, 2.0], [1.0, 5.0]])).tolist()
    [1, 2, 0]
    """
    total = np.zeros(len(means))
    for column in means.T:
        total += column
    return np.lexsort((*means.T[::-1], total / means.shape[1]))
