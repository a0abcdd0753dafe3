"""The tree of samples: the sums of a plain pass, bit for bit, whatever the samples."""

import numpy as np
import pytest
from chunkmeans.kmeans.exact.moments import Moments
from chunkmeans.kmeans.lloyd import lloyd
from chunkmeans.kmeans.metric import Metric
from chunkmeans.kmeans.samples import Samples
from chunkmeans.kmeans.tree import LEAF, Tree, tree_bytes
from hypothesis import given
from hypothesis import strategies as st

from tests.kmeans.examples import CANONICAL
from tests.support import strategies


class Plain:
    """Answers by a plain pass."""

    def __init__(self, samples, metric):
        self.samples, self.metric = samples, metric

    def sums(self, means):
        return self.metric.sums(self.samples, means)


def agree(samples, means, metric, tree=None):
    """Compare the tree's sums with those of a plain pass."""
    tree = Tree.of(samples, metric) if tree is None else tree
    found, expected = tree.partial_sums(means, metric), metric.sums(samples, means)
    assert found.counts.tolist() == expected.counts.tolist()
    assert found.sums == expected.sums


@given(strategies.images(non_finite=False), st.integers(1, 9), st.data())
def test_equals_a_plain_pass_over_any_samples(image, k, data):
    values = np.ascontiguousarray(np.resize(image.samples, (700, image.channels)))
    means = data.draw(strategies.given_means(image, k))
    metric = Metric(data.draw(strategies.channel_weights(image.channels)))
    counts = None
    if data.draw(st.booleans()):
        counts = np.random.default_rng(k).integers(1, 1000, len(values))
    agree(Samples(values, counts), means, metric)


@pytest.mark.parametrize("dtype", CANONICAL)
@pytest.mark.parametrize("channels", [1, 3, 6])
def test_stays_equal_while_the_means_move(dtype, channels):
    rng = np.random.default_rng(channels)
    middles = rng.uniform(20, 90, (12, channels))
    values = rng.normal(middles[rng.integers(0, 12, 40 * LEAF)], 4).astype(dtype)
    samples, metric = Samples(values), Metric(rng.uniform(0.5, 2, channels))
    tree, means = Tree.of(samples, metric), values[:20].astype(np.float64)
    for _ in range(6):
        agree(samples, means, metric, tree)
        sums = metric.sums(samples, means)
        filled = sums.counts > 0
        means[filled] = sums.sums.floats()[filled] / sums.counts[filled, None]


@given(strategies.images(non_finite=False), st.integers(1, 9), st.data())
def test_iterations_are_those_of_lloyd(image, k, data):
    values = np.ascontiguousarray(np.resize(image.samples, (700, image.channels)))
    metric = Metric(data.draw(strategies.channel_weights(image.channels)))
    means = data.draw(strategies.given_means(image, k))
    samples = Samples(values)
    iterations = Tree.of(samples, metric).iterations(means, metric, 5)
    course = list(lloyd(means, Plain(samples, metric), Moments.of(samples), metric, empty="keep"))
    assert 1 <= len(iterations) <= min(5, len(course))
    for (asked, partial), iteration in zip(iterations, course, strict=False):
        assert asked.tobytes() == means.tobytes()
        plain = metric.sums(samples, means)
        assert partial.counts.tolist() == plain.counts.tolist()
        assert partial.sums == plain.sums
        means = iteration.means
    emptied, at_rest = not iterations[-1][1].counts.all(), len(iterations) == len(course)
    assert len(iterations) == 5 or emptied or at_rest or values.dtype.itemsize > 2


@pytest.mark.parametrize("n", [0, 1, LEAF, 3 * LEAF + 1])
def test_one_colour_or_none_is_a_tree_too(n):
    values = np.full((n, 2), 7, np.uint8)
    agree(Samples(values), np.array([[7.0, 7.0], [9.0, 9.0]]), Metric(np.ones(2)))


def test_holds_every_sample_once():
    values = np.random.default_rng(0).integers(0, 2**16, (9 * LEAF, 2), np.uint16)
    tree = Tree.of(Samples(values), Metric(np.ones(2)))
    found = tree.samples.values
    assert sorted(map(tuple, found.tolist())) == sorted(map(tuple, values.tolist()))
    assert tree.arrays.starts[-1] == len(values) == tree.arrays.number.sum()


@pytest.mark.parametrize("dtype", CANONICAL)
@pytest.mark.parametrize("counted", [True, False])
def test_its_bytes_are_known_before(dtype, counted):
    values = np.random.default_rng(0).integers(0, 99, (5000, 3)).astype(dtype)
    samples = Samples(values, np.ones(5000, np.int64) if counted else None)
    tree = Tree.of(samples, Metric(np.ones(3)))
    arrays = [array for array in tree.arrays if isinstance(array, np.ndarray)]
    nbytes = sum(array.nbytes for array in arrays)
    assert nbytes <= tree_bytes(samples) <= 1.02 * nbytes
