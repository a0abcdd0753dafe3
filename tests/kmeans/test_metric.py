"""Labels, distances and the farthest samples by a metric, against brute force."""

import numpy as np
import pytest
from chunkmeans.kmeans import metric as module
from chunkmeans.kmeans.compiled import assign
from chunkmeans.kmeans.metric import Metric
from hypothesis import given
from hypothesis import strategies as st

from tests.kmeans.examples import column
from tests.support import oracle, strategies


class TestWeights:
    def test_ones_are_not_scaled(self):
        assert not Metric(np.ones(3)).scaled
        assert Metric(np.array([1.0, 2.0])).scaled

    def test_weights_of_one_change_no_bit(self):
        rng = np.random.default_rng(1)
        values, means = rng.normal(0, 1, (500, 4)), rng.normal(0, 1, (6, 4))
        out = [np.empty(500, np.uint16) for _ in "ab"]
        weights, numbers = np.ones(4), np.arange(6, dtype=np.uint16)
        for scaled, labels in zip((False, True), out, strict=True):
            assign.assign(values, means, weights, numbers, scaled, labels.view(np.uint8), 2)
        assert np.array_equal(*out)


class TestFarthest:
    @given(strategies.images(), st.integers(1, 4), st.integers(1, 6), st.data())
    def test_equals_sorting_all_vectors(self, image, k, number, data):
        samples = image.samples
        means = data.draw(strategies.given_means(image, k))
        weights = data.draw(strategies.channel_weights(image.channels))
        distances = oracle.distances(samples, means, weights).min(axis=1).tolist()
        own = dict(zip(map(tuple, samples.tolist()), distances, strict=True))
        expected = sorted((-d, vector) for vector, d in own.items())[:number]
        rows = data.draw(st.sampled_from([1, 3, 2**14]))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "ROWS_LISTED", rows)
            found = Metric(weights).farthest(samples, means, number)
        assert found.distances.tolist() == [-d for d, _ in expected]
        assert list(map(tuple, found.values.tolist())) == [vector for _, vector in expected]

    def test_a_repeated_vector_is_one_candidate_even_across_sorted_parts(self):
        samples = np.resize(column(9, 8, 9, 1), (3 * module.ROWS_LISTED, 1))
        found = Metric(np.ones(1)).farthest(samples, np.zeros((1, 1)), 3)
        assert found.values[:, 0].tolist() == [9, 8, 1]
        assert found.distances.tolist() == [81.0, 64.0, 1.0]

    def test_vectors_equally_far_are_compared_channel_by_channel(self):
        samples = np.array([[2, 0], [0, 2], [1, 1], [0, 2]], np.uint8)
        found = Metric(np.ones(2)).farthest(samples, np.ones((1, 2)), 2)
        assert found.values.tolist() == [[0, 2], [2, 0]]
