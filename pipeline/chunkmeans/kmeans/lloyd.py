"""Lloyd's iteration with the stopping rule of Gonzalez and Woods.

*Digital Image Processing*, 4th ed., section 10.5: assign every sample to its nearest mean, replace
each mean by the average of its samples, and stop when E, the sum of the distances that the means
moved, is at most the threshold T. Where the samples are does not matter here: a `SampleSource`
returns their exact sums for given means, from a table, from pixels in memory or from a cluster.
"""

from collections.abc import Iterator
from math import fsum
from operator import mul
from typing import Literal, Protocol

import numpy as np

from chunkmeans.errors import ChunkError
from chunkmeans.kmeans.compiled.sums import average_groups
from chunkmeans.kmeans.compiled.typed_bytes import read_only
from chunkmeans.kmeans.exact.accumulator import dyadics, rounded
from chunkmeans.kmeans.exact.moments import Moments
from chunkmeans.kmeans.metric import Metric
from chunkmeans.kmeans.model import Iteration
from chunkmeans.kmeans.partial_sums import Far, PartialSums
from chunkmeans.kmeans.samples import Floats, Ints

Empty = Literal["farthest", "keep", "error"]
"""What happens to a group that no sample is nearest to."""


class SampleSource(Protocol):
    """Samples, wherever they are, that can be assigned to given means (k, c)."""

    def sums(self, means: Floats) -> PartialSums:
        """Return exact sums and counts by nearest mean."""
        ...

    def farthest(self, means: Floats, number: int) -> Far:
        """Return the distinct samples farthest from their own mean."""
        ...


def lloyd(  # noqa: PLR0913 (the algorithm's own parameters, in the book's words)
    means: Floats,
    source: SampleSource,
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
    means
        Initial means, (k, c), in the image's own units.
    source
        The samples.
    whole
        Exact totals of all samples as one group; the inertia is computed from them.
    metric
        How far samples are apart.
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
        iteration = iterate_once(index, means, source, whole, metric, empty)
        yield iteration
        if iteration.residual <= threshold:
            return
        means = iteration.means


def iterate_once(
    index: int, means: Floats, source: SampleSource, whole: Moments, metric: Metric, empty: Empty
) -> Iteration:
    """Return one iteration: the averages of the samples nearest to each of the `means` (k, c).

    Parameters and errors are those of `lloyd`.
    """
    assigned = source.sums(means)
    moved = new_means(assigned, means)
    emptied = np.flatnonzero(assigned.counts == 0)
    refilled: tuple[int, ...] = ()
    if len(emptied) and empty == "error":
        raise ChunkError(
            f"group {emptied[0] + 1} of {len(means)} has no sample in iteration {index}; lower "
            "kmeans.k, or set kmeans.empty to farthest or keep"
        )
    if len(emptied) and empty == "farthest":
        far = source.farthest(means, len(emptied))
        away = far.distances > 0  # a sample that is a mean already would make it twice
        refilled = tuple(emptied[: int(away.sum())].tolist())
        moved[list(refilled)] = far.values[away].astype(np.float64) + 0.0  # -0.0 is 0.0
    return Iteration(
        index=index,
        means=moved,
        residual=residual(means, moved, metric),
        inertia=inertia(assigned, means, whole, metric),
        counts=assigned.counts,
        refilled=refilled,
    )


def new_means(assigned: PartialSums, means: Floats) -> Floats:
    """Return the average of each group, (k, c); a group without samples keeps its mean.

    The exact sum is rounded once to float64, then divided by the count.
    """
    found = np.empty_like(means)
    average_groups(assigned.sums.floats(), assigned.counts, read_only(means), found)
    return found


def residual(old: Floats, new: Floats, metric: Metric) -> float:
    """Return E, the sum of the distances that the means moved, (k, c) and (k, c)."""
    return fsum(metric.norms(new - old))


def inertia(assigned: PartialSums, means: Floats, whole: Moments, metric: Metric) -> float:
    """Return the sum of squared distances to the means that the samples are assigned to.

    The exact value of ``sum over channels of w**2 (Q - 2 sum(m S) + sum(n m**2))``, with Q the
    sum of squares of all samples and S and n the sum and number of those of a mean m, rounded
    once: in whole numbers, as the terms cancel nearly where groups are tight.
    """
    k, c = means.shape
    sums, squares = assigned.sums.integers, whole.squares.integers
    counts = assigned.counts.tolist()
    integers, e = dyadics(means.T.ravel().tolist())
    exponents = whole.squares.exponent, e + assigned.sums.exponent + 1, 2 * e
    lowest = min(exponents)
    q, m, n = (exponent - lowest for exponent in exponents)
    weights, scale = dyadics(metric.weights.tolist())
    found = 0
    for ch, w in enumerate(weights):
        column = integers[ch * k : (ch + 1) * k]
        mixed = sum(map(mul, column, sums[ch::c]))
        spread = sum(map(mul, counts, map(mul, column, column)))
        found += w * w * ((squares[ch] << q) - (mixed << m) + (spread << n))
    return rounded(found, 2 * scale + lowest)


def brightness_order(means: Floats) -> Ints:
    """Return the rows of `means` (k, c) from dark to bright: channel average, then lexicographic.

    Examples
    --------
    >>> brightness_order(np.array([[5.0, 1.0], [2.0, 2.0], [1.0, 5.0]])).tolist()
    [1, 2, 0]
    """
    total = np.zeros(len(means))
    for column in means.T:
        total += column
    return np.lexsort((*means.T[::-1], total / means.shape[1]))
