"""The iteration against the oracle, bit for bit, on tables and on pixels as they come."""

from functools import reduce
from itertools import pairwise

import numpy as np
import pytest
from chunkmeans.errors import ChunkError
from chunkmeans.kmeans import metric as module
from chunkmeans.kmeans.exact.moments import Moments
from chunkmeans.kmeans.lloyd import brightness_order, lloyd, residual
from chunkmeans.kmeans.metric import Metric
from chunkmeans.kmeans.partial_sums import Far, PartialSums
from chunkmeans.kmeans.samples import Samples
from chunkmeans.kmeans.tree import TableSource
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.kmeans.examples import RawPixels, collect, column, parts
from tests.support import oracle, strategies

POLICIES = st.sampled_from(["farthest", "keep"])


def plain(channels):
    """The metric of an image that is not scaled."""
    return Metric(np.ones(channels))


def raw(pieces, metric):
    """Pixels as they came and their exact totals."""
    whole = reduce(Moments.merge, (Moments.of(Samples(piece)) for piece in pieces))
    return RawPixels(pieces, metric), whole


def table(values, metric):
    """The collected table of pixels and its exact totals."""
    collected = collect(values)
    return TableSource(collected.samples(), metric), collected.moments()


def run(values, means, metric=None, **options):
    """All iterations on the table of samples."""
    metric = metric or plain(values.shape[1])
    pixels, whole = table(values, metric)
    return list(lloyd(np.array(means, np.float64), pixels, whole, metric, **options))


def agree(iterations, fit):
    """Check iterations against those of the oracle, bit for bit."""
    assert len(iterations) == len(fit.iterations)
    for index, (found, expected) in enumerate(zip(iterations, fit.iterations, strict=True), 1):
        assert found.index == index
        assert found.counts.tolist() == expected.counts.tolist()
        assert found.means.tolist() == expected.means.tolist()
        assert found.residual == expected.residual
        assert found.inertia == expected.inertia
    last = iterations[-1]
    empty = set(np.flatnonzero(last.counts == 0).tolist())
    assert tuple(sorted(empty - set(last.refilled))) == fit.dropped


class TestAgainstBruteForce:
    @given(strategies.images(), st.integers(1, 9), POLICIES, st.data())
    def test_every_iteration_is_the_same_on_tables_and_on_pixels(self, image, k, empty, data):
        values = image.samples
        means = data.draw(strategies.given_means(image, k)) + 0.0
        weights = data.draw(st.none() | strategies.channel_weights(image.channels))
        metric = plain(image.channels) if weights is None else Metric(weights)
        options = {
            "empty": empty,
            "max_iterations": data.draw(st.sampled_from([1, 2, 6])),
            "threshold": data.draw(st.sampled_from([0.0, 0.5, 3.0])),
        }
        expected = oracle.lloyd(values, means, weights=weights, **options)
        pieces = data.draw(parts(values))
        both = [
            list(lloyd(means, pixels, whole, metric, **options))
            for pixels, whole in (table(values, metric), raw(pieces, metric))
        ]
        for iterations in both:
            agree(iterations, expected)
        for a, b in zip(*both, strict=True):
            assert a.means.tobytes() == b.means.tobytes(), "the sign of a zero too"

    @pytest.mark.parametrize("dtype", strategies.DTYPES)
    @pytest.mark.parametrize(("channels", "k"), [(1, 300), (3, 37), (4, 300), (6, 2)])
    def test_many_samples_and_many_groups(self, dtype, channels, k):
        rng = np.random.default_rng(k + channels)
        values = rng.normal(90, 30, (900, channels)).astype(dtype)
        means = rng.normal(90, 60, (k, channels))
        expected = oracle.lloyd(values, means, max_iterations=3)
        metric = plain(channels)
        for pixels, whole in (table(values, metric), raw(np.array_split(values, 4), metric)):
            agree(list(lloyd(means, pixels, whole, metric, max_iterations=3)), expected)

    @pytest.mark.parametrize("dtype", ["i8", "u8"])
    def test_integers_of_64_bits(self, dtype):
        info = np.iinfo(dtype)
        ends = [info.min, info.min + 1, info.max - 1, info.max, 2**53 + 1, 5]
        values = np.array([[a, b] for a in ends for b in ends], dtype)
        means = values[[0, 7, 35]].astype(np.float64)
        agree(run(values, means), oracle.lloyd(values, means))

    def test_labels_taken_block_by_block_give_the_same_sums(self, monkeypatch):
        values = np.random.default_rng(0).normal(0, 9, (100, 3))
        means, metric = values[:5], plain(3)
        whole = metric.sums(Samples(values), means)
        monkeypatch.setattr(module, "CARRY_EVERY", 7)
        blocks = metric.sums(Samples(values), means)
        assert np.array_equal(blocks.counts, whole.counts)
        assert blocks.sums == whole.sums
        counts = np.arange(1, 101)
        weighted = metric.sums(Samples(values, counts), means)
        assert weighted.counts.sum() == counts.sum()
        repeated = metric.sums(Samples(np.repeat(values, counts, axis=0)), means)
        assert weighted.sums == repeated.sums


class TestLaws:
    @given(strategies.images(dtypes=("uint8", "uint16", "int16")), st.integers(1, 6), st.data())
    def test_integers_run_to_a_residual_of_exactly_0_and_never_gain_inertia(self, image, k, data):
        means = data.draw(strategies.given_means(image, k))
        iterations = run(image.samples, means)
        assert iterations[-1].residual == 0.0
        assert np.array_equal(
            iterations[-1].counts, run(image.samples, iterations[-1].means)[0].counts
        )
        inertias = [i.inertia for i in iterations]
        assert all(b <= a * (1 + 1e-9) + 1e-9 for a, b in pairwise(inertias))

    @given(strategies.images(), st.data())
    def test_partial_sums_of_parts_merge_to_those_of_the_whole(self, image, data):
        values = image.samples
        means = data.draw(strategies.given_means(image, 3))
        metric = plain(image.channels)
        pieces = [metric.sums(Samples(p), means) for p in data.draw(parts(values))]
        whole = metric.sums(Samples(values), means)
        for order in (pieces, pieces[::-1]):
            found = reduce(PartialSums.merge, order)
            assert found.counts.tolist() == whole.counts.tolist()
            assert found.sums == whole.sums

    @given(strategies.images(), st.integers(1, 5), st.data())
    def test_the_farthest_of_parts_merge_to_those_of_the_whole(self, image, number, data):
        values = image.samples
        means = data.draw(strategies.given_means(image, 2))
        metric = plain(image.channels)
        whole = metric.farthest(values, means, number)
        pieces = [metric.farthest(p, means, number) for p in data.draw(parts(values))]
        for order in (pieces, pieces[::-1]):
            found = reduce(lambda a, b: Far.merge(a, b, number), order)
            assert found.values.tolist() == whole.values.tolist()
            assert found.distances.tolist() == whole.distances.tolist()

    @given(strategies.images(), st.data())
    def test_moments_by_nearest_mean_hold_the_partial_sums(self, image, data):
        means = data.draw(strategies.given_means(image, 3))
        metric, samples = plain(image.channels), Samples(image.samples)
        sums, moments = metric.sums(samples, means), metric.moments(samples, means)
        assert moments.counts.tolist() == sums.counts.tolist()
        assert moments.sums == sums.sums

    @given(strategies.images(), st.data())
    def test_the_residual_is_that_of_the_oracle_and_0_only_without_a_move(self, image, data):
        old, new = (data.draw(strategies.given_means(image, 3)) for _ in "ab")
        weights = data.draw(strategies.channel_weights(image.channels))
        assert residual(old, new, Metric(weights)) == oracle.residual(old, new, weights)
        assert residual(old, old, Metric(weights)) == 0.0


class TestStopping:
    def test_four_samples_and_two_means_settle_in_two_iterations(self):
        first, second = run(column(0, 1, 9, 10), [[0], [10]])
        assert first.means.tolist() == [[0.5], [9.5]]
        assert (first.residual, first.inertia, first.counts.tolist()) == (1.0, 2.0, [2, 2])
        assert (second.residual, second.inertia) == (0.0, 1.0)

    def test_a_residual_equal_to_the_threshold_ends_the_loop(self):
        values = column(0, 1, 9, 10)
        assert len(run(values, [[0], [10]], threshold=1.0)) == 1
        assert len(run(values, [[0], [10]], threshold=np.nextafter(1.0, 0))) == 2

    def test_max_iterations_ends_the_loop_unconverged(self):
        (only,) = run(column(0, 4, 6, 7, 20), [[0], [7]], max_iterations=1)
        assert only.residual > 0

    def test_the_next_iteration_is_computed_when_it_is_asked_for(self):
        """Whoever drives the loop watches it, and may leave it."""
        metric, asked = plain(1), []
        pixels, whole = table(column(0, 4, 6, 7, 20), metric)

        class Asked:
            farthest = pixels.farthest

            def sums(self, means):
                asked.append(means)
                return pixels.sums(means)

        loop = lloyd(np.array([[0.0], [7.0]]), Asked(), whole, metric)
        assert asked == []
        next(loop)
        assert len(asked) == 1

    def test_initial_means_are_left_as_they_were(self):
        means = np.array([[0.0], [10.0]])
        run(column(0, 1, 9, 10), means)
        assert means.tolist() == [[0.0], [10.0]]


class TestEmptiedGroups:
    VALUES = column(0, 0, 10, 12)
    MEANS = ((0,), (11,), (100,))

    def test_farthest_takes_the_smallest_of_the_farthest_vectors(self):
        first, second, third = run(self.VALUES, self.MEANS)
        assert first.means.tolist() == [[0.0], [11.0], [10.0]], "the donor keeps its sums"
        assert first.refilled == (2,)
        assert (second.counts.tolist(), second.refilled) == ([2, 1, 1], ())
        assert third.residual == 0.0

    def test_keep_keeps_the_mean(self):
        (only,) = run(self.VALUES, self.MEANS, empty="keep")
        assert only.means.tolist() == [[0.0], [11.0], [100.0]]
        assert (only.counts.tolist(), only.refilled) == ([2, 2, 0], ())

    def test_error_names_the_group_the_iteration_and_the_ways_out(self):
        expected = (
            r"group 3 of 3 has no sample in iteration 1; lower kmeans\.k, or set kmeans\.empty"
        )
        with pytest.raises(ChunkError, match=expected):
            run(self.VALUES, self.MEANS, empty="error")

    def test_error_is_none_while_every_group_has_a_sample(self):
        assert len(run(self.VALUES, [[0], [11]], empty="error")) == 1

    def test_groups_stay_empty_where_no_vector_is_off_its_mean(self):
        (only,) = run(column(4, 4, 9), [[4], [9], [100], [200]])
        assert only.means.tolist() == [[4.0], [9.0], [100.0], [200.0]]
        assert only.refilled == ()
        first = run(column(4, 4, 9), [[4], [100], [200]])[0]
        assert first.means[1:].tolist() == [[9.0], [200.0]]
        assert first.refilled == (1,)

    def test_a_refilled_mean_has_no_negative_zero(self):
        values, metric = column(-0.0, 3, 3, dtype="f8"), plain(1)
        pixels, whole = raw([values], metric)
        means = np.array([[2.0], [3.0], [99.0]])
        first = next(lloyd(means, pixels, whole, metric))
        assert first.refilled == (2,)
        assert not np.signbit(first.means).any()


def test_residual_and_inertia_are_scaled_and_means_are_not():
    values = np.array([[0, 0], [2, 0]], np.uint8)
    first, second = run(values, [[4, 4]], Metric(np.array([2.0, 1.0])))
    assert first.means.tolist() == [[1.0, 0.0]]
    assert first.residual == np.sqrt((3 * 2) ** 2 + 4**2)
    assert (first.inertia, second.inertia) == ((64 + 16) + (16 + 16), 8.0)


@given(st.integers(1, 3), st.data())
def test_means_are_ordered_by_brightness_then_channel_by_channel(channels, data):
    number = st.integers(0, 3)
    vector = st.lists(number, min_size=channels, max_size=channels)
    means = np.array(data.draw(st.lists(vector, min_size=1, max_size=6)), np.float64)
    order = brightness_order(means)
    assert order.tolist() == oracle.label_order(means).tolist()
    assume(len(np.unique(means, axis=0)) == len(means))
    reverse = brightness_order(means[::-1])
    assert means[order].tolist() == means[::-1][reverse].tolist()
