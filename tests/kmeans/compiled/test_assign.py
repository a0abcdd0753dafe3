"""The compiled loops against the oracle and plain Python."""

import numpy as np
import pytest
from chunkmeans.kmeans.compiled import assign as loops
from chunkmeans.kmeans.compiled.assign import BLOCK_SIZE
from hypothesis import given
from hypothesis import strategies as st

from tests.kmeans.examples import column
from tests.support import oracle, strategies


def nearest(values, means, weights=None):
    """Index of the nearest mean of each sample, by the compiled loop."""
    means = np.array(means, np.float64)
    scaled = weights is not None
    weights = weights if scaled else np.ones(means.shape[1])
    out = np.empty(len(values), np.uint16)
    numbers = np.arange(len(means), dtype=np.uint16)
    loops.assign(values, means, weights, numbers, scaled, out.view(np.uint8), 2)
    return out.tolist()


class TestAssign:
    @given(strategies.images(), st.integers(1, 9), st.data())
    def test_equals_brute_force(self, image, k, data):
        samples = image.samples
        means = data.draw(strategies.given_means(image, k))
        weights = data.draw(st.none() | strategies.channel_weights(image.channels))
        factors = np.ones(image.channels) if weights is None else weights
        assert nearest(samples, means, weights) == oracle.nearest(samples, means, factors).tolist()

    @pytest.mark.parametrize(
        ("means", "expected"), [([[0], [2]], [0, 0, 1]), ([[2], [0]], [1, 0, 0])]
    )
    def test_a_tie_goes_to_the_lowest_index(self, means, expected):
        assert nearest(column(0, 1, 2), means) == expected

    @pytest.mark.parametrize(
        "n", [0, 1, BLOCK_SIZE - 1, BLOCK_SIZE, BLOCK_SIZE + 1, 3 * BLOCK_SIZE - 1]
    )
    def test_a_label_depends_on_the_sample_and_not_on_its_place(self, n):
        rng = np.random.default_rng(n)
        samples = rng.normal(0, 9, (n, 3)).astype(np.float32)
        means = rng.normal(0, 9, (7, 3))
        alone = [nearest(samples[i : i + 1], means)[0] for i in range(n)]
        assert nearest(samples, means) == alone

    def test_writes_the_numbers_it_is_given(self):
        out = np.zeros(3, np.uint8)
        numbers = np.array([7, 255], np.uint16)
        means, weights = np.array([[9.0], [0.0]]), np.ones(1)
        loops.assign(column(0, 9, 1), means, weights, numbers, False, out, 1)
        assert out.tolist() == [255, 7, 255]

    def test_distances_do_not_cancel(self):
        samples = column(1e8, 1e8 + 1, 1e8 + 2, dtype="f8")
        assert nearest(samples, [[1e8 + 0.4], [1e8 + 1.5]]) == [0, 1, 1]


class TestNearestDistances:
    @given(strategies.images(dtypes=("uint8", "float32")), st.integers(1, 4), st.data())
    def test_equal_brute_force(self, image, k, data):
        samples = image.samples
        means = data.draw(strategies.given_means(image, k))
        weights = data.draw(strategies.channel_weights(image.channels))
        out = np.empty(len(samples))
        loops.nearest_distances(samples, means, weights, True, out)
        assert out.tolist() == oracle.distances(samples, means, weights).min(axis=1).tolist()
