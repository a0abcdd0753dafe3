"""Exact additions to limbs, against Python's integers."""

import numpy as np
import pytest
from chunkmeans.kmeans.compiled import limbs as module
from chunkmeans.kmeans.compiled.limbs import carry
from chunkmeans.kmeans.exact.accumulator import form
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from tests.kmeans.examples import CANONICAL

BASE = 2**32


@pytest.fixture(scope="module")
def checked():
    """`add_times` and `add_square`, compiled to raise where they leave the limbs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "add", njit(boundscheck=True)(module.add.py_func))
        times = njit(boundscheck=True)(module.add_times.py_func)
        patch.setattr(module, "add_times", times)
        square = njit(boundscheck=True)(module.add_square.py_func)
        times(np.zeros(9, np.int64), 0, np.uint64(1), 1, 0, 1)
        square(np.zeros(9, np.int64), 0, np.uint64(1), 1, 0)
    with pytest.raises(IndexError):
        times(np.zeros(3, np.int64), 0, np.uint64(1), 2**32, 0, 1)
    return times, square


class TestBounds:
    """Compiled loops check no bounds and limbs overflow silently: both are computed here."""

    @pytest.mark.parametrize("dtype", CANONICAL)
    @pytest.mark.parametrize("count", [2, 2**62 - 1], ids=["twice", "very often"])
    def test_no_sample_reaches_beyond_its_limbs_or_fills_them_before_they_are_carried(
        self, checked, dtype, count
    ):
        times, square = checked
        kind = np.dtype(dtype)
        f = form(kind)
        digits, shifts = 8 * kind.itemsize, [0]
        if kind.kind == "f":
            digits = np.finfo(kind).nmant + 1
            top = int(np.finfo(kind).maxexp - np.finfo(kind).minexp) - 1
            shifts = [*range(32), *range(top - 32, top + 1)]
        magnitude = np.uint64(2**digits - 1)
        for shift in shifts:
            sums, squares = np.zeros(f.sum_limbs, np.int64), np.zeros(f.square_limbs, np.int64)
            times(sums, 0, magnitude, count, shift, 1)
            square(squares, 0, magnitude, count, 2 * shift)
            for limbs, value in ((sums, int(magnitude)), (squares, int(magnitude) ** 2 << shift)):
                total = sum(limb << (32 * j) for j, limb in enumerate(limbs.tolist()))
                assert total == (count * value) << shift
                assert int(limbs.max()) * module.CARRY_EVERY + BASE < 2**63


class TestCarry:
    def test_hands_overflow_to_the_next_limb(self):
        rows = np.array([[BASE, 0, 0], [-1, 0, 0], [3 * BASE + 7, BASE - 2, 5], [0, -1, 1]])
        carry(rows)
        full = BASE - 1
        assert rows.tolist() == [[0, 1, 0], [full, full, -1], [7, 1, 6], [0, full, 0]]

    @given(st.lists(st.integers(-(2**61), 2**61), min_size=4, max_size=4))
    def test_keeps_the_number_and_gives_it_its_one_form(self, limbs):
        number = sum(limb << (32 * j) for j, limb in enumerate(limbs))
        rows = np.array([limbs], np.int64)
        carry(rows)
        assert sum(limb << (32 * j) for j, limb in enumerate(rows[0].tolist())) == number
        assert ((rows[:, :-1] >= 0) & (rows[:, :-1] < BASE)).all()
        once = rows.copy()
        carry(rows)
        assert np.array_equal(rows, once)
