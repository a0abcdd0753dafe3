"""Holds the pipeline's results against the oracle: every number, bit for bit."""

import math
from fractions import Fraction

import numpy as np
from chunkmeans.kmeans.samples import Samples

from tests.support import oracle


def assert_equal_to_oracle(labels, model, image, means, **how):
    """Assert that labels and model are what brute force gives for `image` (..., c).

    `how` is handed to `oracle.segment`. Returns its fit.
    """
    expected, fit = oracle.segment(image, means, **how)
    np.testing.assert_array_equal(labels, expected)
    kept = np.array([g for g in range(len(fit.means)) if g not in fit.dropped])
    order = kept[oracle.label_order(fit.means[kept])]
    same_bits(model.means, fit.means[order])
    same_bits(model.residuals, [turn.residual for turn in fit.iterations])
    same_bits(model.inertias, [turn.inertia for turn in fit.iterations])
    np.testing.assert_array_equal(model.history, [turn.counts[order] for turn in fit.iterations])
    assert model.converged == fit.converged

    valid = oracle.valid(image, how.get("nodata", ()))
    samples, groups = image[valid], expected[valid]
    counts = np.bincount(groups, minlength=len(order) + 1)[1:]
    np.testing.assert_array_equal(model.counts, counts)
    assert model.inertia == oracle.inertia(samples, groups - 1, fit.means[order], fit.weights)
    same_bits(model.deviations, [deviations(samples[groups == n + 1]) for n in range(len(order))])
    return fit


def same_bits(found, expected):
    """Assert that two float64 arrays are equal in every bit, except for the sign of zero."""
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    assert found.shape == expected.shape
    np.testing.assert_array_equal((found + 0.0).view(np.uint64), (expected + 0.0).view(np.uint64))


def same_model(a, b):
    """Assert that two models are equal in every number."""
    assert a.to_dict() == b.to_dict()


def deviations(samples):
    """Standard deviation of each channel around its own average, (n, c) to (c,); 0 of nothing."""
    if len(samples) == 0:
        return [0.0] * samples.shape[1]
    return [math.sqrt(float(variance(column))) for column in samples.T.tolist()]


def variance(numbers):
    """Exact."""
    exact, denominator = oracle.integers(numbers)
    n, total = len(exact), sum(exact)
    return Fraction(n * sum(x * x for x in exact) - total**2, (n * denominator) ** 2)


def distinct(image, nodata=()):
    """Return the valid vectors of an image as a table in lexicographic order, with counts."""
    samples = image[oracle.valid(image, nodata)]
    if samples.dtype.kind == "f":
        samples = samples + 0.0
    values, counts = np.unique(samples, axis=0, return_counts=True)
    return Samples(np.ascontiguousarray(values), counts)
