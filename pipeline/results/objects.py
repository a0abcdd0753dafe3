"""Stored objects of zarr arrays without shards, made here: the same bytes as zarr's own.

zarr makes an array and writes a chunk by way of an event loop in another thread, with many small
steps. That is some 6 ms for an image's store, as much as the k-means of a small image takes; what
ends up on the disk is a JSON text and a few compressed bytes. Arrays of shards are left to zarr:
there are fewer of them, and their pixels cost more.
"""

import json
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numcodecs.zstd import Zstd
from numpy.typing import NDArray
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync
from zarr.storage import MemoryStore

from pipeline.grid import Box, split
from pipeline.results.arrays import create_array
from pipeline.results.store import METADATA

_CODEC = Zstd(level=0, checksum=True)
"""What `ZstdCodec(checksum=True)` of zarr uses."""


def array_json(
    shape: tuple[int, ...], dtype: np.dtype[Any], chunk: tuple[int, ...], axes: str
) -> str:
    """Return the ``zarr.json`` of an array without shards, letter by letter as zarr writes it."""
    document = json.loads(_example(dtype, axes))
    document["shape"] = list(shape)
    document["chunk_grid"]["configuration"]["chunk_shape"] = list(chunk)
    return json.dumps(document, indent=2)


@lru_cache
def _example(dtype: np.dtype[Any], axes: str) -> str:
    """Return what zarr writes of an array of another shape."""
    store, one = MemoryStore(), (1,) * len(axes)
    create_array(store, "0", one, dtype, one, None, axes)
    found = sync(store.get(f"0/{METADATA}", default_buffer_prototype()))
    return found.to_bytes().decode() if found is not None else ""


def chunks_of(
    name: str, start: Sequence[int], values: NDArray[Any], chunk: tuple[int, ...]
) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of each stored chunk of a part of the array `name`.

    Parameters
    ----------
    start
        Where the part begins in the array, whole chunks from its origin.
    values
        Its pixels, of the array's own type.
    chunk
        Pixels of a chunk along each axis.
    """
    for box in split(Box.whole(values.shape), chunk):
        part = values[box.slices]
        if part.shape != chunk:  # at the border of the array: what is beyond it is 0
            part = np.zeros(chunk, values.dtype)
            part[tuple(slice(0, n) for n in box.shape)] = values[box.slices]
        little = np.ascontiguousarray(part, values.dtype.newbyteorder("<"))
        at = ((s + b) // c for s, b, c in zip(start, box.start, chunk, strict=True))
        yield f"{name}/c/{'/'.join(map(str, at))}", bytes(_CODEC.encode(little))
