"""The table of integer vectors against `np.unique`."""

from collections import Counter
from dataclasses import replace
from functools import reduce

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.kmeans.table import Table, TableCounter, fits, merge_sorted
from tests import strategies
from tests.kmeans.examples import parts, same_samples, table_of

FITTING = [("u1", 1), ("u1", 2), ("u1", 3), ("u2", 1), ("i2", 1)]


def count(values, pieces=None):
    """Table of samples, counted piece by piece by one counter."""
    counter = TableCounter(values.dtype, values.shape[1])
    for piece in [values] if pieces is None else pieces:
        counter.add(piece)
    return counter.result()


def drawn(data, dtype, channels, most=40):
    """Samples of a type that has a table."""
    number = st.sampled_from(data.draw(st.lists(strategies.numbers(dtype), min_size=1, max_size=4)))
    vectors = data.draw(st.lists(st.tuples(*[number] * channels), max_size=most))
    return np.array(vectors, dtype).reshape(-1, channels)


@pytest.mark.parametrize(("dtype", "channels"), FITTING)
@given(data=st.data())
def test_a_table_holds_every_vector_and_its_count_in_order(dtype, channels, data):
    values = drawn(data, dtype, channels)
    assert same_samples(count(values).samples(), table_of(values))


@pytest.mark.parametrize(("dtype", "channels"), FITTING)
@given(data=st.data())
def test_any_parts_in_any_order_merge_to_the_same_table(dtype, channels, data):
    values = drawn(data, dtype, channels)
    whole, pieces = count(values), data.draw(parts(values))
    for found in (reduce(Table.merge, map(count, pieces)), count(values, pieces)):
        assert same_samples(found.samples(), whole.samples())
        assert (found.pixels, found.dtype, found.channels) == (
            len(values), whole.dtype, whole.channels
        )  # fmt: skip


@pytest.mark.parametrize(
    ("dtype", "channels", "n"),
    [("u1", 1, 3000), ("u1", 2, 9000), ("u2", 1, 9000), ("i2", 1, 9000), ("u1", 3, 2**20 + 9)],
)
def test_many_samples_are_counted_as_few_are(dtype, channels, n):
    rng = np.random.default_rng(3)
    info = np.iinfo(dtype)
    values = rng.integers(info.min, info.max, (n, channels), dtype, endpoint=True)
    values[: n // 2] = values[0]
    few = 2 ** (8 * np.dtype(dtype).itemsize * channels) // 20
    dense = count(values, [values[:few], values[few:-5], values[-5:]])
    assert reduce(Table.merge, (count(v) for v in np.array_split(values, 3))).pixels == n
    bits = 8 * np.dtype(dtype).itemsize
    code = np.zeros(n, np.int64)
    for channel in range(channels):
        code = (code << bits) + values[:, channel].astype(np.int64) - info.min
    codes, counts = np.unique(code, return_counts=True)
    dense = dense.listed()
    assert np.array_equal(dense.codes, codes)
    assert np.array_equal(dense.counts, counts)


def test_counts_go_beyond_32_bits():
    counter = TableCounter(np.dtype("u1"), 1)
    full = np.full((5000, 1), 7, np.uint8)
    counter.add(full)
    counter._full.append(np.full(2**16, 7, np.uint32))  # as if that many times 256 had come
    counter._since += 2**24
    once = counter.result()
    assert once.samples().counts.tolist() == [2**24 + 5000]
    table = reduce(Table.merge, [once] * 300)
    assert table.samples().counts.tolist() == [300 * (2**24 + 5000)]


@pytest.mark.parametrize("forms", [("list", "list"), ("list", "dense"), ("dense", "dense")])
def test_lists_and_dense_tables_merge_to_the_same(forms):
    rng = np.random.default_rng(4)
    parts = [rng.integers(0, 200, (n, 1), np.uint8) for n in (90, 120)]
    whole = table_of(np.concatenate(parts))

    def table(values, form):
        listed = count(values).listed()
        if form == "list":
            return listed
        dense = np.zeros(256, np.uint32)
        dense[listed.codes] = listed.counts
        return replace(listed, codes=None, counts=dense)

    a, b = map(table, parts, forms)
    for merged in (a.merge(b), b.merge(a)):
        assert same_samples(merged.samples(), whole)
        assert merged.pixels == 210


def test_a_table_of_every_vector_takes_no_more_than_a_count_each():
    codes = np.arange(2**16, dtype=np.uint32)
    every = Table(codes, np.ones(2**16, np.int64), 2**16, np.dtype("u2"), 1)
    merged = every.merge(every)
    assert (merged.codes, merged.counts.dtype, merged.counts.nbytes) == (None, "u4", 2**18)
    assert same_samples(merged.samples(), replace(every.samples(), counts=np.full(2**16, 2)))


@given(*[st.dictionaries(st.integers(0, 9), st.integers(1, 2**40))] * 2)
def test_merging_sorted_codes_adds_counters(a, b):
    lists = [
        array
        for counts in (a, b)
        for array in (
            np.array(sorted(counts), np.uint32),
            np.array([counts[code] for code in sorted(counts)], np.int64),
        )
    ]
    codes, counts = merge_sorted(*lists)
    expected = Counter(a) + Counter(b)
    assert codes.tolist() == sorted(expected)
    assert counts.tolist() == [expected[code] for code in sorted(expected)]


@pytest.mark.parametrize(
    ("dtype", "channels", "expected"),
    [("u1", 3, True), ("u1", 4, False), ("u2", 1, True), ("u2", 2, False), ("i2", 1, True),
     ("i8", 1, False), ("u8", 1, False), ("f4", 1, False)],
)  # fmt: skip
def test_integer_vectors_of_up_to_24_bits_have_a_table(dtype, channels, expected):
    assert fits(np.dtype(dtype), channels) is expected
