"""Draws of initial means: what they depend on, how often what is drawn, and their golden values."""

from functools import reduce

import numpy as np
import pytest
from chunkmeans.kmeans.counting.collect import Collected
from chunkmeans.kmeans.metric import Metric
from chunkmeans.kmeans.samples import Samples
from chunkmeans.kmeans.seeding import Draws, plusplus_means, random_means
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.kmeans.examples import collect, column, parts, small_sketch, table_of
from tests.support import strategies

ONE = Metric(np.ones(1))
BELOW = [636, 269, 40, 16, 813, 912]
FRACTION = 0.6066357757671799
RANDOM = {
    0: [51072.0, 33216.0, 12944.0, 8208.0],
    1: [45776.0, 62384.0, 24272.0, 62320.0],
    2: [32720.0, 34960.0, 57744.0, 19376.0],
}
PLUSPLUS = {
    0: [51072.0, 13616.0, 38064.0, 61200.0],
    1: [45776.0, 9456.0, 61840.0, 30656.0],
    2: [32720.0, 51520.0, 9104.0, 59520.0],
}


def draw(how, samples, k, seed=0, restart=0):
    """Initial means by name of the seeding."""
    draws = Draws(seed, restart)
    if how == "random":
        return random_means(samples, k, draws)
    return plusplus_means(samples, k, draws, Metric(np.ones(samples.values.shape[1])))


HOW = pytest.mark.parametrize("how", ["random", "kmeans++"])


class TestLaws:
    @HOW
    @given(
        image=strategies.images(), seed=st.integers(0, 2**64), k=st.integers(1, 9), data=st.data()
    )
    def test_draws_depend_on_the_multiset_of_vectors_and_the_seed_alone(
        self, how, image, seed, k, data
    ):
        values = image.samples
        assume(len(values))
        with small_sketch():
            whole = draw(how, collect(values).seeds(), k, seed)
            pieces = map(collect, data.draw(parts(values)))
            merged = draw(how, reduce(Collected.merge, pieces).seeds(), k, seed)
        assert merged.tobytes() == whole.tobytes()

    @HOW
    @given(image=strategies.images(), seed=st.integers(0, 99), k=st.integers(1, 9))
    def test_means_are_distinct_vectors_of_the_image(self, how, image, seed, k):
        table = table_of(image.samples)
        assume(len(table.values))
        means = draw(how, table, k, seed)
        vectors = set(map(tuple, table.values.astype(np.float64).tolist()))
        drawn = list(map(tuple, means.tolist()))
        assert means.dtype == np.float64
        assert set(drawn) <= vectors
        assert len(set(drawn)) == len(drawn)
        if how == "random" or image.values.dtype.kind in "ui":
            assert len(drawn) == min(k, len(vectors))

    @HOW
    def test_all_vectors_are_drawn_where_there_are_no_more_than_k(self, how):
        table = table_of(column(3, 1, 4, 1, 5))
        assert sorted(draw(how, table, 9).tolist()) == [[1.0], [3.0], [4.0], [5.0]]

    @HOW
    def test_a_seed_gives_its_means_again_and_another_restart_or_seed_gives_others(self, how):
        table = table_of(np.arange(250, dtype=np.uint8)[:, None])
        means = {
            (seed, restart): draw(how, table, 5, seed, restart).tolist()
            for seed in range(4)
            for restart in range(4)
        }
        assert all(draw(how, table, 5, *key).tolist() == value for key, value in means.items())
        assert len({str(value) for value in means.values()}) == len(means)

    def test_kmeans_plusplus_draws_no_vector_twice_where_distances_underflow(self):
        tiny = np.sqrt(5e-324)
        values = np.array([0.0, tiny, 2 * tiny, 2.0 * tiny * (1 + 2**-52)])[:, None]
        for seed in range(200):
            means = plusplus_means(table_of(values), 4, Draws(seed, 0), ONE)
            assert len(np.unique(means)) == len(means)


class TestFrequencies:
    """Seeds are fixed, so that these cannot fail by chance."""

    COUNTS = np.array([1, 2, 3, 4])

    def chi_square(self, observed, probabilities):
        expected = observed.sum() * probabilities
        return float(((observed - expected) ** 2 / expected).sum())

    @HOW
    def test_the_first_mean_is_drawn_by_count(self, how):
        table = Samples(column(0, 1, 2, 3), self.COUNTS)
        drawn = [int(draw(how, table, 1, seed)[0, 0]) for seed in range(2000)]
        observed = np.bincount(drawn, minlength=4)
        assert self.chi_square(observed, self.COUNTS / 10) < 11.3, "1 % of samples exceed this"

    def test_random_means_are_drawn_by_count_without_replacement(self):
        table = Samples(column(0, 1, 2, 3), self.COUNTS)
        observed = np.zeros((4, 4))
        for seed in range(3000):
            first, second = random_means(table, 2, Draws(seed, 0))[:, 0].astype(int)
            observed[first, second] += 1
        weights = self.COUNTS / 10
        pairs = [(i, j) for i in range(4) for j in range(4) if i != j]
        expected = np.array([weights[i] * weights[j] / (1 - weights[i]) for i, j in pairs])
        assert expected.sum() == pytest.approx(1.0)
        found = np.array([observed[pair] for pair in pairs])
        assert found.sum() == 3000
        assert self.chi_square(found, expected) < 24.7, "1 % of samples exceed this"

    def test_counts_may_need_more_than_32_bits(self):
        table = Samples(column(7, 8, 9), np.array([1, 2**45, 2**44]))
        drawn = [int(random_means(table, 1, Draws(seed, 0))[0, 0]) for seed in range(600)]
        assert drawn.count(7) == 0
        assert 340 < drawn.count(8) < 460

    def test_kmeans_plusplus_spreads_its_means(self):
        far = table_of(column(*range(10), *range(100, 110), *range(200, 210)))
        for seed in range(40):
            means = plusplus_means(far, 3, Draws(seed, 0), ONE)
            assert sorted((means[:, 0] // 100).tolist()) == [0.0, 1.0, 2.0]

    def test_kmeans_plusplus_measures_in_the_scaled_metric(self):
        values = np.array([[0, 0], [9, 0], [0, 9], [9, 9]], np.uint8)
        for weights, channel in ((np.array([1e6, 1.0]), 0), (np.array([1.0, 1e6]), 1)):
            for seed in range(20):
                means = plusplus_means(table_of(values), 2, Draws(seed, 0), Metric(weights))
                assert means[0, channel] != means[1, channel]


class TestGolden:
    """Draws of a seed stay what they are, whatever becomes of NumPy."""

    def test_the_raw_stream(self):
        draws = Draws(0, 0)
        assert [draws.below(1000) for _ in range(6)] == BELOW
        assert draws.fraction() == FRACTION

    @pytest.mark.parametrize("seed", [0, 1, 2])
    def test_means(self, seed):
        values = np.arange(4000, dtype=np.uint16)[:, None] * 16
        table = Samples(values, np.arange(1, 4001))
        assert random_means(table, 4, Draws(seed, 0))[:, 0].tolist() == RANDOM[seed]
        assert plusplus_means(table, 4, Draws(seed, 0), ONE)[:, 0].tolist() == PLUSPLUS[seed]

    def test_fractions_lie_in_0_to_1(self):
        draws = Draws(5, 5)
        drawn = [draws.fraction() for _ in range(1000)]
        assert 0 <= min(drawn) < 0.01
        assert 0.99 < max(drawn) < 1
