"""Rows in little memory are the rows that they were."""

import math
import tracemalloc

from chunkmeans.results.read.catalog import Row
from chunkmeans.results.read.rows import Rows
from hypothesis import given
from hypothesis import strategies as st

from tests.results.read.test_catalog import rows, text_of


@given(st.lists(rows, unique_by=lambda row: row.id))
def test_every_row_is_found_as_it_was_put_in(table):
    packed = Rows(table)
    assert list(packed) == [row.id for row in table]
    assert [packed[row.id] for row in table] == table
    assert list(packed.values()) == table
    backwards = packed.listed([row.id for row in reversed(table)])
    assert list(backwards) == table[::-1]
    assert text_of(backwards) == text_of(table[::-1])


def test_a_row_is_replaced_where_it_stands_and_taken_out():
    packed = Rows([Row("a", "a.tif", "done"), Row("b", "b.tif", "done")])
    packed["a"] = Row("a", "a.tif", "failed", "cut short")
    assert [(row.id, row.state) for row in packed.values()] == [("a", "failed"), ("b", "done")]
    del packed["a"]
    assert "a" not in packed
    assert len(packed) == 1


def test_a_row_takes_a_few_hundred_bytes():
    means = tuple((math.pi * i, math.e * i, 1 / (i + 1)) for i in range(5))
    tracemalloc.start()
    try:
        packed = Rows(
            Row(
                f"plate-{i}/image", f"/data/scans/plate-{i}/image.jpg", "done", shape=(321, 481),
                k=5, iterations=50, residual=0.0, inertia=1e9 / 3, pixels=154401, nodata=0,
                seconds=0.0123, store=f"images/plate-{i}/image.ome.zarr", means=means,
                fractions=(0.1, 0.2, 0.3, 0.25, 0.15), fingerprint=f"{i} bytes, 9999999999 ns",
            )
            for i in range(2000)
        )  # fmt: skip
        assert tracemalloc.get_traced_memory()[0] < 800 * len(packed)
    finally:
        tracemalloc.stop()
