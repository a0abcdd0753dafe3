"""Objects that are made without zarr are those that zarr makes."""

from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

from pipeline.results.arrays import create_array
from pipeline.results.objects import array_json, chunks_of


@st.composite
def arrays(draw):
    """Return an array, a chunk that is no larger, and its axes."""
    axes = draw(st.sampled_from(["yx", "zyx", "tyx", "cyx", "tczyx"]))
    edge = st.integers(1, 7 if len(axes) < 4 else 3)
    shape = tuple(draw(edge) for _ in axes)
    chunk = tuple(draw(st.integers(1, n)) for n in shape)
    dtype = draw(st.sampled_from(["u1", "u2", "i2", "f4", "f8", ">u2"]))
    seed = draw(st.integers(0, 2**32 - 1))
    values = np.random.default_rng(seed).integers(0, 100, shape).astype(dtype)
    return values, chunk, axes


def written(folder, files):
    return {str(path.relative_to(folder)): path.read_bytes() for path in files if path.is_file()}


@given(arrays())
def test_metadata_and_chunks_are_those_that_zarr_writes(tmp_path_factory, drawn):
    values, chunk, axes = drawn
    folder = tmp_path_factory.mktemp("zarr")
    dtype = values.dtype.newbyteorder("=")
    array = create_array(
        zarr.storage.LocalStore(str(folder)), "0", values.shape, dtype, chunk, None, axes
    )
    array[...] = values
    expected = written(folder, Path(folder, "0").rglob("*"))
    found = dict(chunks_of("0", (0,) * values.ndim, values, chunk))
    found["0/zarr.json"] = array_json(values.shape, dtype, chunk, axes).encode()
    assert found == expected


def test_a_part_has_the_chunks_of_its_place():
    values = np.arange(6, dtype=np.uint8).reshape(2, 3)
    whole = np.zeros((4, 7), np.uint8)
    whole[2:, 4:] = values
    every = dict(chunks_of("1", (0, 0), whole, (2, 2)))
    part = dict(chunks_of("1", (2, 4), values, (2, 2)))
    assert list(part) == ["1/c/1/2", "1/c/1/3"]
    assert part.items() <= every.items()


@pytest.mark.parametrize("shape", [(1, 1), (321, 481), (512, 512)])
def test_zarr_reads_what_was_written(tmp_path, shape):
    values = np.random.default_rng(0).integers(0, 5, shape).astype(np.uint8)
    files = dict(chunks_of("0", (0, 0), values, shape))
    files["0/zarr.json"] = array_json(shape, values.dtype, shape, "yx").encode()
    for name, data in files.items():
        path = Path(tmp_path, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    assert np.array_equal(zarr.open_array(str(tmp_path), path="0", mode="r")[...], values)
