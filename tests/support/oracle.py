"""Brute force k-means: what the pipeline has to equal, bit for bit.

Written from the design alone, apart from the code it judges, and meant to be checked by reading:
NumPy float64 for distances, Python integers, `math.fsum` and fractions for every sum. It is slow.

Groups are numbered from 0 in the order of the initial means; labels from 1, darkest first.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Empty = Literal["farthest", "keep", "error"]


class EmptiedGroupError(Exception):
    """A group lost its last sample under ``empty="error"``."""


class Turn(NamedTuple):
    """One iteration: assign, then update."""

    means: Floats
    """After the update, (k, c)."""
    residual: float
    """E of the update, in the scaled metric."""
    inertia: float
    """Of the means before the update."""
    counts: Integers
    """Samples per group under the means before the update, (k,)."""


@dataclass(frozen=True)
class Fit:
    """A finished run of `lloyd`."""

    iterations: list[Turn]
    """Every iteration, in order; at least one."""
    means: Floats
    """Final means of all groups, dropped ones too, (k, c)."""
    labels: Integers
    """Group of every sample under the final means, dropped groups aside, (n,)."""
    converged: bool
    """Whether the last residual is at most the threshold."""
    dropped: tuple[int, ...]
    """Groups that were empty in the last iteration and not refilled in it: they get no label."""
    weights: Floats
    """Factor per channel on differences, (c,)."""


def distances(samples: NDArray[Any], means: Floats, weights: Floats) -> Floats:
    """Squared distances in float64, (n, c) and (k, c) to (n, k), channels added in order."""
    total = np.zeros((len(samples), len(means)), np.float64)
    for channel in range(samples.shape[1]):
        x = samples[:, channel].astype(np.float64)
        d = (x[:, None] - means[None, :, channel]) * weights[channel]
        total += d * d
    return total


def nearest(samples: NDArray[Any], means: Floats, weights: Floats) -> Integers:
    """Index of the nearest mean, (n, c) and (k, c) to (n,); of equal ones the lowest."""
    closest: Integers = distances(samples, means, weights).argmin(axis=1).astype(np.int64)
    return closest


def mean(numbers: Sequence[int] | Sequence[float]) -> float:
    """Exact sum, rounded once, over the count."""
    if all(isinstance(number, int) for number in numbers):
        return float(sum(numbers)) / float(len(numbers))
    return math.fsum(numbers) / len(numbers)


def residual(old: Floats, new: Floats, weights: Floats) -> float:
    """E: sum of the Euclidean norms of the means' moves, (k, c) twice, in the scaled metric."""
    norms = []
    for before, after in zip(old.tolist(), new.tolist(), strict=True):
        total = 0.0
        for a, b, w in zip(before, after, weights.tolist(), strict=True):
            d = (b - a) * w
            total += d * d
        norms.append(math.sqrt(total))
    return math.fsum(norms)


def inertia(samples: NDArray[Any], groups: Integers, means: Floats, weights: Floats) -> float:
    """Sum of the squared distances of samples to the means of their groups, rounded once."""
    total = Fraction(0)
    for group in set(groups.tolist()):
        members = samples[groups == group].T.tolist()
        for channel, m, w in zip(members, means[group].tolist(), weights.tolist(), strict=True):
            # x - m of all x over one denominator: integers add much faster than fractions
            (center, *numbers), denominator = integers([m, *Counter(channel)])
            counts = Counter(channel).values()
            squares = sum(n * (x - center) ** 2 for n, x in zip(counts, numbers, strict=True))
            total += Fraction(w) ** 2 * Fraction(squares, denominator**2)
    return float(total)


def integers(numbers: Sequence[float]) -> tuple[list[int], int]:
    """Return numbers as numerators over one denominator, exactly: that of each is a power of 2."""
    ratios = [number.as_integer_ratio() for number in numbers]
    largest = max(denominator for _, denominator in ratios)
    return [n * (largest // denominator) for n, denominator in ratios], largest


def lloyd(
    samples: NDArray[Any],
    means: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    threshold: float = 0.0,
    max_iterations: int = 1000,
    empty: Empty = "farthest",
) -> Fit:
    """Iterate from `means` (k, c) over all `samples` (n, c) until E <= `threshold`.

    Raises
    ------
    ValueError
        Without a sample or without an iteration.
    EmptiedGroupError
        A group has no sample and `empty` is ``"error"``.
    """
    if len(samples) == 0 or max_iterations < 1:
        raise ValueError(f"nothing to do: {len(samples)} samples, {max_iterations} iterations")
    current = np.array(means, np.float64)
    factors = np.ones(samples.shape[1]) if weights is None else np.array(weights, np.float64)

    iterations: list[Turn] = []
    converged = False
    dropped: tuple[int, ...] = ()
    while not converged and len(iterations) < max_iterations:
        groups = nearest(samples, current, factors)
        counts = np.bincount(groups, minlength=len(current)).astype(np.int64)
        emptied = np.flatnonzero(counts == 0).tolist()
        if emptied and empty == "error":
            raise EmptiedGroupError(f"groups {emptied} have no sample")

        new = current.copy()
        for group in np.flatnonzero(counts).tolist():
            new[group] = [mean(channel) for channel in samples[groups == group].T.tolist()]
        far = _far_vectors(samples, current, factors) if emptied and empty == "farthest" else []
        refills = dict(zip(emptied, far, strict=False))
        for group, vector in refills.items():
            new[group] = vector

        moved = residual(current, new, factors)
        iterations.append(Turn(new, moved, inertia(samples, groups, current, factors), counts))
        dropped = tuple(group for group in emptied if group not in refills)
        converged = moved <= threshold
        current = new

    return Fit(
        iterations=iterations,
        means=current,
        labels=_final_groups(samples, current, factors, dropped),
        converged=converged,
        dropped=dropped,
        weights=factors,
    )


def label_order(means: Floats) -> Integers:
    """Indices of means (k, c) from dark to bright: mean over channels, then lexicographic."""

    def key(index: int) -> tuple[float, list[float], int]:
        vector = means[index].tolist()
        total = 0.0
        for value in vector:
            total += value
        return total / len(vector), vector, index

    return np.array(sorted(range(len(means)), key=key), np.int64)


def labels(samples: NDArray[Any], fit: Fit) -> Integers:
    """Labels 1..k' of any samples (n, c) under a fit's means, (n,); k' leaves out dropped groups.

    A group that no sample is nearest to still holds its label, unless it was dropped.
    """
    kept = [group for group in range(len(fit.means)) if group not in fit.dropped]
    label = np.zeros(len(fit.means), np.int64)
    for rank, position in enumerate(label_order(fit.means[kept]).tolist()):
        label[kept[position]] = rank + 1
    return label[_final_groups(samples, fit.means, fit.weights, fit.dropped)]


def valid(
    image: NDArray[Any], nodata: Sequence[float] = (), alpha: NDArray[Any] | None = None
) -> NDArray[np.bool_]:
    """Where pixels count, (..., c) to (...).

    No pixel counts with a number in it that is not finite, or where `alpha` (...) is 0. One
    `nodata` number: pixels where all channels equal it do not count. One number per channel: nor
    do pixels where any channel equals its own. NaN as nodata adds nothing, as no NaN ever counts.

    Raises
    ------
    ValueError
        `nodata` is neither empty, nor one number, nor one per channel.
    """
    channels = image.shape[-1]
    if len(nodata) not in (0, 1, channels):
        raise ValueError(f"{len(nodata)} nodata values for {channels} channels")
    result = np.ones(image.shape[:-1], np.bool_)
    for position in np.ndindex(*image.shape[:-1]):
        numbers = image[position].tolist()
        if not all(math.isfinite(x) for x in numbers):
            result[position] = False
        if alpha is not None and alpha[position] == 0:
            result[position] = False
        if nodata:
            own = [_as_stored(value, image.dtype) for value in nodata]
            pairs = zip(numbers, own * channels if len(own) == 1 else own, strict=True)
            equal = [x == value for x, value in pairs]
            if all(equal) if len(own) == 1 else any(equal):
                result[position] = False
    return result


def segment(
    image: NDArray[Any],
    means: ArrayLike,
    *,
    nodata: Sequence[float] = (),
    alpha: NDArray[Any] | None = None,
    weights: ArrayLike | None = None,
    threshold: float = 0.0,
    max_iterations: int = 1000,
    empty: Empty = "farthest",
) -> tuple[Integers, Fit]:
    """Labels of an image (..., c) with 0 where a pixel does not count, and the fit behind them."""
    counting = valid(image, nodata, alpha)
    samples = image[counting]
    fit = lloyd(
        samples,
        means,
        weights=weights,
        threshold=threshold,
        max_iterations=max_iterations,
        empty=empty,
    )
    result = np.zeros(counting.shape, np.int64)
    result[counting] = labels(samples, fit)
    return result, fit


def _far_vectors(samples: NDArray[Any], means: Floats, weights: Floats) -> list[list[float]]:
    """Distinct vectors off their own mean, farthest first, ties lexicographically."""
    own = distances(samples, means, weights).min(axis=1).tolist()
    distance = dict(zip(map(tuple, samples.tolist()), own, strict=True))
    far = sorted((-d, vector) for vector, d in distance.items() if d > 0)
    # 0.0 and -0.0 are one number, and which of them came first must not show in the mean.
    return [[float(x) + 0.0 for x in vector] for _, vector in far]


def _final_groups(
    samples: NDArray[Any], means: Floats, weights: Floats, dropped: tuple[int, ...]
) -> Integers:
    """Group of every sample with the dropped groups out of the competition, (n, c) to (n,)."""
    kept = np.array([group for group in range(len(means)) if group not in dropped], np.int64)
    return kept[nearest(samples, means[kept], weights)]


def _as_stored(value: float, dtype: np.dtype[Any]) -> float:
    """Return `value` as an image of that dtype holds it; headers say 0.1 of a float32 image."""
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return float(np.array(value, dtype))
    return value
