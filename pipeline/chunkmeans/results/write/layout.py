"""How the labels of an image are cut: levels of a pyramid, chunks, shards. Integers only."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from chunkmeans.errors import ConfigError
from chunkmeans.image.grid import Box, split
from chunkmeans.image.info import ImageInfo
from chunkmeans.results.store.zarr_writer import ZarrArray

Edge = int | Sequence[int] | None
_Edges = tuple[int, ...]
"""Pixels per axis."""
Pyramid = Literal["mode", "nearest", "none"]

_FLAT = {"chunk": 512, "shard": 2048}
_DEEP = {"chunk": 64, "shard": 256}


@dataclass(frozen=True, slots=True)
class PyramidLevel(ZarrArray):
    """The labels of one level of the pyramid; a stored object is what one task writes, whole."""

    with_block: bool
    """Whether the task that labels a block also writes its part of this level."""


@dataclass(frozen=True, slots=True)
class LabelLayout:
    """How the labels of one image are stored."""

    axes: str
    """One letter per axis, of ``tzyx``."""
    dtype: np.dtype[Any]
    """uint8 up to 255 labels, else uint16; 0 is no data."""
    levels: tuple[PyramidLevel, ...]
    """The full labels first, then ever smaller ones."""
    pyramid: Pyramid
    """What a pixel of a smaller level is made of: the ``mode`` of the pixels it covers, or the
    ``nearest`` (the first) of them."""

    @property
    def block(self) -> tuple[int, ...]:
        """Pixels per axis of what one task labels, or whole multiples of it."""
        return self.levels[0].unit

    def scale(self, level: int) -> tuple[int, ...]:
        """Pixels of the full labels that a pixel of `level` covers, along each axis."""
        return tuple(1 if axis == "t" else 2**level for axis in self.axes)

    def part(self, box: Box, level: int) -> Box:
        """Return the part of `level` that covers `box` of the full labels."""
        scale = self.scale(level)
        return Box(
            tuple(a // s for a, s in zip(box.start, scale, strict=True)),
            tuple(-(-b // s) for b, s in zip(box.stop, scale, strict=True)),
        )

    def below(self, box: Box, level: int) -> Box:
        """Return the pixels of the level below `level` that its `box` is made of."""
        scale, shape = self.scale(1), self.levels[level - 1].shape
        return Box(
            tuple(a * s for a, s in zip(box.start, scale, strict=True)),
            tuple(min(b * s, n) for b, s, n in zip(box.stop, scale, shape, strict=True)),
        )

    def upper(self) -> list[list[tuple[int, Box]]]:
        """Return the tasks that write the levels no block writes: level and box of each.

        The tasks of one list may run in any order, but after all of the list before.
        """
        return [
            [(n, box) for box in split(Box.whole(level.shape), level.unit)]
            for n, level in enumerate(self.levels)
            if not level.with_block
        ]


def plan_labels(
    info: ImageInfo,
    k: int,
    *,
    chunk: Edge = None,
    shard: Edge | Literal["none"] = None,
    pyramid: Pyramid = "mode",
) -> LabelLayout:
    """Return how the labels of an image are stored.

    Parameters
    ----------
    info
        The image.
    k
        Number of labels, 1 to 65,535.
    chunk, shard
        _Edges in pixels: one for all axes of space, or one per axis of space, or one per axis.
        ``"none"`` stores each chunk as an object of its own. None: 512 and 2048 in 2-D, 64 and
        256 in 3-D, made to fit each other. A chunk holds one moment of time, unless its axis is
        given. Both are cut down to what the image needs.
    pyramid
        How smaller levels are made.

    Raises
    ------
    ConfigError
        If the image has not as many axes as edges, or a chunk does not divide its shard.
    """
    if 0 in info.shape:
        raise ValueError(f"an image of {info.shape} has no pixel to label")
    dtype = np.dtype(np.uint8 if k <= 255 else np.uint16)
    levels = tuple(_levels(info, dtype, *_edges(info.axes, chunk, shard)))
    return LabelLayout(info.axes, dtype, levels[:1] if pyramid == "none" else levels, pyramid)


def _levels(
    info: ImageInfo, dtype: np.dtype[Any], chunks: _Edges, shards: _Edges
) -> Iterator[PyramidLevel]:
    """Yield the levels of a pyramid, down to the one that fits a chunk along each axis of space."""
    axes, shape, scale, with_block = info.axes, info.shape, 1, True
    block = _fit(shape, chunks, shards)
    while True:
        # a block is halved with the labels as long as its halves are whole chunks of each level
        with_block = with_block and all(
            b >= n or b % (scale * c) == 0
            for b, n, c in zip(
                *(_of_space(axes, v) for v in (block, info.shape, chunks)), strict=True
            )
        )
        unit = tuple(
            s // scale if with_block and axis != "t" and b < n else s
            for axis, s, b, n in zip(axes, shards, block, info.shape, strict=True)
        )
        small = tuple(min(c, n) for c, n in zip(chunks, shape, strict=True))
        fitted = _fit(shape, chunks, unit)
        shard = None if fitted == small else fitted
        yield PyramidLevel(shape, dtype, small, shard, tuple(axes), with_block)
        if max(_of_space(axes, shape)) <= max(_of_space(axes, chunks)):
            return
        shape = tuple(n if axis == "t" else -(-n // 2) for axis, n in zip(axes, shape, strict=True))
        scale *= 2


def _of_space(axes: str, values: Sequence[int]) -> list[int]:
    """Return the values along the axes of space: all but time."""
    return [value for axis, value in zip(axes, values, strict=True) if axis != "t"]


def _fit(shape: Sequence[int], chunks: Sequence[int], shards: Sequence[int]) -> tuple[int, ...]:
    """Return `shards` cut down to whole chunks that cover `shape`."""
    small = [min(c, n) for c, n in zip(chunks, shape, strict=True)]
    return tuple(
        min(s, -(-n // c) * c) if c == full else c
        for s, n, c, full in zip(shards, shape, small, chunks, strict=True)
    )


def _edges(axes: str, chunk: Edge, shard: Edge | Literal["none"]) -> tuple[_Edges, _Edges]:
    """Return chunk and shard along each axis, as asked or by default, checked."""
    default = _DEEP if "z" in axes else _FLAT
    asked_chunk = _per_axis("chunk", axes, chunk)
    asked_shard = None if shard == "none" else _per_axis("shard", axes, shard)
    if asked_chunk is None:
        limit = asked_shard or (default["chunk"],) * len(axes)
        asked_chunk = tuple(
            1 if axis == "t" and asked_shard is None else min(default["chunk"], s)
            for axis, s in zip(axes, limit, strict=True)
        )
    if shard == "none":
        return asked_chunk, asked_chunk
    if asked_shard is None:
        asked_shard = tuple(
            # doubled as often as fits the default, so that halves fit too
            c if axis == "t" else c << max(0, (default["shard"] // c).bit_length() - 1)
            for axis, c in zip(axes, asked_chunk, strict=True)
        )
    for axis, c, s in zip(axes, asked_chunk, asked_shard, strict=True):
        if s % c:
            raise ConfigError(
                f"along {axis} a shard of {s} pixels does not hold whole chunks of {c}; choose "
                f"results.chunk and results.shard so that the one divides the other, such as "
                f"{c} and {max(1, round(s / c)) * c}"
            )
    return asked_chunk, asked_shard


def _per_axis(name: str, axes: str, edge: Edge) -> tuple[int, ...] | None:
    """Return one edge per axis of what was asked."""
    if edge is None:
        return None
    space = len(axes.replace("t", ""))
    given = [edge] * space if isinstance(edge, int) else list(edge)
    if len(given) == space < len(axes):
        given = [1, *given]
    if len(given) != len(axes):
        raise ConfigError(
            f"results.{name} has {len(given)} edges, the image has the axes {axes!r}; "
            f"give one edge, or {len(axes)}"
        )
    return tuple(given)
