"""The compiled loops against the oracle and plain Python."""

import numpy as np
import pytest
from chunkmeans.kmeans.compiled import assign as kernels
from chunkmeans.kmeans.compiled.assign import BLOCK_SIZE
from chunkmeans.kmeans.compiled.typed_bytes import as_bytes
from hypothesis import assume, given
from hypothesis import strategies as st

from tests import oracle, strategies
from tests.kmeans.examples import column


def nearest(values, means, weights=None):
    """Index of the nearest mean of each sample, by the kernel."""
    means = np.array(means, np.float64)
    scaled = weights is not None
    weights = weights if scaled else np.ones(means.shape[1])
    out = np.empty(len(values), np.uint16)
    kernels.assign(values, means, weights, scaled, np.arange(len(means), dtype=np.uint16), out)
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
        numbers = np.array([7, 255], np.uint8)
        kernels.assign(column(0, 9, 1), np.array([[9.0], [0.0]]), np.ones(1), False, numbers, out)
        assert out.tolist() == [255, 7, 255]

    def test_distances_do_not_cancel(self):
        samples = column(1e8, 1e8 + 1, 1e8 + 2, dtype="f8")
        assert nearest(samples, [[1e8 + 0.4], [1e8 + 1.5]]) == [0, 1, 1]


class TestFarthest:
    @given(strategies.images(), st.integers(1, 4), st.integers(1, 6), st.data())
    def test_equals_sorting_all_vectors(self, image, k, number, data):
        samples = image.samples
        means = data.draw(strategies.given_means(image, k))
        weights = data.draw(strategies.channel_weights(image.channels))
        distances = oracle.distances(samples, means, weights).min(axis=1).tolist()
        own = dict(zip(map(tuple, samples.tolist()), distances, strict=True))
        expected = sorted((-d, vector) for vector, d in own.items())[:number]
        rows, found = kernels.farthest(samples, means, weights, True, number)
        assert found.tolist() == [-d for d, _ in expected]
        assert list(map(tuple, samples[rows].tolist())) == [vector for _, vector in expected]

    def test_a_repeated_vector_is_one_candidate_even_across_blocks(self):
        samples = np.resize(column(9, 8, 9, 1), (3 * BLOCK_SIZE, 1))
        rows, found = kernels.farthest(samples, np.zeros((1, 1)), np.ones(1), False, 3)
        assert samples[rows, 0].tolist() == [9, 8, 1]
        assert found.tolist() == [81.0, 64.0, 1.0]


class TestSquaredDistances:
    @given(strategies.images(dtypes=("uint8", "float32")), st.data())
    def test_equal_brute_force(self, image, data):
        samples = image.samples
        mean = data.draw(strategies.given_means(image, 1))
        weights = data.draw(strategies.channel_weights(image.channels))
        out = np.empty(len(samples))
        kernels.squared_distances(samples, mean[0], weights, True, out)
        assert out.tolist() == oracle.distances(samples, mean, weights)[:, 0].tolist()


class TestCodes:
    @pytest.mark.parametrize(
        ("dtype", "channels"), [("u1", 1), ("u1", 2), ("u1", 3), ("u2", 1), ("i2", 1)]
    )
    @given(data=st.data())
    def test_codes_are_ordered_as_the_vectors_are(self, dtype, channels, data):
        number = strategies.numbers(dtype)
        vector = st.lists(number, min_size=channels, max_size=channels)
        vectors = data.draw(st.lists(vector, min_size=2, max_size=8))
        offset = -np.iinfo(dtype).min
        codes = np.empty(len(vectors), np.uint32)
        kernels.encode(np.array(vectors, dtype), offset, 8 * np.dtype(dtype).itemsize, codes)
        by_code = [vectors[i] for i in np.argsort(codes, kind="stable")]
        assert by_code == sorted(vectors)
        assert len(set(codes.tolist())) == len(set(map(tuple, vectors)))
        assert codes.max() < 2**24


@given(st.lists(st.integers(0, 2), min_size=2, max_size=8))
def test_rows_are_compared_channel_by_channel(numbers):
    assume(len(numbers) % 2 == 0)
    values = np.array(numbers, np.uint8).reshape(2, -1)
    a, b = values.tolist()
    assert kernels.compare(*as_bytes(values), 0, 1) == (a > b) - (a < b)
