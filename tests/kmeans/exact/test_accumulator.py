"""Sums without rounding, against Python's integers, fractions and `math.fsum`."""

import math
from fractions import Fraction

import numpy as np
import pytest
from chunkmeans.kmeans.exact.accumulator import (
    Exact,
    dyadics,
    form,
    rounded,
)
from chunkmeans.kmeans.exact.moments import Moments
from chunkmeans.kmeans.samples import Samples
from hypothesis import example, given
from hypothesis import strategies as st

from tests.kmeans.examples import CANONICAL, exactly
from tests.support import strategies

BASE = 2**32


def any_number(dtype):
    """Every finite number of a type, its extremes often."""
    kind = np.dtype(dtype)
    if kind.kind in "ui":
        return strategies.numbers(kind)
    edges = np.finfo(kind)
    width = 8 * kind.itemsize
    extremes = [edges.max, -edges.max, edges.smallest_subnormal, edges.smallest_normal, 0.0, -0.0]
    return st.sampled_from([float(x) for x in extremes]) | st.floats(
        width=width, allow_nan=False, allow_infinity=False
    )


counts = st.integers(1, 3) | st.integers(1, 2**45) | st.sampled_from([2**32 - 1, 2**32, 2**45])


@st.composite
def weighted(draw):
    """A column of samples and how often each occurs."""
    dtype = draw(st.sampled_from(CANONICAL))
    numbers = draw(st.lists(any_number(dtype), min_size=1, max_size=8))
    often = draw(st.lists(counts, min_size=len(numbers), max_size=len(numbers)))
    return Samples(np.array(numbers, dtype)[:, None], np.array(often, np.int64))


class TestSums:
    @given(weighted())
    @example(Samples(np.array([[2**16 - 1]], "u2"), np.array([2**45])))
    @example(Samples(np.array([[-(2**63)], [2**63 - 1]], "i8"), np.array([2**45, 2**45])))
    @example(Samples(np.array([[2**64 - 1]], "u8"), np.array([2**45])))
    def test_sums_and_squares_equal_fractions(self, samples):
        found = Moments.of(samples)
        pairs = list(zip(samples.values[:, 0].tolist(), samples.counts.tolist(), strict=True))
        assert found.counts.tolist() == [sum(n for _, n in pairs)]
        assert exactly(found.sums) == [sum(n * Fraction(x) for x, n in pairs)]
        assert exactly(found.squares) == [sum(n * Fraction(x) ** 2 for x, n in pairs)]

    @given(st.sampled_from(CANONICAL), st.data())
    def test_samples_without_counts_count_once(self, dtype, data):
        numbers = data.draw(st.lists(any_number(dtype), max_size=20))
        found = Moments.of(Samples(np.array(numbers, dtype).reshape(-1, 1)))
        assert exactly(found.sums) == [sum(map(Fraction, numbers))]
        assert exactly(found.squares) == [sum(Fraction(x) ** 2 for x in numbers)]

    @given(st.sampled_from(["f4", "f8"]), st.data())
    def test_float_sums_are_rounded_as_fsum_rounds(self, dtype, data):
        numbers = data.draw(st.lists(strategies.numbers(dtype), min_size=1, max_size=30))
        values = np.array(numbers, dtype)[:, None]
        assert Moments.of(Samples(values)).sums.floats().tolist() == [
            [math.fsum(values[:, 0].tolist())]
        ]

    @given(weighted(), st.data())
    def test_equal_sums_are_equal_arrays_whatever_the_order(self, samples, data):
        order = data.draw(st.permutations(range(len(samples.values))))
        shuffled = Samples(samples.values[order], samples.counts[order])
        assert Moments.of(samples).squares == Moments.of(shuffled).squares
        assert Moments.of(samples).sums == Moments.of(shuffled).sums


@pytest.mark.parametrize("dtype", CANONICAL)
def test_the_highest_limb_holds_2_to_the_60_pixels(dtype):
    kind = np.dtype(dtype)
    f = form(kind)
    largest = int(np.iinfo(kind).max if kind.kind in "ui" else np.finfo(kind).max) + 1
    for limbs, exponent, number in (
        (f.sum_limbs, f.sum_exponent, largest),
        (f.square_limbs, f.square_exponent, largest**2),
    ):
        assert 2**60 * number * 2**-exponent < BASE ** (limbs - 1) * 2**62


limb_rows = st.lists(
    st.lists(st.integers(-(2**40), 2**40), min_size=4, max_size=4), min_size=2, max_size=2
).map(lambda rows: Exact.of(np.array(rows, np.int64), -3))


class TestAlgebra:
    @given(limb_rows, limb_rows, limb_rows)
    def test_addition_is_associative_and_commutative(self, a, b, c):
        assert (a + b) + c == a + (b + c)
        assert a + b == b + a
        assert (a + b).integers == [x + y for x, y in zip(a.integers, b.integers, strict=True)]

    @given(limb_rows)
    def test_total_is_the_sum_over_the_first_axis(self, a):
        assert a.total().integers == [sum(a.integers)]

    def test_adding_leaves_both_terms_as_they_were(self):
        a = Exact.of(np.array([[BASE - 1, 0]]), 0)
        assert (a + a).integers == [2 * BASE - 2]
        assert a.integers == [BASE - 1]

    def test_numbers_in_different_units_are_not_equal(self):
        limbs = np.array([1, 0])
        assert Exact(limbs, 0) != Exact(limbs, 1)
        assert Exact(limbs, 0) != 1

    def test_floats_keep_the_shape(self):
        assert Exact.of(np.ones((2, 3, 4), np.int64), 0).floats().shape == (2, 3)


class TestRounding:
    @given(st.integers(-(2**200), 2**200), st.integers(-1400, 800))
    def test_a_number_is_rounded_once_to_the_nearest(self, integer, exponent):
        assert rounded(integer, exponent) == float(integer * Fraction(2) ** exponent)

    @pytest.mark.parametrize(
        ("integer", "expected"),
        [(2**53 + 1, 2.0**53), (2**53 + 3, 2.0**53 + 4), (-(2**53) - 1, -(2.0**53))],
    )
    def test_ties_go_to_even(self, integer, expected):
        assert rounded(integer, 0) == expected
        assert rounded(integer << 9, -9) == expected

    @given(st.floats(allow_nan=False, allow_infinity=False))
    @example(5e-324)
    @example(-0.0)
    def test_a_float_is_taken_apart_exactly(self, value):
        (integer,), exponent = dyadics([value])
        assert integer * Fraction(2) ** exponent == Fraction(value)


@pytest.mark.parametrize("limbs", [3, 4, 5, 12])
def test_integers_are_put_together_whatever_their_size(limbs):
    edges = [0, 1, 2**31 - 1, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1, 2**64, 2**70]
    for numbers in (edges, edges[:4], [-1, 5], [-n for n in edges]):
        rows = [
            [*((n >> 32 * j) & 0xFFFFFFFF for j in range(limbs - 1)), n >> 32 * (limbs - 1)]
            for n in numbers
        ]
        assert Exact(np.array(rows, np.int64), 0).integers == numbers
        assert Exact(np.array(rows, np.int64), 0).floats().tolist() == [float(n) for n in numbers]


@pytest.mark.parametrize("number", [4, 5, 7])
def test_a_single_limb_is_widened_as_if_it_had_been_carried(number):
    sums = np.array([0, 1, -1, 2**31, 2**32, -(2**32), 2**62, -(2**62), 2**63 - 1, -(2**63)])
    found = Exact.of_limbs(sums[:, None].astype(np.int64), number, 0)
    assert found.limbs.shape == (len(sums), number)
    assert found.integers == sums.tolist()
    again = Exact.of(found.limbs.copy(), 0)
    assert again == found


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=9))
def test_floats_that_share_an_exponent_are_still_themselves(values):
    integers, exponent = dyadics(values)
    assert [Fraction(i) * Fraction(2) ** exponent for i in integers] == [
        Fraction(v) for v in values
    ]
