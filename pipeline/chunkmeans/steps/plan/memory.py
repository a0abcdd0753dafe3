"""The plan: how an image is cut so that its tasks keep to the memory there is.

Everything is counted from the header, before the start. What a worker needs is the sum of what its
threads need at their hungriest step, on top of what Python, the libraries and the process itself
take. The figures of the distinct vectors are the measured peaks of their worst case, an image in
which all vectors differ.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod

from chunkmeans.engines.base import Size
from chunkmeans.engines.dask.bundle import bundles_by_weight
from chunkmeans.engines.machine import cores
from chunkmeans.errors import ConfigError
from chunkmeans.image.grid import Box, chunk_shape, pieces, split
from chunkmeans.image.info import ImageInfo
from chunkmeans.kmeans.compiled.columns import SMALL_TABLE
from chunkmeans.kmeans.counting.colours import LISTED, counting_bytes, fits, merged_bytes, planes_of
from chunkmeans.kmeans.counting.sketch import LIMIT
from chunkmeans.results.write.layout import LabelLayout
from chunkmeans.steps.chunk import Bundle, Chunk, Input
from chunkmeans.steps.job import Opened

SKETCH_BYTES = 2**17 * 2 * 48
"""Of the counted vectors of one task, a sketch's room."""


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes that a worker needs for an image, and what it has."""

    total: int
    """Of its libraries and all its threads at their hungriest, without what is merely held."""
    cache_bytes: int
    """Left to keep decoded pixels between the steps."""
    bound: int
    """What the worker may use."""


class TooLittleMemory(ConfigError):
    """A worker has less memory than the smallest task of an image needs."""

    need = 0
    """Bytes that a worker would need."""


@dataclass(frozen=True, slots=True)
class VectorBytes:
    """Bytes of the distinct vectors of an image, if as many differ as can; as measured."""

    task: int
    """While one task collects its own."""
    merge: int
    """Of the merging of two, beside the two."""
    fit: int
    """Of the driver, which has all of them, decodes them and draws the first means."""

    @classmethod
    def of(cls, source: Input) -> "VectorBytes":
        """Return the figures of an image."""
        pixels, channels, width = source.info.pixels, source.info.channels, sample_bytes(source)
        part = kept_bytes(source, source.tuning.bundle_pixels)
        if fits(source.dtype, channels):
            possible = 2 ** (8 * width)
            n = min(pixels, possible)
            apart = 8 * (channels + 1) * n if n <= SMALL_TABLE * cores() else 0  # a thread's part
            fit = 36 * n + possible + apart
            task = 2 * (part + counting_bytes(possible))
            return cls(task, merged_bytes(pixels, possible), fit)
        n = min(pixels, LIMIT)
        task = SKETCH_BYTES + n * (3 * width // 2 + 66)
        return cls(task, n * (4 * width + 96), n * (3 * width + 96))


def sample_bytes(source: Input) -> int:
    """Bytes of one sample."""
    return int(source.info.channels * source.dtype.itemsize)


def kept_bytes(source: Input, pixels: int) -> int:
    """Bytes of the distinct vectors of so many pixels of an image, until they are merged."""
    width = sample_bytes(source)
    n = min(pixels, source.info.pixels)
    if not fits(source.dtype, source.info.channels):
        return min(n, LIMIT) * (width + 16)
    possible = int(2 ** (8 * width))
    planes = planes_of(n, possible)
    return planes * possible + 12 * min(n >> 8 * planes, possible // LISTED)


def task_bytes(source: Input, layout: LabelLayout, chunk: tuple[int, ...], mean_image: bool) -> int:
    """Bytes that one task needs at its hungriest step."""
    info, samples = source.image.info, source.info
    cuts = pieces(Box.whole(chunk), info.chunks, source.tuning.piece_pixels)
    piece = max(prod(_with_halo(source, box.shape)) for box in cuts)
    pixel, working = info.channels * info.dtype.itemsize, sample_bytes(source)
    checked = info.channels if info.nodata or info.dtype.kind == "f" else 0
    read = piece * (2 * max(pixel, working) + checked + 3)  # the piece before is still there
    if source.dtype != info.dtype or info.alpha:
        read += piece * working
    # each feature's numbers are there beside those that it is made of
    read += 2 * piece * samples.channels * samples.dtype.itemsize * bool(source.features.steps)
    if not info.undivided:
        segment = prod(info.chunks)
        read += segment * pixel * (2 if segment > piece else 1)
    labels = prod(chunk) * layout.dtype.itemsize * 3
    if mean_image:
        mean = samples.channels * samples.dtype.itemsize
        labels += prod(chunk) * max(mean * 3 // 2, samples.dtype.itemsize * 3)
    vectors = VectorBytes.of(source)
    return read + max(vectors.task, vectors.merge, labels)


def _with_halo(source: Input, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of a box with the halo of its image's features."""
    halo = source.features.halo(source.info.axes)
    return tuple(n + 2 * h for n, h in zip(shape, halo, strict=True))


def process_bytes(source: Input, layout: LabelLayout, size: Size) -> int:
    """Bytes that a worker needs once, however many threads it has."""
    vectors, pixels = VectorBytes.of(source), source.info.pixels
    part = source.tuning.task_pixels(pixels, size)
    # all may come to wait on one worker, merged to twice as many pixels each, and one more is on
    # its way, there and as it travels
    waiting = [part] * (size.threads // size.workers + (2 if size.apart else 0))
    waiting += [part << level for level in range((pixels // part).bit_length())]
    kept = sum(kept_bytes(source, some) for some in waiting)
    merge = vectors.merge if size.threads > size.workers else 0  # beside the tasks
    return source.info.undivided + kept + merge + _look_up(source, layout)


def driver_bytes(source: Input, layout: LabelLayout) -> int:
    """Bytes that the driver needs for an image beside its libraries."""
    fit = VectorBytes.of(source).fit
    return kept_bytes(source, source.info.pixels) + fit + _look_up(source, layout)


def _look_up(source: Input, layout: LabelLayout) -> int:
    """Bytes of the label of every possible vector, as sent, as received and as used."""
    if not fits(source.dtype, source.info.channels):
        return 0
    return int(3 * 2 ** (8 * sample_bytes(source)) * layout.dtype.itemsize)


def plan_chunks(
    source: Input, layout: LabelLayout, size: Size, mean_image: bool
) -> tuple[tuple[int, ...], Need]:
    """Return the shape of an image's chunks and what a worker needs for them.

    The driver, where it is a process of its own, takes what it needs of what there is for all; what
    it leaves is the workers'.

    Raises
    ------
    TooLittleMemory
        If even the smallest chunk needs more than a worker has; names both numbers and the
        setting to change.
    """
    info, libraries = source.info, source.tuning.libraries
    threads = max(1, size.threads // size.workers)
    pixels = source.tuning.chunk_pixels
    smallest = prod(min(b, s) for b, s in zip(layout.block, info.shape, strict=True))
    once, driver = process_bytes(source, layout, size), driver_bytes(source, layout)
    room = size.memory
    if size.apart:
        left = (size.workers + 1) * size.memory - libraries - driver
        room = min(room, left // size.workers)
    while True:
        chunk = chunk_shape(info.shape, info.chunks, layout.block, pixels)
        tasks = once + threads * task_bytes(source, layout, chunk, mean_image)
        if not size.apart:
            tasks = max(tasks, driver)
        if libraries + tasks <= room or pixels <= smallest:
            break
        pixels //= 2
    need = libraries + tasks
    if need > room:
        beside = f" beside the {_mib(libraries + driver)} MiB of the driver" if size.apart else ""
        error = TooLittleMemory(
            f"memory: a worker needs {_mib(need)} MiB for chunks of {chunk} pixels "
            f"({_stored(info)}) on {threads} thread{'s' * (threads > 1)}, and has "
            f"{_mib(max(0, room))} MiB{beside}; "
            f"{', or '.join(_ways(info, size, threads, smallest))}"
        )
        error.need = need
        raise error
    left = room - need
    # a chunk is decoded before it is known whether there is room to keep it
    decoded = prod(chunk) * (sample_bytes(source) + 1)
    cache = max(left - threads * decoded, left // (threads + 1))
    return chunk, Need(need, cache, room)


def _stored(info: ImageInfo) -> str:
    """Return how an image is stored, in words, as far as it decides what decoding takes."""
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


def planned_bytes(source: Input, need: Need, tasks: int) -> int:
    """Bytes that so many workers, or tasks of an image each, will use with the pixels they keep."""
    held = int(source.info.pixels * (sample_bytes(source) + 1))
    return tasks * (need.total + min(need.cache_bytes, held))


def cut(source: Input, shape: tuple[int, ...], cache_bytes: int, family: str) -> list[Chunk]:
    """Return the chunks that partition an image."""
    whole = Box.whole(source.info.shape)
    return [Chunk(source, box, cache_bytes, family) for box in split(whole, shape)]


def planned_chunks(opened: Opened, size: Size, family: str, *, cached: bool = True) -> list[Chunk]:
    """Return the chunks of an opened image; errors as of `plan_chunks`."""
    source, mean_image = opened.source, opened.job.output.asked.mean_image
    shape, need = plan_chunks(source, opened.layout, size, mean_image)
    return cut(source, shape, need.cache_bytes if cached else 0, family)


def bundled(chunks: Iterable[Chunk], size: Size) -> list[Bundle]:
    """Return chunks in bundles that keep every thread busy and are worth a task each."""
    listed = list(chunks)
    if not listed:
        return []
    pixels = listed[0].source.tuning.task_pixels(sum(chunk.pixels for chunk in listed), size)
    return list(bundles_by_weight(listed, lambda chunk: chunk.pixels, pixels))


def _mib(nbytes: int) -> int:
    return -(-nbytes // 2**20)
