"""The oracle against tables made by hand, laws, and scikit-learn."""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.support import oracle, strategies


def column(*values: float, dtype: str = "uint8") -> NDArray[Any]:
    """One-channel samples, (n, 1)."""
    return np.array(values, dtype)[:, None]


def flat(means: NDArray[Any]) -> list[float]:
    """One-channel means as a list."""
    assert means.shape[1] == 1
    return means[:, 0].tolist()


class TestHandTables:
    def test_four_points_and_two_means_settle_in_two_iterations(self):
        samples = column(0, 1, 9, 10)
        fit = oracle.lloyd(samples, [[0], [10]])
        first, second = fit.iterations
        assert flat(first.means) == [0.5, 9.5]
        assert (first.residual, first.inertia, first.counts.tolist()) == (1.0, 2.0, [2, 2])
        assert flat(second.means) == [0.5, 9.5]
        assert (second.residual, second.inertia, second.counts.tolist()) == (0.0, 1.0, [2, 2])
        assert fit.converged
        assert fit.dropped == ()
        assert flat(fit.means) == [0.5, 9.5]
        assert fit.labels.tolist() == [0, 0, 1, 1]
        assert oracle.labels(samples, fit).tolist() == [1, 1, 2, 2]

    def test_labels_are_darkest_first_whatever_the_order_of_the_initial_means(self):
        samples = column(0, 1, 9, 10)
        fit = oracle.lloyd(samples, [[10], [0]])
        assert fit.labels.tolist() == [1, 1, 0, 0]
        assert oracle.labels(samples, fit).tolist() == [1, 1, 2, 2]

    @pytest.mark.parametrize(
        ("means", "groups", "after"),
        [
            ([0, 2], [0, 0, 1], [0.5, 2.0]),
            ([2, 0], [1, 0, 0], [1.5, 0.0]),
        ],
    )
    def test_a_tie_goes_to_the_first_of_the_initial_means(self, means, groups, after):
        fit = oracle.lloyd(column(0, 1, 2), [[m] for m in means], max_iterations=1)
        assert flat(fit.means) == after
        assert fit.labels.tolist() == groups

    def test_the_second_of_two_equal_means_is_empty(self):
        fit = oracle.lloyd(column(4, 5), [[4], [4]], empty="keep", max_iterations=1)
        assert fit.iterations[0].counts.tolist() == [2, 0]
        assert fit.dropped == (1,)

    def test_one_colour_gives_one_label(self):
        samples = column(7, 7, 7)
        fit = oracle.lloyd(samples, [[7], [50], [7]])
        assert len(fit.iterations) == 1
        assert fit.iterations[0].residual == 0.0
        assert fit.converged
        assert fit.dropped == (1, 2)
        assert oracle.labels(samples, fit).tolist() == [1, 1, 1]

    def test_two_channels_by_hand(self):
        samples = np.array([[0, 0], [0, 4], [10, 10]], np.uint8)
        fit = oracle.lloyd(samples, [[3, 2], [10, 6]])
        first, second = fit.iterations
        assert first.means.tolist() == [[0, 2], [10, 10]]
        assert first.residual == 3.0 + 4.0
        assert first.inertia == 13.0 + 13.0 + 16.0
        assert (second.residual, second.inertia) == (0.0, 8.0)

    def test_nothing_to_do_is_an_error(self):
        with pytest.raises(ValueError, match="0 samples"):
            oracle.lloyd(np.empty((0, 1)), [[0]])
        with pytest.raises(ValueError, match="0 iterations"):
            oracle.lloyd(column(1), [[0]], max_iterations=0)


class TestEmptiedGroups:
    SAMPLES = column(0, 0, 10, 12)
    MEANS = ((0,), (11,), (100,))

    def test_farthest_takes_the_lexicographically_smallest_of_the_farthest_vectors(self):
        fit = oracle.lloyd(self.SAMPLES, self.MEANS, empty="farthest")
        first, second, third = fit.iterations
        assert first.counts.tolist() == [2, 2, 0]
        assert flat(first.means) == [0.0, 11.0, 10.0], "the donor keeps its sums in this turn"
        assert (first.residual, first.inertia) == (90.0, 2.0)
        assert second.counts.tolist() == [2, 1, 1]
        assert flat(second.means) == [0.0, 12.0, 10.0]
        assert (second.residual, second.inertia) == (1.0, 1.0)
        assert (third.residual, third.inertia) == (0.0, 0.0)
        assert fit.dropped == ()
        assert oracle.labels(self.SAMPLES, fit).tolist() == [1, 1, 2, 3]

    def test_keep_keeps_the_mean_and_gives_no_label(self):
        fit = oracle.lloyd(self.SAMPLES, self.MEANS, empty="keep")
        assert len(fit.iterations) == 1
        assert flat(fit.means) == [0.0, 11.0, 100.0]
        assert fit.dropped == (2,)
        assert oracle.labels(self.SAMPLES, fit).tolist() == [1, 1, 2, 2]

    def test_error_names_the_group(self):
        with pytest.raises(oracle.EmptiedGroupError, match=r"\[2\]"):
            oracle.lloyd(self.SAMPLES, self.MEANS, empty="error")

    def test_successive_groups_take_successive_distinct_vectors(self):
        fit = oracle.lloyd(column(0, 9, 9, 7), [[4], [100], [200]], max_iterations=1)
        assert flat(fit.means) == [6.25, 9.0, 0.0]

    def test_a_group_stays_empty_when_the_vectors_off_their_means_run_out(self):
        fit = oracle.lloyd(column(4, 4, 9), [[4], [100], [200]], max_iterations=1)
        assert fit.iterations[0].means[1:].tolist() == [[9.0], [200.0]]
        assert fit.dropped == (2,)

    def test_a_group_refilled_in_the_last_iteration_is_not_dropped(self):
        fit = oracle.lloyd(self.SAMPLES, self.MEANS, max_iterations=1)
        assert not fit.converged
        assert fit.dropped == ()
        assert oracle.labels(self.SAMPLES, fit).tolist() == [1, 1, 2, 3]

    def test_a_dropped_group_takes_no_sample_in_the_labels(self):
        samples = column(0, 0, 0, 10)
        fit = oracle.lloyd(samples, [[9], [16]], empty="keep", max_iterations=1)
        assert flat(fit.means) == [2.5, 16.0]
        assert fit.dropped == (1,)
        assert fit.labels.tolist() == [0, 0, 0, 0]
        assert oracle.labels(samples, fit).tolist() == [1, 1, 1, 1]

    def test_a_vector_of_many_channels_is_compared_channel_by_channel(self):
        samples = np.array([[5, 1], [1, 5], [1, 3], [5, 3]], np.uint8)
        fit = oracle.lloyd(samples, [[3, 3], [90, 90]], max_iterations=1)
        assert fit.means.tolist() == [[3.0, 3.0], [1.0, 5.0]]

    def test_a_negative_zero_becomes_a_mean_without_its_sign(self):
        fit = oracle.lloyd(column(-0.0, 3, 3, dtype="f8"), [[2], [3], [99], [98]], max_iterations=1)
        assert math.copysign(1, fit.means[2, 0]) == 1.0


class TestStopping:
    SAMPLES = column(0, 4, 6, 7, 20)

    def test_a_residual_equal_to_the_threshold_ends_the_loop(self):
        samples = column(0, 1, 9, 10)
        fit = oracle.lloyd(samples, [[0], [10]], threshold=1.0)
        assert (len(fit.iterations), fit.converged) == (1, True)
        fit = oracle.lloyd(samples, [[0], [10]], threshold=math.nextafter(1.0, 0))
        assert (len(fit.iterations), fit.converged) == (2, True)

    def test_the_bound_on_iterations_ends_the_loop_unconverged(self):
        fit = oracle.lloyd(self.SAMPLES, [[0], [7]], max_iterations=1)
        assert (len(fit.iterations), fit.converged) == (1, False)

    def test_labels_belong_to_the_final_means_and_not_to_the_last_assignment(self):
        fit = oracle.lloyd(self.SAMPLES, [[0], [7]], max_iterations=1)
        assert fit.iterations[0].counts.tolist() == [1, 4]
        assert flat(fit.means) == [0.0, 9.25]
        assert fit.labels.tolist() == [0, 0, 1, 1, 1]


class TestScaledMetric:
    def test_weights_change_which_mean_is_nearest(self):
        sample, means = np.array([[3, 0]], np.uint8), np.array([[0.0, 0.0], [4.0, 3.0]])
        assert oracle.distances(sample, means, np.array([1.0, 1.0])).tolist() == [[9.0, 10.0]]
        assert oracle.distances(sample, means, np.array([2.0, 1.0])).tolist() == [[36.0, 13.0]]

    def test_means_stay_in_image_units_while_residual_and_inertia_are_scaled(self):
        samples = np.array([[0, 0], [2, 0]], np.uint8)
        (first, second) = oracle.lloyd(samples, [[4, 4]], weights=[2, 1]).iterations
        assert first.means.tolist() == [[1.0, 0.0]]
        assert first.residual == math.sqrt((3 * 2) ** 2 + 4**2)
        assert first.inertia == (8**2 + 4**2) + (4**2 + 4**2)
        assert second.inertia == 2 * 2**2


class TestArithmetic:
    def test_distances_do_not_cancel(self):
        samples = column(1e8 + 1, dtype="f8")
        assert oracle.distances(samples, np.array([[1e8]]), np.ones(1)).item() == 1.0

    def test_integer_sums_are_exact_beyond_float64(self):
        top = 2**64 - 1
        assert oracle.mean([top, top, 2]) == float(2 * top + 2) / 3
        assert oracle.mean([2**53, 1, 1]) == (2.0**53 + 2) / 3
        assert oracle.mean([2**53 + 1] * 3) == 2.0**53 + 2, "each rounded first gives 2**53"

    def test_float_sums_are_exact(self):
        assert oracle.mean([1e100, 1.0, -1e100, 1.0]) == 0.5

    def test_inertia_is_rounded_once(self):
        samples = np.array([[2**27], [1], [1], [1]], np.uint32)
        groups = np.zeros(4, np.int64)
        exact = 2**54 + 3
        assert oracle.inertia(samples, groups, np.zeros((1, 1)), np.ones(1)) == float(exact)
        assert float(exact) != 2.0**54, "adding one by one in float64 would lose the ones"

    @given(strategies.images(non_finite=False), st.data())
    def test_distances_equal_a_loop_over_python_floats(self, image, data):
        samples = image.samples[:5]
        assume(len(samples))
        means = data.draw(strategies.given_means(image, 3))
        weights = data.draw(strategies.channel_weights(image.channels))
        expected = np.zeros((len(samples), 3))
        for i, j in np.ndindex(expected.shape):
            for x, m, w in zip(samples[i], means[j], weights, strict=True):
                d = (float(x) - float(m)) * float(w)
                expected[i, j] = expected[i, j] + d * d
        np.testing.assert_array_equal(oracle.distances(samples, means, weights), expected)


class TestLabelOrder:
    def test_brightness_comes_before_the_first_channel(self):
        assert oracle.label_order(np.array([[0.0, 9.0], [5.0, 1.0]])).tolist() == [1, 0]

    def test_equal_brightness_is_decided_channel_by_channel(self):
        means = np.array([[2.0, 0.0, 1.0], [1.0, 2.0, 0.0], [1.0, 0.0, 2.0]])
        assert oracle.label_order(means).tolist() == [2, 1, 0]

    def test_equal_means_keep_the_order_of_the_initial_means(self):
        assert oracle.label_order(np.array([[1.0], [0.0], [1.0]])).tolist() == [1, 0, 2]


class TestValid:
    NAN, INF = math.nan, math.inf

    @pytest.mark.parametrize(
        ("nodata", "pixels", "expected"),
        [
            ((), [[0, 0], [255, 1]], [True, True]),
            # One number: all channels.
            ((0,), [[0, 0], [0, 1], [1, 1]], [False, True, True]),
            # One per channel: any channel, its own number only.
            ((0, 9), [[0, 5], [5, 9], [9, 0], [0, 9]], [False, False, True, False]),
            # A number that the dtype cannot hold marks nothing.
            ((-9999,), [[0, 0], [255, 255]], [True, True]),
            ((0.5,), [[0, 0], [1, 1]], [True, True]),
        ],
    )
    def test_nodata_of_integers(self, nodata, pixels, expected):
        assert oracle.valid(np.array(pixels, np.uint8), nodata).tolist() == expected

    @pytest.mark.parametrize("nodata", [(), (NAN,), (NAN, NAN)])
    def test_any_channel_that_is_not_finite_makes_a_pixel_invalid(self, nodata):
        pixels = [[1, 2], [self.NAN, 2], [1, self.INF], [-self.INF, 1], [self.NAN, self.NAN]]
        image = np.array(pixels, np.float32)
        assert oracle.valid(image, nodata).tolist() == [True, False, False, False, False]

    def test_nodata_is_compared_as_the_image_stores_it(self):
        image = np.array([[0.1], [0.2], [-3.4028235e38]], np.float32)
        assert oracle.valid(image, (0.1,)).tolist() == [False, True, True]
        assert oracle.valid(image, (-3.40282e38,)).tolist() == [True, True, True]
        assert oracle.valid(image, (-3.4028234663852886e38,)).tolist() == [True, True, False]

    def test_a_fully_transparent_pixel_is_invalid_and_a_faint_one_counts(self):
        alpha = np.array([0, 1, 255], np.uint8)
        assert oracle.valid(np.ones((3, 1)), (), alpha).tolist() == [False, True, True]

    def test_nodata_that_does_not_fit_the_channels_is_an_error(self):
        with pytest.raises(ValueError, match="2 nodata values for 3 channels"):
            oracle.valid(np.zeros((1, 3)), (0, 1))


class TestSegment:
    def test_invalid_pixels_get_label_0_and_never_enter_a_mean(self):
        image = np.array([[0, 1, 200], [9, 200, 10]], np.uint8)[..., None]
        labels, fit = oracle.segment(image, [[0], [10]], nodata=(200,))
        assert labels.tolist() == [[1, 1, 0], [2, 0, 2]]
        assert flat(fit.means) == [0.5, 9.5]


class TestLaws:
    @given(strategies.images(), st.data())
    def test_the_order_of_samples_does_not_change_a_bit(self, image, data):
        samples = image.samples
        means = data.draw(strategies.given_means(image, data.draw(st.integers(1, 5))))
        order = np.random.default_rng(data.draw(st.integers(0, 99))).permutation(len(samples))
        one = oracle.lloyd(samples, means, max_iterations=5)
        two = oracle.lloyd(samples[order], means, max_iterations=5)
        assert one.means.tobytes() == two.means.tobytes()
        assert one.labels[order].tolist() == two.labels.tolist()
        assert one.dropped == two.dropped
        for a, b in zip(one.iterations, two.iterations, strict=True):
            assert (a.residual, a.inertia) == (b.residual, b.inertia)
            assert a.counts.tolist() == b.counts.tolist()

    @given(strategies.images(dtypes=("uint8", "int16")), st.data())
    def test_inertia_never_rises(self, image, data):
        means = data.draw(strategies.given_means(image, data.draw(st.integers(1, 5))))
        for empty in ("keep", "farthest"):
            fit = oracle.lloyd(image.samples, means, empty=empty)
            inertias = [turn.inertia for turn in fit.iterations]
            for before, after in pairwise(inertias):
                assert after <= before * (1 + 1e-9) + 1e-9

    @given(strategies.images(dtypes=("uint8", "uint16", "int16")), st.data())
    def test_integers_run_to_a_residual_of_exactly_zero(self, image, data):
        means = data.draw(strategies.given_means(image, data.draw(st.integers(1, 5))))
        fit = oracle.lloyd(image.samples, means)
        assert fit.converged
        assert fit.iterations[-1].residual == 0.0
        assert np.bincount(fit.labels, minlength=len(means)).tolist() == (
            fit.iterations[-1].counts.tolist()
        )

    @given(strategies.images(), st.data())
    def test_labels_are_nearest_and_run_from_dark_to_bright(self, image, data):
        samples = image.samples
        means = data.draw(strategies.given_means(image, data.draw(st.integers(1, 5))))
        fit = oracle.lloyd(samples, means, max_iterations=3)
        labels = oracle.labels(samples, fit)
        kept = np.delete(fit.means, list(fit.dropped), axis=0)
        assert labels.min() >= 1
        assert labels.max() <= len(kept)
        ranked = kept[oracle.label_order(kept)]
        distance = oracle.distances(samples, ranked, fit.weights)
        own = distance[np.arange(len(samples)), labels - 1]
        assert (own == distance.min(axis=1)).all()
        assert (np.diff(ranked.mean(axis=1)) >= -1e-9 * np.abs(ranked).max()).all()


class TestStrategies:
    @given(strategies.images(dtypes=("int16", "float32"), channels=(3, 6), ndims=(3,)), st.data())
    def test_drawn_images_are_what_was_asked_for(self, image, data):
        assert image.values.dtype in (np.dtype("int16"), np.dtype("float32"))
        assert image.channels in (3, 6)
        assert len(image.shape) == 3
        assert len(image.nodata) in (0, 1, image.channels)
        assert np.isfinite(image.samples).all()
        chunk = data.draw(strategies.chunk_shapes(image.shape))
        assert all(1 <= edge <= side for edge, side in zip(chunk, image.shape, strict=True))

    @given(strategies.images(), st.integers(1, 9), st.data())
    def test_given_means_are_finite_and_in_float64(self, image, k, data):
        means = data.draw(strategies.given_means(image, k))
        assert means.shape == (k, image.channels)
        assert means.dtype == np.float64
        assert np.isfinite(oracle.distances(image.samples, means, np.ones(image.channels))).all()


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float64"])
@pytest.mark.parametrize("channels", [1, 3, 6])
@pytest.mark.parametrize("k", [2, 5])
def test_scikit_learn_finds_the_same_means_from_the_same_start(dtype, channels, k):
    rng = np.random.default_rng(1000 * k + channels)
    centre = rng.uniform(40, 200, (k, channels))
    samples = (centre[rng.integers(0, k, 600)] + rng.normal(0, 12, (600, channels))).astype(dtype)
    initial = centre + rng.uniform(-20, 20, centre.shape)
    fit = oracle.lloyd(samples, initial)
    assert fit.converged
    assert fit.dropped == ()
    from sklearn.cluster import KMeans  # only here, as it takes a second
    from threadpoolctl import threadpool_limits

    theirs = KMeans(k, init=initial, n_init=1, algorithm="lloyd", tol=0, max_iter=1000)
    with threadpool_limits(1):  # more threads would wait for each other, busily
        theirs.fit(samples.astype(np.float64))
    np.testing.assert_allclose(fit.means, theirs.cluster_centers_, rtol=1e-9)
    np.testing.assert_array_equal(fit.labels, theirs.labels_)
    np.testing.assert_allclose(fit.iterations[-1].inertia, theirs.inertia_, rtol=1e-9)
