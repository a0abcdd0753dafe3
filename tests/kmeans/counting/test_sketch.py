"""Distinct vectors and sketches against `np.unique` and an order by hash."""

from functools import reduce

import numpy as np
import pytest
from chunkmeans.kmeans.counting import sketch as distinct
from chunkmeans.kmeans.counting.sketch import Distinct, DistinctCounter, by_hash, hashes_of
from chunkmeans.kmeans.exact.moments import Moments
from chunkmeans.kmeans.samples import Samples
from hypothesis import given
from hypothesis import strategies as st

from tests.kmeans.examples import (
    column,
    parts,
    same_moments,
    same_samples,
    small_sketch,
    table_of,
)
from tests.support import strategies

GOLDEN = [0x33FE8BD4F9C57863, 0x870D1ECDB6EF13BE, 0x253AA7B4A0AC70BB]
TYPES = [("u2", 3), ("i8", 1), ("f4", 1), ("f8", 3)]


def count(values, pieces=None):
    """Distinct vectors, counted piece by piece by one counter."""
    counter = DistinctCounter(values.dtype, values.shape[1])
    for piece in [values] if pieces is None else pieces:
        counter.add(piece)
    return counter.result()


def lowest(values, number):
    """The distinct vectors of lowest hash, equal hashes lexicographically, with their counts."""
    table = table_of(values)
    order = np.argsort(hashes_of(table.values), kind="stable")[:number]
    order.sort()
    return Samples(table.values[order], table.weights[order])


@st.composite
def samples(draw):
    """Samples of wide types: some repeat, some never, integers with equal hashes among them."""
    dtype, channels = draw(st.sampled_from(TYPES))
    most = draw(st.sampled_from([3, 60, 200]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    pool = draw(st.lists(strategies.numbers(dtype), min_size=1, max_size=5))
    spread = np.arange(draw(st.sampled_from([1, 12, 400]))).astype(dtype)
    if dtype == "i8":
        spread = spread + 2**53
    numbers = np.concatenate([np.array(pool, dtype), spread])
    return rng.choice(numbers, (draw(st.integers(0, most)), channels))


class TestCounting:
    @given(samples())
    def test_all_vectors_are_counted_while_they_are_kept(self, values):
        found = count(values)
        assert found.complete
        assert same_samples(found.samples(), table_of(values))

    @given(samples())
    def test_a_sketch_has_the_vectors_of_lowest_hash_with_exact_counts(self, values):
        with small_sketch():
            found = count(values)
            sketch = found.sketch().samples()
        assert same_samples(sketch, lowest(values, 8))
        table = table_of(values)
        if found.complete:
            assert same_samples(found.samples(), table)
            assert len(table.values) <= 32
        else:
            assert len(table.values) > 8

    @given(samples(), st.data())
    def test_any_parts_in_any_order_give_the_same_sketch(self, values, data):
        pieces = data.draw(parts(values))
        with small_sketch():
            merged = reduce(Distinct.merge, map(count, pieces))
            added = count(values, pieces)
            for found in (merged, added):
                assert same_samples(found.sketch().samples(), lowest(values, 8))
                if found.complete:
                    assert same_samples(found.samples(), table_of(values))
            if len(table_of(values).values) > 32:
                assert not merged.complete
                assert not added.complete

    @given(samples(), st.data())
    def test_totals_cover_every_sample_once_a_sketch_is_all_there_is(self, values, data):
        with small_sketch():
            counter = DistinctCounter(values.dtype, values.shape[1])
            for piece in data.draw(parts(values)):
                counter.add(piece)
        if counter.complete:
            assert counter.rest is None
        else:
            assert same_moments(counter.rest, Moments.of(Samples(values)))

    @pytest.mark.parametrize(("repeats", "complete"), [(1, False), (4, True)])
    def test_room_grows_only_where_vectors_repeat(self, repeats, complete):
        values = np.repeat(np.arange(20), repeats)[:, None]
        with small_sketch():
            found = count(values)
        assert found.complete is complete
        assert len(found.counts) == (20 if complete else 8)
        assert set(found.counts.tolist()) == {repeats}

    def test_more_distinct_vectors_than_the_limit_become_a_sketch(self):
        for n, complete in ((32, True), (33, False)):
            values = np.tile(np.arange(n), 9)[:, None]
            with small_sketch():
                assert count(np.sort(values, axis=0)).complete is complete
                halves = [count(np.arange(n)[:, None][i::5]) for i in range(5)]
                assert reduce(Distinct.merge, halves).complete is complete


class TestOrder:
    def test_both_zeros_are_one_vector(self):
        values = np.array([[0.0, -0.0], [-0.0, 0.0], [-0.0, -0.0], [0.0, 1.0]], np.float32)
        table = count(values).samples()
        assert table.counts.tolist() == [3, 1]
        assert not np.signbit(table.values).any()
        merged = count(values[:1]).merge(count(values[1:]))
        assert same_samples(merged.samples(), table)

    def test_the_pixels_that_were_given_keep_their_zeros(self):
        values = column(-0.0, dtype="f8")
        count(values)
        assert np.signbit(values[0, 0])

    def test_different_vectors_of_one_hash_are_told_apart(self):
        values = column(2**53 + 1, 2**53, 2**53 + 1, 5, dtype="i8")
        assert len(set(hashes_of(values[:2]).tolist())) == 1, "they are one float64"
        found = count(values)
        assert found.samples().counts.tolist() == [1, 1, 2]
        twins = found.values[found.values[:, 0] > 5, 0]
        assert twins.tolist() == [2**53, 2**53 + 1]
        for a, b in ((values[:1], values[1:]), (values[1:], values[:1])):
            merged = count(a).merge(count(b))
            assert np.array_equal(merged.values, found.values)
            assert np.array_equal(merged.counts, found.counts)

    def test_twins_at_the_edge_of_a_sketch_leave_in_lexicographic_order(self):
        twins = column(2**53, 2**53 + 1, dtype="i8")
        with small_sketch(1, 1):
            for order in ([0, 1, 1, 0, 1], [1, 0, 1, 0, 1], [1, 1, 1, 0, 0]):
                found = count(twins[order])
                assert found.values.tolist() == [[2**53]]
                assert found.counts.tolist() == [2]

    @given(samples())
    def test_by_hash_sorts_by_hash_and_then_by_vector(self, values):
        hashes = hashes_of(values)
        rows = list(zip(hashes.tolist(), map(tuple, values.tolist()), strict=True))
        assert [rows[i] for i in by_hash(values, hashes)] == sorted(rows)


class TestHash:
    def test_it_is_written_down(self):
        """Another hash would be another sketch: other draws of the same seed, silently."""
        values = np.array([[0, 0, 0], [1, 2, 3], [65535, 0, 1]], np.uint16)
        assert hashes_of(values).tolist() == GOLDEN

    def test_equal_numbers_of_any_type_have_one_hash(self):
        values = np.array([[1, 2, 3]])
        kinds = ("u2", "i8", "f4", "f8")
        assert len({int(hashes_of(values.astype(kind))[0]) for kind in kinds}) == 1

    def test_the_order_of_channels_matters(self):
        assert len(set(hashes_of(np.array([[1, 2], [2, 1]])).tolist())) == 2

    def test_hashes_are_spread(self):
        grid = np.stack(np.meshgrid(np.arange(64.0), np.arange(64.0)), axis=-1).reshape(-1, 2)
        hashes = hashes_of(grid)
        assert len(set(hashes.tolist())) == 4096
        per_bin = np.bincount((hashes >> np.uint64(60)).astype(int), minlength=16)
        assert per_bin.min() > 200
        assert per_bin.max() < 312


def test_a_sketch_is_of_128_k_vectors():
    assert (distinct.SKETCH, distinct.LIMIT) == (2**17, 2**20)
