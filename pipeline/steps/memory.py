"""The plan: how an image is cut so that its tasks keep to the memory there is.

Nothing here is measured; everything is counted from the header, before the start. What a worker
needs is the sum of what its threads need at their hungriest step, on top of what Python and the
libraries take.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from pipeline.engines.base import Size
from pipeline.engines.bundle import bundles
from pipeline.errors import ConfigError
from pipeline.grid import Box, chunk_shape, pieces, split
from pipeline.image import ImageInfo
from pipeline.kmeans.samples import canonical
from pipeline.kmeans.table import fits
from pipeline.results.layout import LabelLayout
from pipeline.steps.chunk import PIECE, Bundle, Chunk, Input

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


def task_bytes(
    info: ImageInfo, layout: LabelLayout, chunk: tuple[int, ...], mean_image: bool
) -> int:
    """Bytes that one task needs at its hungriest step."""
    piece = max(box.size for box in pieces(Box.whole(chunk), info.chunks, PIECE))
    pixel: int = info.channels * info.dtype.itemsize
    working: int = info.channels * canonical(info.dtype).itemsize
    whole = prod(info.chunks) > piece
    decoded = max(piece, prod(info.chunks)) * pixel * (2 if whole else 1)
    sampled = piece * (working + 3)
    if fits(canonical(info.dtype), info.channels):
        table: int = 4 * 2 ** (8 * canonical(info.dtype).itemsize * info.channels)
        table += min(info.pixels, table // 4) * 16
    else:
        table = SKETCH_BYTES + min(info.pixels, 2**22) * (working + 48)
    labels = prod(chunk) * layout.dtype.itemsize * 3
    if mean_image:
        labels += prod(chunk) * pixel * 3 // 2
    return decoded + sampled + max(table, labels)


def plan_chunks(
    info: ImageInfo, layout: LabelLayout, size: Size, mean_image: bool
) -> tuple[tuple[int, ...], Need]:
    """Return the shape of an image's chunks and what a worker needs for them.

    Raises
    ------
    TooLittleMemory
        If even the smallest chunk needs more than a worker has; names both numbers and the
        setting to change.
    """
    threads = max(1, size.threads // size.workers)
    pixels = CHUNK_PIXELS
    smallest = prod(min(b, s) for b, s in zip(layout.block, info.shape, strict=True))
    while True:
        chunk = chunk_shape(info.shape, info.chunks, layout.block, pixels)
        tasks = threads * task_bytes(info, layout, chunk, mean_image)
        if LIBRARIES + tasks <= size.memory or pixels <= smallest:
            break
        pixels //= 2
    need = LIBRARIES + tasks
    if need > size.memory:
        ways = ["raise `memory`"]
        if size.workers > 1:
            ways.append("lower cluster.options.n_workers, so that each has more of it")
        if threads > 1:
            ways.append("use fewer threads per worker")
        if smallest > 2**20:
            ways.append("lower results.shard")
        raise TooLittleMemory(
            f"memory: a worker needs {_mib(need)} MiB for chunks of {chunk} pixels (stored in "
            f"pieces of {info.chunks}) on {threads} thread{'s' * (threads > 1)}, and has "
            f"{_mib(size.memory)} MiB; {', or '.join(ways)}",
            need,
        )
    return chunk, Need(tasks, LIBRARIES, max(0, size.memory - LIBRARIES - tasks) // 2, size.memory)


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
    target = max(1, min(BUNDLE_PIXELS, total // (4 * size.threads)))
    return list(bundles(chunks, lambda chunk: chunk.pixels, target))


def _mib(nbytes: int) -> int:
    return -(-nbytes // 2**20)
