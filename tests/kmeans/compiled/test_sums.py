"""Sums by nearest mean: exact at the edges of what a float64 holds."""

from fractions import Fraction

import numpy as np
import pytest
from chunkmeans.kmeans.compiled.blocks import BLOCK_SIZE
from chunkmeans.kmeans.metric import Metric
from chunkmeans.kmeans.samples import Samples

from tests.kmeans.examples import exactly
from tests.support import oracle


def check(values, means, counts=None):
    """Compare sums and counts with fractions."""
    means = np.array(means, np.float64)
    weights = np.ones(values.shape[1])
    found = Metric(weights).sums(Samples(values, counts), means)
    labels = oracle.nearest(values, means, weights)
    times = np.ones(len(values), np.int64) if counts is None else counts
    sums = [[Fraction(0)] * values.shape[1] for _ in means]
    for label, vector, n in zip(labels.tolist(), values.tolist(), times.tolist(), strict=True):
        for ch, number in enumerate(vector):
            sums[label][ch] += Fraction(number) * n
    assert exactly(found.sums) == [number for row in sums for number in row]
    assert found.counts.tolist() == [int(times[labels == i].sum()) for i in range(len(means))]


FLOATS = {
    "narrow": lambda rng, n: rng.uniform(0.5, 1.0, n),
    "just narrow enough": lambda rng, n: (
        rng.choice([1.0, 2.0**21], n) * (1 - rng.random(n) / 2**30)
    ),
    "a little too wide": lambda rng, n: rng.choice([1.0, 2.0**22], n) * rng.uniform(0.5, 2, n),
    "wide": lambda rng, n: 10.0 ** rng.uniform(-30, 30, n) * rng.choice([-1, 1], n),
    "zeros among them": lambda rng, n: rng.choice([0.0, -0.0, 0.3, -0.7], n),
    "whole": lambda rng, n: rng.integers(-(2**24), 2**24, n).astype(float),
    "large and whole": lambda rng, n: rng.integers(2**44, 2**46, n).astype(float),
    "denormal": lambda rng, n: rng.integers(-9, 9, n) * 2.0**-149,
}


@pytest.mark.parametrize("kind", FLOATS)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("k", [1, 3, 9])
def test_no_float_is_rounded(kind, dtype, k):
    rng = np.random.default_rng(k)
    values = FLOATS[kind](rng, (2 * BLOCK_SIZE + 77) * 2).reshape(-1, 2).astype(dtype)
    values[:, 1] = values[::-1, 1]
    check(values, values[:k])


@pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "i8", "u8"])
@pytest.mark.parametrize("k", [1, 3, 9])
@pytest.mark.parametrize("bits", [8, 45, 63])
def test_no_integer_is_rounded(dtype, k, bits):
    rng = np.random.default_rng(bits)
    info = np.iinfo(dtype)
    low, high = max(info.min, -(2**bits)), min(info.max, 2**bits)
    values = rng.integers(low, high, (2 * BLOCK_SIZE + 77, 3), dtype, endpoint=True)
    check(values, values[:k])


@pytest.mark.parametrize("dtype", ["u1", "u2", "i2", "i8", "f4", "f8"])
def test_a_count_is_as_good_as_a_repetition(dtype):
    rng = np.random.default_rng(1)
    values = rng.normal(60, 9, (BLOCK_SIZE + 9, 2)).astype(dtype)
    check(values, values[:4], rng.integers(1, 2**20, len(values)))


@pytest.mark.parametrize("dtype", ["u1", "u2", "i2"])
@pytest.mark.parametrize("k", [1, 2, 4, 5])
@pytest.mark.parametrize("most", [3, 2**29, 2**29 + 1, 2**36])
def test_counts_up_to_any_size_are_added_exactly(dtype, k, most):
    """2**29 is where a block's sums of 16 bits may reach 2**53."""
    rng = np.random.default_rng(most % 1000 + k)
    info = np.iinfo(dtype)
    values = rng.choice([info.min, info.min + 1, info.max - 1, info.max], (2 * BLOCK_SIZE + 77, 3))
    counts = rng.choice([1, most - 1, most], len(values))
    counts[BLOCK_SIZE : 2 * BLOCK_SIZE] = rng.integers(1, 3, BLOCK_SIZE)
    check(values.astype(dtype), values[:k].astype(dtype) + np.arange(3) / 7, counts)
