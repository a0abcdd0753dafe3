"""From samples to a model: starts, scales, labels and what is refused."""

from fractions import Fraction
from itertools import pairwise
from math import sqrt

import numpy as np
import pytest
from chunkmeans.errors import ChunkError, ConfigError
from chunkmeans.features.scale import ChannelScale
from chunkmeans.kmeans import fit as module
from chunkmeans.kmeans.exact.moments import Moments
from chunkmeans.kmeans.fit import LARGEST_MAGNITUDE, FitSettings, fit, initial_means, metric_of
from chunkmeans.kmeans.lloyd import lloyd
from chunkmeans.kmeans.metric import Metric
from chunkmeans.kmeans.samples import Samples
from chunkmeans.kmeans.seeding import Draws, random_means
from chunkmeans.kmeans.tree import TableSource
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.kmeans.examples import RawPixels, collect, column, same_moments
from tests.support import oracle, strategies


def fitted(values, settings, **options):
    """Fit of samples on their table."""
    collected = collect(values)
    return fit(
        collected, settings, lambda metric: TableSource(collected.samples(), metric), **options
    )


def labels_of(found, values):
    """Labels that a fit writes, (n,)."""
    out = np.empty(len(values), np.uint16)
    found.metric.labels(values, found.means, found.numbers, out)
    return out


def model_of(found, values):
    """Model of the labels of samples."""
    return found.model(found.metric.moments(Samples(values), found.means))


def given_settings(means, **options):
    """FitSettings that begin at given means."""
    return FitSettings(k=len(means), init=np.array(means, np.float64), **options)


class TestAgainstBruteForce:
    @given(strategies.images(), st.integers(1, 9), st.data())
    def test_labels_means_and_inertia_are_the_same(self, image, k, data):
        values = image.samples
        means = data.draw(strategies.given_means(image, k)) + 0.0
        weights = data.draw(st.none() | strategies.channel_weights(image.channels))
        options = {
            "empty": data.draw(st.sampled_from(["farthest", "keep"])),
            "max_iterations": data.draw(st.sampled_from([1, 2, 8])),
        }
        expected = oracle.lloyd(values, means, weights=weights, **options)
        scale = None if weights is None else ChannelScale(tuple(weights.tolist()))
        found = fitted(values, given_settings(means, scale=scale, **options))
        labels = labels_of(found, values)
        assert labels.tolist() == oracle.labels(values, expected).tolist()

        kept = [i for i in range(k) if i not in expected.dropped]
        assert found.occupied.tolist() == kept
        model = model_of(found, values)
        ranked = expected.means[kept][oracle.label_order(expected.means[kept])]
        assert model.means.tolist() == ranked.tolist()
        assert model.converged is expected.converged
        assert model.residuals.tolist() == [i.residual for i in expected.iterations]
        assert model.inertias.tolist() == [i.inertia for i in expected.iterations]
        assert model.counts.tolist() == np.bincount(labels, minlength=len(kept) + 1)[1:].tolist()
        final = oracle.inertia(values, labels.astype(np.int64) - 1, ranked, expected.weights)
        assert model.inertia == final

    @given(strategies.images(), st.integers(1, 6), st.data())
    def test_rows_of_the_model_belong_together(self, image, k, data):
        values = image.samples
        means = data.draw(strategies.given_means(image, k)) + 0.0
        found = fitted(values, given_settings(means, max_iterations=4))
        model, labels = model_of(found, values), labels_of(found, values)
        assert np.array_equal(model.means[model.order], found.means)
        assert sorted(model.order.tolist()) == list(range(model.k))
        for index in range(model.k):
            members = values[labels == index + 1]
            assert model.counts[index] == len(members)
            one = Moments.of(Samples(np.ascontiguousarray(members)))
            assert model.deviations[index].tolist() == one.deviations()[0].tolist()
        history = np.array(found.iterations.counts)
        assert np.array_equal(model.history[:, model.order], history[:, found.occupied])

    @pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
    @pytest.mark.parametrize("channels", [1, 4])
    def test_scikit_learn_agrees_from_the_same_start(self, dtype, channels):
        rng = np.random.default_rng(channels)
        centre = rng.uniform(40, 200, (5, channels))
        noise = rng.normal(0, 12, (600, channels))
        values = (centre[rng.integers(0, 5, 600)] + noise).astype(dtype)
        initial = centre + rng.uniform(-20, 20, centre.shape)
        found = fitted(values, given_settings(initial))
        from sklearn.cluster import KMeans  # only here, as it takes a second

        theirs = KMeans(5, init=initial, n_init=1, algorithm="lloyd", tol=0, max_iter=1000)
        theirs.fit(values.astype(np.float64))
        np.testing.assert_allclose(found.means, theirs.cluster_centers_, rtol=1e-9)
        np.testing.assert_allclose(model_of(found, values).inertia, theirs.inertia_, rtol=1e-9)
        assert np.array_equal(labels_of(found, values) - 1, found.numbers[theirs.labels_] - 1)


class TestLabels:
    @given(strategies.images(), st.integers(1, 7), st.integers(0, 9))
    def test_they_run_from_1_to_k_from_dark_to_bright(self, image, k, seed):
        values = image.samples
        assume(len(values))
        found = fitted(values, FitSettings(k, seed=seed, max_iterations=5))
        assert sorted(found.numbers.tolist()) == list(range(1, len(found.means) + 1))
        model = model_of(found, values)
        assert oracle.label_order(model.means).tolist() == list(range(model.k))
        assert set(labels_of(found, values).tolist()) <= set(range(1, model.k + 1))

    def test_they_do_not_tell_the_order_of_the_initial_means(self):
        values = column(0, 1, 9, 10)
        for means in ([[0], [10]], [[10], [0]]):
            assert labels_of(fitted(values, given_settings(means)), values).tolist() == [1, 1, 2, 2]

    def test_a_vacant_group_gets_no_label(self):
        values = column(0, 0, 10, 12)
        found = fitted(values, given_settings([[100], [0], [11]], empty="keep"))
        assert found.occupied.tolist() == [1, 2]
        assert labels_of(found, values).tolist() == [1, 1, 2, 2]
        model = model_of(found, values)
        assert (model.k, model.history.tolist()) == (2, [[2, 2]])

    def test_a_dropped_group_takes_no_sample(self):
        values = column(0, 0, 0, 10)
        found = fitted(values, given_settings([[9], [16]], empty="keep", max_iterations=1))
        assert labels_of(found, values).tolist() == [1, 1, 1, 1]

    def test_a_group_that_was_refilled_at_the_end_is_kept(self):
        values = column(0, 0, 10, 12)
        found = fitted(values, given_settings([[0], [11], [100]], max_iterations=1))
        assert found.occupied.tolist() == [0, 1, 2]
        assert not found.starts[0].converged
        assert labels_of(found, values).tolist() == [1, 1, 2, 3]

    @pytest.mark.parametrize("init", ["random", "kmeans++"])
    @pytest.mark.parametrize("dtype", ["u1", "f4"])
    def test_one_colour_gives_one_label(self, init, dtype):
        values = column(7, 7, 7, dtype=dtype)
        found = fitted(values, FitSettings(4, init=init, restarts=3))
        model = model_of(found, values)
        assert (model.k, model.means.tolist(), model.counts.tolist()) == (1, [[7.0]], [3])
        assert (model.inertia, model.converged, model.residuals[-1]) == (0.0, True, 0.0)

    @pytest.mark.parametrize("init", ["random", "kmeans++"])
    def test_fewer_vectors_than_k_are_a_label_each(self, init):
        values = column(9, 3, 3, 200)
        found = fitted(values, FitSettings(300, init=init))
        assert labels_of(found, values).tolist() == [2, 1, 1, 3]
        assert model_of(found, values).inertia == 0.0


class TestStarts:
    VALUES = np.random.default_rng(5).integers(0, 255, (300, 3), np.uint8)

    def test_the_start_of_lowest_inertia_is_kept_and_all_are_recorded(self):
        settings = FitSettings(6, restarts=5, seed=3, max_iterations=9)
        found = fitted(self.VALUES, settings)
        ends = []
        for restart in range(5):
            collected = collect(self.VALUES)
            first = random_means(collected.samples(), 6, Draws(3, restart))
            fit_ = oracle.lloyd(self.VALUES, first, max_iterations=9)
            groups = oracle.nearest(self.VALUES, fit_.means, np.ones(3))
            ends.append(oracle.inertia(self.VALUES, groups, fit_.means, np.ones(3)))
            start = found.starts[restart]
            assert start.inertia == ends[-1]
            assert start.iterations == len(fit_.iterations)
            assert start.residual == fit_.iterations[-1].residual
            assert start.converged is fit_.converged
        assert len(set(ends)) > 1
        assert found.best == ends.index(min(ends))
        model = model_of(found, self.VALUES)
        assert (model.inertia, model.best, len(model.starts)) == (min(ends), found.best, 5)

    def test_more_starts_never_end_higher(self):
        inertias = [
            model_of(fitted(self.VALUES, FitSettings(5, restarts=n)), self.VALUES).inertia
            for n in (1, 2, 4, 8)
        ]
        assert all(b <= a for a, b in pairwise(inertias))

    def test_of_equal_starts_the_first_is_kept(self):
        found = fitted(column(0, 1, 2), FitSettings(3, restarts=4))
        assert [s.inertia for s in found.starts] == [0.0] * 4
        assert found.best == 0

    def test_given_means_start_once(self):
        found = fitted(column(0, 9), given_settings([[0], [9]], restarts=7))
        assert len(found.starts) == 1

    def test_one_start_records_the_inertia_of_its_labels(self):
        values = column(0, 4, 6, 7, 20)
        model = model_of(fitted(values, given_settings([[0], [7]], max_iterations=1)), values)
        assert model.starts[0].inertia == model.inertia
        assert model.inertia != model.inertias[-1]

    def test_every_iteration_of_every_start_is_watched(self):
        seen = []
        found = fitted(
            self.VALUES,
            FitSettings(4, restarts=3),
            watch=lambda restart, iteration: seen.append((restart, iteration.index)),
        )
        expected = [(r, i + 1) for r, s in enumerate(found.starts) for i in range(s.iterations)]
        assert seen == expected

    def test_seeds_and_restarts_begin_elsewhere(self):
        samples, metric = collect(self.VALUES).seeds(), Metric(np.ones(3))
        for init in ("random", "kmeans++"):
            begun = [
                initial_means(
                    samples, FitSettings(5, init=init, seed=seed), metric, restart
                ).tolist()
                for seed in (0, 1)
                for restart in (0, 1)
            ]
            assert len({str(means) for means in begun}) == 4


class TestScale:
    @given(strategies.images(), st.sampled_from(["standard", "range"]), st.integers(1, 5))
    def test_weights_are_one_over_the_spread_and_labels_those_of_brute_force(self, image, scale, k):
        values = image.samples
        assume(len(values))
        weights = np.ones(image.channels)
        for channel, numbers in enumerate(values.T.tolist()):
            if scale == "range":
                spread = float(max(numbers) - min(numbers))
            else:
                average = sum(map(Fraction, numbers)) / len(numbers)
                total = sum((Fraction(x) - average) ** 2 for x in numbers)
                spread = sqrt(float(total / len(numbers)))
            if spread > 0:
                weights[channel] = 1.0 / max(spread, np.finfo(float).tiny)
        found = fitted(values, FitSettings(k, scale=ChannelScale(scale), max_iterations=4))
        assert found.metric.weights.tolist() == weights.tolist()
        start = random_means(collect(values).seeds(), k, Draws(0, 0))
        expected = oracle.lloyd(values, start, weights=weights, max_iterations=4)
        assert labels_of(found, values).tolist() == oracle.labels(values, expected).tolist()
        assert found.iterations.inertias == [i.inertia for i in expected.iterations]
        assert found.iterations.residuals == [i.residual for i in expected.iterations]

    @pytest.mark.parametrize("scale", ["standard", "range"])
    def test_a_constant_channel_keeps_weight_1(self, scale):
        values = np.array([[5, 0], [5, 4]], np.uint8)
        weights = metric_of(collect(values), FitSettings(2, scale=ChannelScale(scale))).weights
        assert weights.tolist() == [1.0, 0.5 if scale == "standard" else 0.25]

    @pytest.mark.parametrize("dtype", ["i8", "u8"])
    def test_the_range_of_wide_integers_does_not_wrap(self, dtype):
        info = np.iinfo(dtype)
        collected = collect(column(info.min, info.max, dtype=dtype))
        assert metric_of(
            collected, FitSettings(2, scale=ChannelScale("range"))
        ).weights.tolist() == [2.0**-64]

    def test_a_denormal_range_has_a_finite_weight(self):
        values = column(0.0, 5e-324, 1e-323, dtype="f8")
        found = fitted(values, given_settings([[0], [1e-323]], scale=ChannelScale("range")))
        assert np.isfinite(found.metric.weights).all()
        assert np.isfinite(model_of(found, values).inertia)


class TestRefusals:
    def test_given_means_of_other_channels(self):
        with pytest.raises(ConfigError, match="given means have 3 channels, the image has 1; give"):
            fitted(column(1, 2), given_settings([[1, 2, 3]]))

    def test_weights_of_other_channels(self):
        with pytest.raises(ConfigError, match=r"features\.scale: 2 weights for 1 channels; give"):
            fitted(column(1, 2), FitSettings(1, scale=ChannelScale((1.0, 2.0))))

    @pytest.mark.parametrize("number", [2 * LARGEST_MAGNITUDE, -1e300, np.finfo(float).max])
    @pytest.mark.parametrize("scale", ["none", "standard", "range"])
    def test_numbers_whose_squares_overflow(self, number, scale):
        with pytest.raises(ChunkError, match=r"a pixel holds \S+; .* 1e\+140: set images\.nodata"):
            fitted(column(0, number, dtype="f8"), FitSettings(2, scale=ChannelScale(scale)))

    def test_weights_that_make_them_overflow(self):
        with pytest.raises(ChunkError, match=r"a weighted pixel holds 2e\+140; .*features\.scale"):
            fitted(column(1, 2), FitSettings(1, scale=ChannelScale((1e140,))))

    @pytest.mark.parametrize("mean", [1e200, np.nan, np.inf])
    def test_given_means_that_make_them_overflow(self, mean):
        with pytest.raises(ChunkError, match=r"a given mean holds \S+; .*kmeans\.init"):
            fitted(column(1, 2), given_settings([[0.0], [mean]]))

    @pytest.mark.parametrize("scale", ["none", "standard", "range"])
    def test_the_largest_numbers_that_are_not_refused_stay_finite(self, scale):
        values = column(-LARGEST_MAGNITUDE, LARGEST_MAGNITUDE, LARGEST_MAGNITUDE, 0.0, dtype="f8")
        model = model_of(fitted(values, FitSettings(2, scale=ChannelScale(scale))), values)
        for numbers in (model.means, model.deviations, model.residuals, model.inertias):
            assert np.isfinite(numbers).all()
        assert np.finfo(float).max > 4 * LARGEST_MAGNITUDE**2 * 65535 * 2.0**60

    def test_an_emptied_group_where_it_is_an_error(self):
        with pytest.raises(ChunkError, match="group 2 of 2 has no sample in iteration 1"):
            fitted(column(1, 2), given_settings([[1], [99]], empty="error"))


class TestTableSource:
    @pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
    def test_threads_change_no_bit(self, dtype, monkeypatch):
        monkeypatch.setattr("chunkmeans.kmeans.tree.ROWS_PER_THREAD", 50)
        rng = np.random.default_rng(9)
        values = rng.integers(0, 255, (2000, 3)).astype(dtype)
        table = collect(values).samples()
        means, metric = values[:9].astype(np.float64), Metric(np.array([1.0, 0.3, 2.0]))
        one, four = TableSource(table, metric, 1), TableSource(table, metric, 4)
        assert len(four._parts) == 4
        a = metric.sums(table, means)
        for _ in range(2):  # the trees are made by the first
            for b in (one.sums(means), four.sums(means)):
                assert np.array_equal(a.counts, b.counts)
                assert a.sums == b.sums
        assert [len(one._trees), len(four._trees)] == [1, 4]
        assert same_moments(one.moments(means), four.moments(means))
        assert np.array_equal(one.farthest(means, 5).values, four.farthest(means, 5).values)

    def test_few_rows_are_not_worth_a_thread(self):
        pixels = TableSource(Samples(column(1, 2)), Metric(np.ones(1)), 8)
        assert len(pixels._parts) == 1

    @pytest.mark.parametrize("threads", [1, 3])
    def test_a_part_of_pixels_without_counts_may_be_the_table(self, threads, monkeypatch):
        monkeypatch.setattr("chunkmeans.kmeans.tree.ROWS_PER_THREAD", 2)
        values = column(0, 1, 9, 10, 10, 3)
        metric, means = Metric(np.ones(1)), np.array([[0.0], [9.0]])
        found = TableSource(Samples(values), metric, threads).sums(means)
        assert found.counts.tolist() == [3, 3]
        assert found.sums.floats().tolist() == [[4.0], [29.0]]


@given(strategies.images(), st.sampled_from(["random", "kmeans++"]), st.integers(1, 6))
def test_a_fit_on_pixels_is_the_fit_on_their_table(image, init, k):
    values = image.samples
    assume(len(values))
    settings = FitSettings(k, init=init, max_iterations=5)
    table = fitted(values, settings)
    raw = fit(
        collect(values), settings, lambda metric: RawPixels(np.array_split(values, 3), metric)
    )
    assert raw.means.tobytes() == table.means.tobytes()
    assert raw.numbers.tolist() == table.numbers.tolist()
    assert raw.starts == table.starts
    assert np.array_equal(raw.iterations.counts, table.iterations.counts)


def test_a_model_of_a_part_of_the_pixels_counts_those_alone():
    """Of a collection's fit, each image has a model of its own."""
    values = column(0, 1, 9, 10)
    found = fitted(values, given_settings([[0], [10]]))
    part = model_of(found, values[:3])
    assert part.counts.tolist() == [2, 1]
    assert part.means.tolist() == [[0.5], [9.5]]
    assert part.inertia == 0.75
    assert part.deviations.tolist() == [[0.5], [0.0]]
    assert part.history.tolist() == [[2, 2], [2, 2]]


def test_a_finished_fit_is_a_fixed_point():
    values = np.random.default_rng(2).integers(0, 99, (200, 1)).astype(np.uint8)
    found = fitted(values, FitSettings(5))
    pixels = TableSource(collect(values).samples(), found.metric)
    again = next(lloyd(found.means, pixels, collect(values).moments(), found.metric))
    assert again.residual == 0.0
    assert again.inertia == model_of(found, values).inertia


def test_all_starts_are_drawn_before_the_first_pass(monkeypatch):
    told = []
    draw = module.initial_means
    monkeypatch.setattr(module, "initial_means", lambda *a: told.append("draw") or draw(*a))
    sums = TableSource.sums
    monkeypatch.setattr(TableSource, "sums", lambda *a: told.append("pass") or sums(*a))
    fitted(column(1, 2, 5, 9, 30), FitSettings(2, init="kmeans++", restarts=3))
    assert told[:4] == ["draw"] * 3 + ["pass"]
    assert "draw" not in told[3:]
