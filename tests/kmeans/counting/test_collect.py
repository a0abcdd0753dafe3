"""What one read leaves: the same for any parts in any order."""

from functools import reduce

import numpy as np
import pytest
from chunkmeans.kmeans.counting.collect import Collected, Collector
from chunkmeans.kmeans.counting.colours import Table
from chunkmeans.kmeans.counting.sketch import Distinct
from chunkmeans.kmeans.exact.moments import Moments
from chunkmeans.kmeans.samples import Samples
from hypothesis import given
from hypothesis import strategies as st

from tests.kmeans.examples import (
    collect,
    column,
    parts,
    same_moments,
    same_samples,
    small_sketch,
    table_of,
)
from tests.support import strategies


def same(a, b):
    """Whether two reads left the same, whatever path each took; bit for bit."""
    if a.complete and b.complete and not same_samples(a.samples(), b.samples()):
        return False
    return (
        same_samples(a.seeds(), b.seeds())
        and same_moments(a.moments(), b.moments())
        and a.lowest.tolist() == b.lowest.tolist()
        and a.highest.tolist() == b.highest.tolist()
        and (a.pixels, a.invalid) == (b.pixels, b.invalid)
    )


def identical(a, b):
    """Whether two reads left the same by the same path."""
    return a.complete == b.complete and same_samples(a.samples(), b.samples()) and same(a, b)


class TestMonoid:
    @given(strategies.images(), st.data())
    def test_any_parts_in_any_order_leave_the_same(self, image, data):
        values = image.samples
        with small_sketch():
            whole, pieces = collect(values), data.draw(parts(values))
            merged = reduce(Collected.merge, map(collect, pieces))
            assert same(merged, whole)
            assert same(reduce(Collected.merge, map(collect, pieces[::-1])), whole)
            collector = Collector(values.dtype, values.shape[1])
            for piece in pieces:
                collector.add(piece)
            assert same(collector.result(), whole)

    @given(strategies.images(), st.data())
    def test_merge_is_associative_and_commutative_and_nothing_changes_nothing(self, image, data):
        values = image.samples
        with small_sketch():
            pieces = [collect(v, 2) for v in data.draw(parts(values))]
            a, b, c = (pieces + [collect(values)] * 3)[:3]
            assert identical(a.merge(b).merge(c), a.merge(b.merge(c)))
            assert identical(a.merge(b), b.merge(a))
            nothing = collect(values[:0])
            assert identical(a.merge(nothing), a)
            assert identical(nothing.merge(a), a)

    def test_merging_leaves_both_parts_as_they_were(self):
        a, b = collect(column(1, 2)), collect(column(2, 3))
        a.merge(b)
        assert same(a, collect(column(1, 2)))
        assert same(b, collect(column(2, 3)))


class TestContents:
    @pytest.mark.parametrize("dtype", ["u1", "f4"])
    def test_a_result_taken_on_the_way_stays_as_it_was(self, dtype):
        collector = Collector(np.dtype(dtype), 1)
        collector.add(column(4, 5, dtype=dtype))
        early = collector.result()
        collector.add(column(1, 9, dtype=dtype), 2)
        assert identical(early, collect(column(4, 5, dtype=dtype)))
        assert identical(collector.result(), collect(column(1, 4, 5, 9, dtype=dtype), 2))

    @given(strategies.images())
    def test_range_totals_and_table_are_those_of_the_samples(self, image):
        values = image.samples
        found = collect(values, 3)
        assert (found.pixels, found.invalid) == (len(values), 3)
        assert found.complete
        assert same_samples(found.samples(), table_of(values))
        assert same_moments(found.moments(), Moments.of(Samples(values)))
        if len(values):
            assert found.lowest.tolist() == values.min(axis=0).tolist()
            assert found.highest.tolist() == values.max(axis=0).tolist()
        assert found.lowest.dtype == found.highest.dtype == values.dtype

    @pytest.mark.parametrize(
        ("dtype", "channels", "kind"),
        [("u1", 3, Table), ("u2", 1, Table), ("u1", 4, Distinct), ("f4", 1, Distinct)],
    )
    def test_integer_vectors_of_up_to_24_bits_are_kept_in_a_table(self, dtype, channels, kind):
        assert type(collect(np.zeros((2, channels), dtype)).vectors) is kind

    @pytest.mark.parametrize(
        ("dtype", "canonical"), [("i1", "int16"), ("u4", "int64"), (">f4", "float32")]
    )
    def test_samples_of_other_types_are_refused(self, dtype, canonical):
        with pytest.raises(TypeError, match=f"samples are collected as {canonical}, found"):
            Collector(np.dtype(dtype), 1)


class TestSeeds:
    def test_the_table_of_a_grey_image_is_whole_whatever_a_sketch_holds(self):
        with small_sketch():
            assert len(collect(np.arange(200, dtype="u1")[:, None]).seeds().values) == 200

    def test_they_do_not_tell_whether_all_vectors_were_kept(self):
        values = np.repeat(np.arange(25.0), 3)[:, None]
        with small_sketch():
            kept = collect(values)
            lost = reduce(Collected.merge, [collect(np.arange(25.0)[:, None])] * 3)
            assert (kept.complete, lost.complete) == (True, False)
            assert same(kept, lost)
            assert len(kept.seeds().values) == 8
