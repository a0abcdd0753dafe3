"""What arrays of results are on the disk: a JSON text, and an object per shard or chunk.

zarr v3 (https://zarr-specs.readthedocs.io, core 3.1 and sharding-indexed 1.0) as far as results
use it: zstd with its checksum, and shards with their index at the end. Written here, since zarr's
own way leads through an event loop in another thread, step by step under Python's lock: 5 ms for
the store of a small image, and for a large one as long as the decoding of its pixels. Everything
else, reading results above all, is left to zarr.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
from google_crc32c import value as crc32c
from numcodecs.zstd import Zstd
from numpy.typing import NDArray

from chunkmeans.errors import ResultError
from chunkmeans.image.grid import Box, split
from chunkmeans.results.store.store import METADATA, Store

_CODEC = Zstd(level=0, checksum=True)
_NOWHERE = 2**64 - 1
"""Offset and length of a chunk that a shard does not hold."""
_CHECK = 4
"""Bytes of the checksum that ends an index."""

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ZarrArray:
    """How an array is stored; its missing pixels are 0."""

    shape: Shape
    """Pixels along each axis."""
    dtype: np.dtype[Any]
    chunk: Shape
    """Pixels per axis of what is compressed at once."""
    shard: Shape | None
    """Pixels per axis of a stored object of several chunks; None: each chunk is an object."""
    axes: tuple[str, ...]
    """A name per axis."""

    @property
    def unit(self) -> Shape:
        """Pixels per axis of a stored object."""
        return self.shard or self.chunk


@lru_cache(64)  # images of a database are often of one size
def array_json(array: ZarrArray) -> str:
    """Return the ``zarr.json`` of an array."""
    little = {"name": "bytes", "configuration": {"endian": "little"}}
    codecs: list[dict[str, Any]] = [
        little if array.dtype.itemsize > 1 else {"name": "bytes"},
        {"name": "zstd", "configuration": {"level": _CODEC.level, "checksum": True}},
    ]
    if array.shard is not None:
        inside = {
            "chunk_shape": list(array.chunk),
            "codecs": codecs,
            "index_codecs": [little, {"name": "crc32c"}],
            "index_location": "end",
        }
        codecs = [{"name": "sharding_indexed", "configuration": inside}]
    document = {
        "shape": list(array.shape),
        "data_type": array.dtype.name,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(array.unit)}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": 0.0 if array.dtype.kind == "f" else 0,
        "codecs": codecs,
        "attributes": {},
        "dimension_names": list(array.axes),
        "zarr_format": 3,
        "node_type": "array",
        "storage_transformers": [],
    }
    return json.dumps(document, indent=2)


def create_array(store: Store, path: str, array: ZarrArray) -> None:
    """Create the array at `path`, without any pixel."""
    store.write_bytes(f"{path}/{METADATA}", array_json(array).encode())


def write_objects(
    store: Store, path: str, array: ZarrArray, start: Sequence[int], values: NDArray[Any]
) -> None:
    """Write a part of the array at `path`: every object that it is made of, whole.

    Parameters
    ----------
    start
        Where the part begins: whole objects from the array's origin.
    values
        Its pixels, of the array's own type; at the array's border, what there is.
    """
    for box in split(Box.whole(values.shape), array.unit):
        part = values[box.slices]
        sharded = array.shard is not None
        data = _shard(part, array.chunk, array.unit) if sharded else encoded(part, array.chunk)
        at = [a + b for a, b in zip(start, box.start, strict=True)]
        store.write_bytes(f"{path}/{object_name(at, array.unit)}", data)


def write_array(store: Store, path: str, array: ZarrArray, values: NDArray[Any]) -> None:
    """Create the array at `path` with all its pixels."""
    create_array(store, path, array)
    write_objects(store, path, array, (0,) * values.ndim, values)


def read_objects(store: Store, path: str, array: ZarrArray, box: Box) -> NDArray[Any]:
    """Return a part of the array at `path` as it was written.

    Raises
    ------
    ResultError
        If an object is missing or damaged.
    """
    out = np.empty(box.shape, array.dtype)
    for whole in split(box, array.unit):
        name = f"{path}/{object_name(whole.start, array.unit)}"
        data = store.read_bytes(name)
        try:
            for part, data_of_chunk in _chunks(data, whole, array):
                stored = np.frombuffer(_CODEC.decode(data_of_chunk), array.dtype.newbyteorder("<"))
                # a chunk at the border is stored whole, and a part may begin inside a chunk
                corner = tuple(a // c * c for a, c in zip(part.start, array.chunk, strict=True))
                out[part.within(box.start).slices] = stored.reshape(array.chunk)[
                    part.within(corner).slices
                ]
        except (RuntimeError, ValueError) as error:  # a codec's failure, too few bytes
            raise ResultError(f"{store.join(name)}: the object is damaged: {error}") from error
    return out


def object_name(start: Sequence[int], unit: Sequence[int]) -> str:
    """Return the name in its array of the object that holds the pixel `start`.

    >>> object_name((0, 4096), (2048, 2048))
    'c/0/2'
    """
    return "c/" + "/".join(str(a // u) for a, u in zip(start, unit, strict=True))


def encoded(part: NDArray[Any], chunk: Shape) -> bytes:
    """Return a chunk's bytes; what is beyond the array's border is 0."""
    if part.shape != chunk:
        whole = np.zeros(chunk, part.dtype)
        whole[tuple(slice(0, n) for n in part.shape)] = part
        part = whole
    return bytes(_CODEC.encode(np.ascontiguousarray(part, part.dtype.newbyteorder("<"))))


def _shard(values: NDArray[Any], chunk: Shape, shard: Shape) -> bytes:
    """Return a shard's bytes: its chunks in C order, where each is, and a checksum of that."""
    grid = tuple(s // c for s, c in zip(shard, chunk, strict=True))
    index = np.full((*grid, 2), _NOWHERE, "<u8")
    stored: list[bytes] = []
    end = 0
    for box in split(Box.whole(values.shape), chunk):
        stored.append(encoded(values[box.slices], chunk))
        at = tuple(a // c for a, c in zip(box.start, chunk, strict=True))
        index[at] = end, len(stored[-1])
        end += len(stored[-1])
    listed = index.tobytes()
    return b"".join([*stored, listed, crc32c(listed).to_bytes(_CHECK, "little")])


def _chunks(data: bytes, box: Box, array: ZarrArray) -> Iterator[tuple[Box, memoryview]]:
    """Yield the part of `box` in each chunk of an object, and the chunk's bytes."""
    view = memoryview(data)
    if array.shard is None:
        yield box, view
        return
    grid = tuple(s // c for s, c in zip(array.shard, array.chunk, strict=True))
    length = 16 * prod(grid)
    listed = bytes(view[-length - _CHECK : -_CHECK])
    if crc32c(listed) != int.from_bytes(view[-_CHECK:], "little"):
        raise ValueError("the checksum of its index does not fit")
    index = np.frombuffer(listed, "<u8").reshape(*grid, 2)
    for part in split(box, array.chunk):
        at = tuple(a // c % g for a, c, g in zip(part.start, array.chunk, grid, strict=True))
        start, size = index[at].tolist()
        yield part, view[start : start + size]


def object_names(array: ZarrArray) -> Iterator[str]:
    """Yield the name in its array of every object."""
    for box in split(Box.whole(array.shape), array.unit):
        yield object_name(box.start, array.unit)
