"""Labels on disk as chunkmeans lays them out, made by plain zarr."""

from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import zarr
from zarr.codecs import ZstdCodec

Box = tuple[slice, ...]


@dataclass(frozen=True, slots=True)
class Level:
    """One array of a pyramid of labels."""

    shape: tuple[int, ...]
    chunk: tuple[int, ...]
    """Pixels per axis of what is compressed at once."""
    shard: tuple[int, ...]
    """Pixels per axis of a stored object; equal to `chunk`: no sharding."""
    with_block: bool
    """Whether who writes a shard of the full labels also has its part of this level in hand."""

    def create(self, path: Path) -> Any:
        """Create the array on disk: uint8, zstd, a checksum, no chunk left out."""
        return zarr.create_array(
            str(path),
            shape=self.shape,
            dtype="u1",
            chunks=self.chunk,
            shards=None if self.shard == self.chunk else self.shard,
            compressors=ZstdCodec(checksum=True),
            fill_value=0,
            config={"write_empty_chunks": True},
        )

    def boxes(self) -> list[Box]:
        """Return the pixels of each stored object."""
        edges = zip(self.shape, self.shard, strict=True)
        starts = product(*(range(0, n, s) for n, s in edges))
        return [
            tuple(
                slice(a, min(a + s, n)) for a, s, n in zip(at, self.shard, self.shape, strict=True)
            )
            for at in starts
        ]


def levels(shape: tuple[int, ...], chunk: int, shard: int) -> list[Level]:
    """Return the arrays that the labels of an image are stored in, the full one first.

    Shards become smaller with the pixels as long as they hold whole chunks; above, they are full.

    >>> [(l.shape[0], l.shard[0], l.with_block) for l in levels((4096, 4096), 512, 2048)]
    [(4096, 2048, True), (2048, 1024, True), (1024, 512, True), (512, 512, False)]
    """
    block = _fitted(shape, chunk, [shard] * len(shape))
    found: list[Level] = []
    current, scale, inside = shape, 1, True
    while True:
        cut = [b < n for b, n in zip(block, shape, strict=True)]
        inside = inside and all(
            not c or b % (scale * chunk) == 0 for c, b in zip(cut, block, strict=True)
        )
        unit = [shard // scale if inside and c else shard for c in cut]
        small = tuple(min(chunk, n) for n in current)
        found.append(Level(current, small, _fitted(current, chunk, unit), inside))
        if max(current) <= chunk:
            return found
        current = tuple(-(-n // 2) for n in current)
        scale *= 2


def _fitted(shape: tuple[int, ...], chunk: int, shards: list[int]) -> tuple[int, ...]:
    """Return shards cut down to the whole chunks that cover the image."""
    return tuple(
        min(s, -(-n // chunk) * chunk) if n >= chunk else n
        for n, s in zip(shape, shards, strict=True)
    )


def writable(path: Path) -> Any:
    """Return the array at a path, open for writing, chunks of one value included."""
    return zarr.open_array(str(path), mode="r+").with_config({"write_empty_chunks": True})
