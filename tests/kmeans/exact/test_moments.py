"""Exact totals by group against fractions."""

from fractions import Fraction
from functools import reduce
from math import sqrt

import numpy as np
import pytest
from chunkmeans.kmeans.exact import moments
from chunkmeans.kmeans.exact.moments import Moments
from chunkmeans.kmeans.samples import Samples
from hypothesis import given
from hypothesis import strategies as st

from tests.kmeans.examples import column, exactly, same_moments, table_of
from tests.support import strategies


@st.composite
def grouped(draw):
    """Samples, the group of each, and the number of groups."""
    image = draw(strategies.images())
    k = draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    return image.samples, rng.integers(0, k, len(image.samples)).astype(np.uint16), k


def brute(values, groups, k, power):
    """Exact sums of powers by group and channel, in C order."""
    return [
        sum((Fraction(x) ** power for x in values[groups == g, c].tolist()), Fraction(0))
        for g in range(k)
        for c in range(values.shape[1])
    ]


class TestTotals:
    @given(grouped())
    def test_counts_sums_and_squares_equal_fractions(self, drawn):
        values, groups, k = drawn
        found = Moments.of(Samples(values), groups, k)
        assert found.counts.tolist() == np.bincount(groups, minlength=k).tolist()
        assert exactly(found.sums) == brute(values, groups, k, 1)
        assert exactly(found.squares) == brute(values, groups, k, 2)

    @given(strategies.images())
    def test_a_table_has_the_totals_of_its_pixels(self, image):
        assert same_moments(Moments.of(Samples(image.samples)), Moments.of(table_of(image.samples)))

    def test_more_pixels_than_an_int64_holds_go_into_limbs(self):
        values, often = np.full((50, 2), 65535, np.uint16), np.full(50, 2**40)
        squares = Moments.of(Samples(values, often)).squares
        assert squares.integers == [50 * 65535**2 * 2**40] * 2

    def test_as_many_squares_as_are_added_at_once_fit_an_int64(self):
        assert moments.INT64_PIXELS * 65535**2 < 2**63


class TestMonoid:
    @given(grouped(), st.data())
    def test_parts_in_any_order_have_the_totals_of_the_whole(self, drawn, data):
        values, groups, k = drawn
        cut = data.draw(st.integers(0, len(values)))
        a, b, none = (
            Moments.of(Samples(values[s]), groups[s], k)
            for s in (slice(cut), slice(cut, None), slice(0))
        )
        whole = Moments.of(Samples(values), groups, k)
        assert same_moments(a.merge(b), whole)
        assert same_moments(b.merge(a), whole)
        assert same_moments(whole.merge(none), whole)
        assert same_moments(a.merge(b).merge(whole), a.merge(b.merge(whole)))

    @given(grouped())
    def test_the_total_of_all_groups_is_that_of_one(self, drawn):
        values, groups, k = drawn
        grouped_total = Moments.of(Samples(values), groups, k).total()
        assert same_moments(grouped_total, Moments.of(Samples(values)))


class TestDeviations:
    @given(grouped())
    def test_equal_the_exact_variance_rounded_once(self, drawn):
        values, groups, k = drawn
        found = Moments.of(Samples(values), groups, k).deviations()
        for group in range(k):
            members = values[groups == group]
            for channel, column_ in enumerate(members.T.tolist()):
                n = len(column_)
                average = sum(map(Fraction, column_)) / n if n else Fraction(0)
                variance = sum((Fraction(x) - average) ** 2 for x in column_) / n if n else 0
                assert found[group, channel] == sqrt(float(variance))

    def test_numpy_agrees(self):
        values = np.random.default_rng(0).normal(5, 2, (500, 3))
        found = Moments.of(Samples(values)).deviations()[0]
        np.testing.assert_allclose(found, values.std(axis=0), rtol=1e-12)

    def test_they_do_not_cancel(self):
        values = column(1e9, 1e9 + 1, dtype="f8")
        assert Moments.of(Samples(values)).deviations().tolist() == [[0.5]]

    @pytest.mark.parametrize("dtype", ["u1", "f4"])
    def test_a_group_of_one_colour_or_none_has_deviation_0(self, dtype):
        values, groups = column(7, 7, dtype=dtype), np.zeros(2, np.uint16)
        assert Moments.of(Samples(values), groups, 2).deviations().tolist() == [[0.0], [0.0]]


def test_partial_totals_of_large_tables_stay_exact():
    table = Samples(column(1, 65535, dtype="u2"), np.array([2**44, 2**45]))
    found = reduce(Moments.merge, [Moments.of(table)] * 5)
    assert found.counts.tolist() == [5 * (2**44 + 2**45)]
    assert found.squares.integers == [5 * (2**44 + 2**45 * 65535**2)]
