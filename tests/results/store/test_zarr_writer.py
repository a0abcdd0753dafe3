"""Stored objects against zarr: what it reads, and what it writes itself."""

import numpy as np
import pytest
import zarr
from chunkmeans.errors import ResultError
from chunkmeans.image.grid import Box, split
from chunkmeans.results.store.store import Store
from chunkmeans.results.store.zarr_writer import (
    ZarrArray,
    create_array,
    object_names,
    read_objects,
    write_objects,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.codecs import ZstdCodec

DTYPES = ["uint8", "uint16", "int16", "float32", "float64", ">u2"]


@st.composite
def cuts(draw):
    """Shape of an array, of its chunks and of its shards, if it has any."""
    axes = draw(st.integers(1, 3))
    shape = tuple(draw(st.integers(1, 13)) for _ in range(axes))
    chunk = tuple(draw(st.integers(1, 5)) for _ in range(axes))
    times = tuple(draw(st.integers(1, 3)) for _ in range(axes))
    shard = tuple(c * t for c, t in zip(chunk, times, strict=True))
    return shape, chunk, draw(st.sampled_from([shard, None]))


def pixels(shape, dtype):
    return np.random.default_rng(5).integers(0, 200, shape).astype(dtype)


def of_zarr(path, shape, dtype, chunk, shard, axes):
    """Array with the same properties, made by zarr."""
    return zarr.create_array(
        path, shape=shape, dtype=dtype, chunks=chunk, shards=shard, fill_value=0,
        compressors=ZstdCodec(checksum=True), dimension_names=axes, overwrite=True,
        config={"write_empty_chunks": True},
    )  # fmt: skip


def written(store, values, chunk, shard):
    """Write an array object by object, last ones first."""
    axes = "zyx"[-values.ndim :]
    dtype = values.dtype.newbyteorder("=")
    array = ZarrArray(values.shape, dtype, chunk, shard, tuple(axes))
    create_array(store, "a/0", array)
    for box in reversed(list(split(Box.whole(values.shape), array.unit))):
        write_objects(store, "a/0", array, box.start, values[box.slices])
    return array


@settings(max_examples=settings.default.max_examples // 2)
@given(cut=cuts(), dtype=st.sampled_from(DTYPES))
def test_zarr_reads_what_is_written_and_would_describe_it_alike(tmp_path_factory, cut, dtype):
    shape, chunk, shard = cut
    folder = tmp_path_factory.mktemp("out")
    values = pixels(shape, dtype)
    array = written(Store(str(folder)), values, chunk, shard)
    found = zarr.open_array(folder / "a" / "0", mode="r")
    np.testing.assert_array_equal(found[...], values)
    assert found.dtype == values.dtype.newbyteorder("=")
    like = of_zarr(folder / "like", shape, found.dtype, chunk, shard, array.axes)
    assert found.metadata == like.metadata


@settings(max_examples=settings.default.max_examples // 2)
@given(cut=cuts(), dtype=st.sampled_from(DTYPES[:-1]), data=st.data())
def test_any_part_is_read_as_it_was_written_by_us_or_by_zarr(tmp_path_factory, cut, dtype, data):
    shape, chunk, shard = cut
    folder = tmp_path_factory.mktemp("out")
    store, values = Store(str(folder)), pixels(shape, dtype)
    array = written(store, values, chunk, shard)
    of_zarr(folder / "b", shape, dtype, chunk, shard, array.axes)[...] = values
    start = tuple(data.draw(st.integers(0, n - 1)) for n in shape)
    stop = tuple(data.draw(st.integers(a + 1, n)) for a, n in zip(start, shape, strict=True))
    box = Box(start, stop)
    for path in ("a/0", "b"):
        found = read_objects(store, path, array, box)
        np.testing.assert_array_equal(found, values[box.slices])


def test_an_object_has_one_form_of_bytes():
    values = pixels((8, 8), "uint16")
    found = []
    for _ in range(2):
        store = Store("memory://test-objects")
        written(store, values, (4, 4), (8, 8))
        found.append(store.read_bytes("a/0/c/0/0"))
        store.delete("a")
    assert found[0] == found[1]


def test_objects_are_named_once_each():
    array = ZarrArray((9, 5, 10), np.dtype("u1"), (5, 5, 5), None, ("z", "y", "x"))
    assert list(object_names(array)) == ["c/0/0/0", "c/0/0/1", "c/1/0/0", "c/1/0/1"]


@pytest.mark.parametrize("shard", [(8, 8), None])
def test_a_flipped_bit_is_no_pixel(tmp_path, shard):
    store, values = Store(str(tmp_path)), pixels((8, 8), "uint16")
    array = written(store, values, (4, 4), shard)
    path = tmp_path / "a/0/c/0/0"
    whole = path.read_bytes()
    box = Box((0, 0), (4, 4)) if shard is None else Box.whole((8, 8))
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        with pytest.raises(ResultError, match="c/0/0: the object is damaged"):
            read_objects(store, "a/0", array, box)
