"""The table of integer vectors against `np.unique`."""

import tracemalloc
from collections import Counter
from dataclasses import replace
from functools import reduce

import numpy as np
import pytest
from chunkmeans.kmeans.counting.colours import (
    LISTED,
    Table,
    fits,
    merge_sorted,
    merged_bytes,
    planes_of,
    table_counter,
)
from hypothesis import given
from hypothesis import strategies as st

from tests.kmeans.examples import parts, same_samples, table_of
from tests.support import strategies

FITTING = [("u1", 1), ("u1", 2), ("u1", 3), ("u2", 1), ("i2", 1)]


def count(values, pieces=None):
    """Table of samples, counted piece by piece by one counter."""
    counter = table_counter(values.dtype, values.shape[1])
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
    candidates = 2 ** (8 * np.dtype(dtype).itemsize * channels) // 20
    dense = count(values, [values[:candidates], values[candidates:-5], values[-5:]])
    assert reduce(Table.merge, (count(v) for v in np.array_split(values, 3))).pixels == n
    bits = 8 * np.dtype(dtype).itemsize
    code = np.zeros(n, np.int64)
    for channel in range(channels):
        code = (code << bits) + values[:, channel].astype(np.int64) - info.min
    codes, counts = np.unique(code, return_counts=True)
    dense = dense.listed()
    assert np.array_equal(dense.codes, codes)
    assert np.array_equal(dense.rest, counts)


def test_counts_go_beyond_32_bits():
    counter = table_counter(np.dtype("u1"), 3)
    full = np.full((2**20, 3), 7, np.uint8)
    counter.add(full)
    counter._full.append(np.full(2**16, 0x070707, np.uint32))  # as if so many times 256 had come
    counter._since += 2**24
    once = counter.result()
    assert once.samples().counts.tolist() == [2**24 + 2**20]
    table = reduce(Table.merge, [once] * 300)
    assert table.samples().counts.tolist() == [300 * (2**24 + 2**20)]


COUNTS = st.dictionaries(
    st.integers(0, 255), st.integers(1, 2**62) | st.sampled_from([1, 255, 256, 65_535, 65_536])
)


def listed(counts):
    """Table of a count per code."""
    codes = sorted(counts)
    rest = np.array([counts[code] for code in codes], np.int64)
    pixels = sum(counts.values())
    return Table((), np.array(codes, np.uint32), rest, pixels, np.dtype("u1"), 1)


@given(COUNTS, st.integers(0, 3))
def test_planes_hold_the_same_counts_as_a_list(counts, planes):
    table = listed(counts).with_planes(planes)
    assert len(table.planes) == planes
    assert same_samples(table.samples(), listed(counts).samples())


@given(st.lists(st.tuples(COUNTS, st.integers(0, 3)), min_size=2, max_size=4), st.randoms())
def test_tables_of_any_planes_merge_to_the_sum_in_any_order(parts, random):
    parts = [({code: n // 8 + 1 for code, n in counts.items()}, p) for counts, p in parts]
    tables = [listed(counts).with_planes(planes) for counts, planes in parts]
    random.shuffle(tables)
    merged = reduce(Table.merge, tables)
    total = sum((Counter(counts) for counts, _ in parts), Counter())
    assert same_samples(merged.samples(), listed(total).samples())
    assert merged.pixels == total.total()
    assert len(merged.codes) <= 256 // LISTED


def test_merging_changes_neither_part():
    a, b = (listed(dict.fromkeys(range(n), 200)).with_planes(1) for n in (40, 256))
    before = [table.samples() for table in (a, b)]
    a.merge(b).merge(a)
    assert all(map(same_samples, before, (a.samples(), b.samples())))


def test_a_table_of_every_vector_takes_a_byte_for_each_digit():
    codes = np.arange(2**16, dtype=np.uint32)
    every = Table((), codes, np.full(2**16, 200), 200 * 2**16, np.dtype("u2"), 1).compact()
    merged = every.merge(every)
    assert [len(table.planes) for table in (every, merged)] == [1, 2]
    assert (len(every.codes), len(merged.codes)) == (0, 0)
    assert same_samples(merged.samples(), replace(every.samples(), counts=np.full(2**16, 400)))


def worst(pixels, *, planes=0, listed=0, full=0, first=0):
    """Table of RGB colours, `listed` of them in the list, `full` of them 255 times in the plane."""
    digits = [np.zeros(2**24, np.uint8) for _ in range(planes)]
    if full:
        digits[0][:: 2**24 // full] = 255
    codes = np.arange(first, 2 * listed, 2, dtype=np.uint32)
    return Table(tuple(digits), codes, np.ones(listed, int), pixels, np.dtype("u1"), 3)


@pytest.mark.parametrize(
    "parts",
    [
        [worst(2**20, listed=2**20), worst(2**20, listed=2**20, first=1)],
        [worst(2**20, listed=2**20), worst(2**27, planes=1, listed=2**19, first=1)],
        [worst(2**27, planes=1, listed=2**19, first=n) for n in range(2)],
        [worst(2**27, planes=1, full=2**19) for _ in range(2)],
        [worst(2**28, planes=1, listed=2**20, first=n) for n in range(2)],
        [worst(2**28, planes=1, full=2**20) for _ in range(2)],
        [worst(2**35, planes=2, listed=2**19, first=n) for n in range(2)],
    ],
    ids=["lists", "list and plane", "lists beside planes", "full planes", "lists that get a plane",
         "full planes that get one", "two planes"],
)  # fmt: skip
def test_merging_takes_no_more_memory_than_is_planned(parts):
    a, b = parts
    planned = merged_bytes(a.pixels + b.pixels, a.size)
    tracemalloc.start()
    merged = a.merge(b)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(merged.planes) <= planes_of(merged.pixels, a.size)
    assert peak <= planned + 2**20


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
