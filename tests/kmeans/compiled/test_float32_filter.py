"""The filter in float32: the labels of a plain float64 loop, however near the ties are."""

import numpy as np
import pytest
from chunkmeans.kmeans.compiled import float32_filter as module
from chunkmeans.kmeans.compiled.blocks import BLOCK_SIZE
from chunkmeans.kmeans.metric import Metric
from chunkmeans.kmeans.samples import Samples
from chunkmeans.kmeans.tree import Tree
from hypothesis import given
from hypothesis import strategies as st

from tests.kmeans.examples import CANONICAL
from tests.support import oracle, strategies

SIZE = 3 * BLOCK_SIZE + 77


def check(values, means, weights=None):
    """Compare the labels of a pass, and the counts of a tree, with the oracle's."""
    means = np.array(means, np.float64)
    weights = np.ones(means.shape[1]) if weights is None else np.array(weights, np.float64)
    metric = Metric(weights)
    expected = oracle.nearest(values, means, weights)
    out = np.empty(len(values), np.uint16)
    metric.labels(values, means, np.arange(len(means), dtype=np.uint16), out)
    assert out.tolist() == expected.tolist()
    counts = Tree.of(Samples(values), metric).partial_sums(means, metric).counts
    assert counts.tolist() == np.bincount(expected, minlength=len(means)).tolist()


def filtered(values, means, weights=None):
    """What the steps of the filter say of one block: how far apart, q least and second, label."""
    size, c = values.shape
    means = np.array(means, np.float64)
    weights = np.ones(c) if weights is None else np.array(weights, np.float64)
    transposed = np.zeros((c, BLOCK_SIZE))
    transposed[:, :size] = values.T
    k = len(means)
    singles, scores = (
        np.zeros((c + 4, BLOCK_SIZE), np.float32),
        np.zeros((k + 1, c + 1), np.float32),
    )
    lo, hi = transposed[:, :size].min(axis=1), transposed[:, :size].max(axis=1)
    work = np.zeros((2, BLOCK_SIZE))
    apart = module.prepare(transposed, size, means, weights, lo, hi, work, singles, scores)
    label = np.zeros(BLOCK_SIZE, np.int64)
    if apart > 0:
        module.score(singles, size, scores[: k + k % 2], label)
    return apart, singles[c + 2, :size], singles[c + 3, :size], label[:size]


@given(strategies.images(non_finite=False), st.integers(2, 40), st.data())
def test_what_the_filter_proves_is_so(image, k, data):
    values = np.ascontiguousarray(np.resize(image.samples, (BLOCK_SIZE, image.channels)))
    means = np.resize(data.draw(strategies.given_means(image, min(k, 9))), (k, image.channels))
    means = means + np.arange(k)[:, None] // 9 * data.draw(st.sampled_from([0.0, 1e-9, 0.25]))
    weights = data.draw(strategies.channel_weights(image.channels))
    apart, least, second, label = filtered(values.astype(np.float64), means, weights)
    expected = oracle.nearest(values, means, weights)
    if apart > 0:
        proven = second - least > apart
        assert label[proven].tolist() == expected[proven].tolist()
    check(values, means, weights)


@pytest.mark.parametrize("ulps", [0, 1, 2, 1000, 2**29, 2**35])
@pytest.mark.parametrize("dtype", CANONICAL)
@pytest.mark.parametrize("channels", [4, 16])
def test_means_a_few_units_from_a_tie(ulps, dtype, channels):
    rng = np.random.default_rng(channels)
    values = rng.integers(100, 120, (SIZE, channels)).astype(dtype)
    one = rng.integers(100, 120, (4, channels)).astype(float)
    other = values[:4].astype(float) * 2 - one  # the first samples lie in the middle
    other[:, 0] += ulps * np.spacing(other[:, 0])
    check(values, np.concatenate([one, other, other[::-1], one]))


@pytest.mark.parametrize("k", [2, 3, 8, 160])
@pytest.mark.parametrize("offset", [0.0, 1e6, 1e15, -1e100])
@pytest.mark.parametrize("width", [1e-300, 1e-160, 1e-30, 1.0, 1e30, 1e60, 1e120])
def test_any_offset_and_scale_of_float64(offset, width, k):
    rng = np.random.default_rng(k)
    values = offset + width * rng.normal(0, 1, (SIZE, 6))
    check(values, values[rng.integers(0, SIZE, k)])


@pytest.mark.parametrize("weights", [1e-150, 1e-20, 1e20, 1e100])
def test_any_weights(weights):
    rng = np.random.default_rng(3)
    values = rng.normal(0, 1, (SIZE, 4))
    check(values, values[:9], np.array([1.0, weights, 0.3, weights * 0.7]))


def test_denormal_numbers():
    rng = np.random.default_rng(3)
    small = rng.integers(-9, 9, (SIZE, 4))
    check((small * 2.0**-149).astype(np.float32), small[:9] * 2.0**-149)
    check(small * 2.0**-1074, small[:9] * 2.0**-1074)


def test_a_channel_that_dwarfs_the_others_does_not_hide_them():
    rng = np.random.default_rng(3)
    values = rng.normal(0, 1, (SIZE, 4))
    values[:, 2] = rng.choice([-1e12, 1e12], SIZE)
    check(values, values[:9])


@pytest.mark.parametrize("base", [0, 2**53, 2**62])
def test_integers_that_no_float64_holds(base):
    rng = np.random.default_rng(3)
    for dtype in ("i8", "u8"):
        values = (base + rng.integers(0, 5000, (SIZE, 3))).astype(dtype)
        check(values, values[:20].astype(np.float64))


def test_most_samples_of_a_picture_are_proven():
    rng = np.random.default_rng(0)
    values = rng.integers(0, 2**16, (BLOCK_SIZE, 16)).astype(np.float64)
    means = rng.uniform(0, 2**16, (160, 16))
    apart, least, second, label = filtered(values, means)
    proven = second - least > apart
    assert proven.mean() > 0.99
    expected = oracle.nearest(values, means, np.ones(16))
    assert label[proven].tolist() == expected[proven].tolist()


def test_a_tie_is_never_proven():
    values = np.random.default_rng(0).integers(0, 9, (BLOCK_SIZE, 4)).astype(np.float64)
    means = np.repeat(values[:5], 2, axis=0)
    apart, least, second, _ = filtered(values, means)
    assert apart > 0
    assert not (second - least > apart).any()
    check(values, means)


@pytest.mark.parametrize("width", [0.0, 2.0**-310, 2.0**310])
def test_numbers_beyond_the_bound_are_not_filtered(width):
    values = np.random.default_rng(0).choice([-width, width], (BLOCK_SIZE, 4))
    assert filtered(values, values[:4])[0] == 0.0
