"""The plan: how an image is cut so that its tasks keep to the memory there is.

Everything is counted from the header, before the start. What a worker needs is the sum of what its
threads need at their hungriest step, on top of what Python, the libraries and the process itself
take. The figures of the distinct vectors are the measured peaks of their worst case, an image in
which all vectors differ.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from chunkmeans.engines.base import Size
from chunkmeans.engines.dask.bundle import bundles
from chunkmeans.engines.machine import cores
from chunkmeans.errors import ConfigError
from chunkmeans.image.grid import Box, chunk_shape, pieces, split
from chunkmeans.image.info import ImageInfo
from chunkmeans.kmeans.compiled.columns import SMALL_TABLE
from chunkmeans.kmeans.counting.colours import LISTED, counting_bytes, fits, merged_bytes, planes_of
from chunkmeans.kmeans.counting.sketch import LIMIT
from chunkmeans.results.write.layout import LabelLayout
from chunkmeans.steps.chunk import PIECE, Bundle, Chunk, Input

DType = np.dtype[Any]

LIBRARIES = 230 * 2**20
"""Bytes of a worker process before it does anything: Python, NumPy, Numba, Dask, zarr."""
CHUNK_PIXELS = 2**25
"""Pixels of a chunk, at most, unless one block of labels has more."""
BUNDLE_PIXELS = 2**25
"""Pixels of a task, about: seconds of work."""
SMALL_PIXELS = 2**24
"""Up to here an image is one task, from reading to its finished store, if there are many."""
SMALL_AND_FEW_PIXELS = 2**21
"""The same where there are too few images to keep every thread busy with its own."""
SKETCH_BYTES = 2**17 * 2 * 48
"""Of the counted vectors of one task, a sketch's room."""


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes that a worker needs for an image, and what it has."""

    tasks: int
    """Of all its threads at their hungriest."""
    libraries: int
    hold: int
    """Left to hold decoded pixels between the steps."""
    bound: int
    """What the worker may use."""

    @property
    def total(self) -> int:
        """Bytes without what is merely held."""
        return self.tasks + self.libraries


class TooLittleMemory(ConfigError):
    """A worker has less memory than the smallest task of an image needs."""

    def __init__(self, message: str, need: int = 0) -> None:
        super().__init__(message, need)
        self.need = need
        """Bytes that a worker would need."""

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True, slots=True)
class Vectors:
    """Bytes of the distinct vectors of an image, if as many differ as can; as measured."""

    task: int
    """While one task collects its own."""
    merge: int
    """Of the merging of two, beside the two."""
    fit: int
    """Of the driver, which has all of them, decodes them and draws the first means."""

    @classmethod
    def of(cls, info: ImageInfo, dtype: DType) -> "Vectors":
        """Return the figures of an image whose samples are of a type."""
        width = info.channels * dtype.itemsize
        part = kept_bytes(info, dtype, BUNDLE_PIXELS)
        if fits(dtype, info.channels):
            possible = 2 ** (8 * width)
            n = min(info.pixels, possible)
            apart = (
                8 * (info.channels + 1) * n if n <= SMALL_TABLE * cores() else 0
            )  # a thread's part
            fit = 36 * n + possible + apart
            task = 2 * (part + counting_bytes(possible))
            return cls(task, merged_bytes(info.pixels, possible), fit)
        n = min(info.pixels, LIMIT)
        task = SKETCH_BYTES + n * (3 * width // 2 + 66)
        return cls(task, n * (4 * width + 96), n * (3 * width + 96))


def kept_bytes(info: ImageInfo, dtype: DType, pixels: int) -> int:
    """Bytes of the distinct vectors of so many pixels of an image, until they are merged."""
    width = int(info.channels * dtype.itemsize)
    n = min(pixels, info.pixels)
    if not fits(dtype, info.channels):
        return min(n, LIMIT) * (width + 16)
    possible = int(2 ** (8 * width))
    planes = planes_of(n, possible)
    return planes * possible + 12 * min(n >> 8 * planes, possible // LISTED)


def task_bytes(
    info: ImageInfo, dtype: DType, layout: LabelLayout, chunk: tuple[int, ...], mean_image: bool
) -> int:
    """Bytes that one task needs at its hungriest step."""
    piece = max(box.size for box in pieces(Box.whole(chunk), info.chunks, PIECE))
    pixel = info.channels * info.dtype.itemsize
    working = info.channels * dtype.itemsize
    checked = info.channels if info.nodata or info.dtype.kind == "f" else 0
    read = piece * (2 * max(pixel, working) + checked + 3)  # the piece before is still there
    if dtype != info.dtype or info.alpha:
        read += piece * working
    if not info.undivided:
        segment = prod(info.chunks)
        read += segment * pixel * (2 if segment > piece else 1)
    labels = prod(chunk) * layout.dtype.itemsize * 3
    if mean_image:
        labels += prod(chunk) * max(pixel * 3 // 2, info.dtype.itemsize * 3)
    vectors = Vectors.of(info, dtype)
    return read + max(vectors.task, vectors.merge, labels)


def process_bytes(info: ImageInfo, dtype: DType, layout: LabelLayout, size: Size) -> int:
    """Bytes that a worker needs once, however many threads it has."""
    vectors = Vectors.of(info, dtype)
    part = task_pixels(info.pixels, size)
    # all may come to wait on one worker, merged to twice as many pixels each, and one more is on
    # its way, there and as it travels
    waiting = [part] * (size.threads // size.workers + (2 if size.apart else 0))
    waiting += [part << level for level in range((info.pixels // part).bit_length())]
    kept = sum(kept_bytes(info, dtype, pixels) for pixels in waiting)
    merge = vectors.merge if size.threads > size.workers else 0  # beside the tasks
    return info.undivided + kept + merge + _look_up(info, dtype, layout)


def driver_bytes(info: ImageInfo, dtype: DType, layout: LabelLayout) -> int:
    """Bytes that the driver needs for an image beside its libraries."""
    vectors = Vectors.of(info, dtype)
    return kept_bytes(info, dtype, info.pixels) + vectors.fit + _look_up(info, dtype, layout)


def _look_up(info: ImageInfo, dtype: DType, layout: LabelLayout) -> int:
    """Bytes of the label of every possible vector, as sent, as received and as used."""
    if not fits(dtype, info.channels):
        return 0
    return int(3 * 2 ** (8 * info.channels * dtype.itemsize) * layout.dtype.itemsize)


def plan_chunks(
    info: ImageInfo, dtype: DType, layout: LabelLayout, size: Size, mean_image: bool
) -> tuple[tuple[int, ...], Need]:
    """Return the shape of an image's chunks and what a worker needs for them.

    The driver, where it is a process of its own, takes what it needs of what there is for all; what
    it leaves is the workers'. `dtype` is that of the samples, which a collection has in common.

    Raises
    ------
    TooLittleMemory
        If even the smallest chunk needs more than a worker has; names both numbers and the
        setting to change.
    """
    threads = max(1, size.threads // size.workers)
    pixels = CHUNK_PIXELS
    smallest = prod(min(b, s) for b, s in zip(layout.block, info.shape, strict=True))
    once, driver = process_bytes(info, dtype, layout, size), driver_bytes(info, dtype, layout)
    room = size.memory
    if size.apart:
        left = (size.workers + 1) * size.memory - LIBRARIES - driver
        room = min(room, left // size.workers)
    while True:
        chunk = chunk_shape(info.shape, info.chunks, layout.block, pixels)
        tasks = once + threads * task_bytes(info, dtype, layout, chunk, mean_image)
        if not size.apart:
            tasks = max(tasks, driver)
        if LIBRARIES + tasks <= room or pixels <= smallest:
            break
        pixels //= 2
    need = LIBRARIES + tasks
    if need > room:
        beside = f" beside the {_mib(LIBRARIES + driver)} MiB of the driver" if size.apart else ""
        raise TooLittleMemory(
            f"memory: a worker needs {_mib(need)} MiB for chunks of {chunk} pixels "
            f"({_stored(info)}) on {threads} thread{'s' * (threads > 1)}, and has "
            f"{_mib(max(0, room))} MiB{beside}; "
            f"{', or '.join(_ways(info, size, threads, smallest))}",
            need,
        )
    left = room - need
    # a chunk is decoded before it is known whether there is room to hold it
    decoded = prod(chunk) * (info.channels * dtype.itemsize + 1)
    hold = max(left - threads * decoded, left // (threads + 1))
    return chunk, Need(tasks, LIBRARIES, hold, room)


def _stored(info: ImageInfo) -> str:
    """Say how an image is stored, as far as it decides what decoding takes."""
    if info.undivided:
        return f"stored in one piece, which takes {_mib(info.undivided)} MiB to decode"
    return f"stored in pieces of {info.chunks}"


def _ways(info: ImageInfo, size: Size, threads: int, smallest: int) -> list[str]:
    """Return what a user can do about too little memory."""
    ways = ["raise `memory`"]
    if size.workers > 1:
        ways.append("lower cluster.options.n_workers, so that each has more of it")
    if threads > 1:
        ways.append("use fewer threads per worker")
    if smallest > 2**20:
        ways.append("lower results.shard")
    if info.undivided > 2**26:
        ways.append("store the image anew as a tiled TIFF or zarr")
    return ways


def planned_bytes(info: ImageInfo, dtype: DType, need: Need, tasks: int) -> int:
    """Bytes that so many workers, or tasks of an image each, will use with what they hold."""
    held = int(info.pixels * (info.channels * dtype.itemsize + 1))
    return tasks * (need.total + min(need.hold, held))


def most_pixels_of_a_task(images: int, size: Size) -> int:
    """Return up to how many pixels an image is one task, of so many images."""
    return SMALL_PIXELS if images >= 2 * size.threads else SMALL_AND_FEW_PIXELS


def cut(source: Input, shape: tuple[int, ...], hold: int, family: str) -> Iterator[Chunk]:
    """Yield the chunks that partition an image."""
    for box in split(Box.whole(source.info.shape), shape):
        yield Chunk(source, box, hold, family)


def bundled(chunks: list[Chunk], size: Size) -> list[Bundle]:
    """Return chunks in bundles that keep every thread busy and are worth a task each."""
    total = sum(chunk.pixels for chunk in chunks)
    return list(bundles(chunks, lambda chunk: chunk.pixels, task_pixels(total, size)))


def task_pixels(pixels: int, size: Size) -> int:
    """Pixels of a task, about, of so many of an image."""
    return max(1, min(BUNDLE_PIXELS, pixels // (4 * size.threads)))


def _mib(nbytes: int) -> int:
    return -(-nbytes // 2**20)
