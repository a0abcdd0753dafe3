"""Where the pages of a TIFF series lie, and whether they are all stored as the first one.

tifffile reads the first page of a series whole, of the others only where their data are.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from math import prod
from typing import Any, BinaryIO

import numpy as np
import tifffile
from numpy.typing import NDArray

from chunkmeans.errors import SourceError
from chunkmeans.sources.base import ReadOptions
from chunkmeans.sources.files.byte_ranges import open_file
from chunkmeans.sources.files.paths import is_url
from chunkmeans.sources.formats.tiff.segments import Segments

_DECISIVE: dict[int, Any] = {
    **dict.fromkeys((256, 257, 262, 322, 323)),
    **dict.fromkeys((258, 259, 266, 277, 284, 317, 339), 1),
}
"""Tags by which pixels are decoded, with their defaults: they have to be equal on all pages."""

_NUMBERS = {1: "B", 3: "H", 4: "I", 16: "Q"}
"""Formats of TIFF's types of whole numbers, for `struct`."""


@dataclass(frozen=True)
class PageFile:
    """A TIFF that is open, and the options to read it by."""

    path: str
    options: ReadOptions
    tif: Any
    """tifffile's file."""


def segments_of(file: PageFile, series: Any, dtype: np.dtype[Any], fill: float | int) -> Segments:
    """Return where the segments of a series lie, and what decodes them.

    Raises
    ------
    SourceError
        If pages are missing, or stored otherwise than the first one.
    """
    page = series.keyframe
    count = prod(series.shape) // max(1, prod(page.shaped))
    pages = _pages(file.tif, series, count)
    names = [_file_name(one, file.path) for one in pages]
    if len(pages) > 1 and not page.parent.tiff.is_ndpi:
        _check_equal(page, pages, file)
    files = {name: i for i, name in enumerate(dict.fromkeys(names))}
    keyframes = [pages[names.index(name)].keyframe for name in files]
    for keyframe in keyframes:
        keyframe.init_decode()  # the first call is not safe in threads
    segments = Segments(
        files=tuple(files),
        file_of=np.asarray([files[name] for name in names], np.int64),
        offsets=_table(pages, "dataoffsets", "offsets"),
        counts=_table(pages, "databytecounts", "byte counts"),
        shaped=page.shaped,
        segment=_segment_shape(page),
        tiled=bool(page.is_tiled),
        dtype=dtype,
        decoders=tuple(keyframe.decode for keyframe in keyframes),
        compression=int(page.compression),
        bits=bits_of(page),
        lying=_lying(keyframes, dtype),
        swapped=page.bitspersample == 24 and dtype.kind == "u" and page.parent.byteorder == "<",
        tables=_jpeg_tables(page, pages),
        fill=fill,
        storage_options=file.options.storage_options,
    )
    return segments if len(pages) == count else _repeated(segments, count)


def bits_of(page: Any) -> int:
    """Bits of a stored number; 0 where they differ among the samples."""
    return page.bitspersample if isinstance(page.bitspersample, int) else 0


def _segment_shape(page: Any) -> tuple[int, int, int]:
    """Depth, rows and columns of a tile or strip."""
    if page.is_tiled:
        return page.tiledepth, page.tilelength, page.tilewidth
    return 1, max(1, min(page.rowsperstrip, page.imagelength)), page.imagewidth


def _file_name(page: Any, path: str) -> str:
    """Return the path of the file that holds a page: as it was given, if it is that file."""
    if is_url(path) or page.parent is page.parent.root:
        return path
    name: str = page.parent.filehandle.path
    return name


def _lying(keyframes: Sequence[Any], dtype: np.dtype[Any]) -> np.dtype[Any] | None:
    """Type of the numbers in the files if rows can be read as they lie there, else None."""
    page = keyframes[0]
    plain = (
        len({keyframe.parent.byteorder for keyframe in keyframes}) == 1
        and page.compression == 1
        and page.predictor == 1
        and page.fillorder == 1
        and page.sampleformat in (1, 2, 3)
        and page.bitspersample == dtype.itemsize * 8
        and not page.is_subsampled
        and not (page.is_tiled and page.tiledepth > 1)
    )
    return dtype.newbyteorder(page.parent.byteorder) if plain else None


def _pages(tif: Any, series: Any, count: int) -> list[Any]:
    """Return the pages of a series: `count`, or the first of pages that lie contiguously.

    Some formats have pages without a directory of their own (ImageJ beyond 4 GB, MetaMorph's
    stacks, tifffile's own): then the first page stands for all.
    """
    without_directories = series.kind in {"shaped", "imagej", "stk"}
    if without_directories and count > 1 and series.dataoffset is not None:
        if series.kind == "shaped" and not series.is_truncated and series is series.levels[0]:
            found = len(tif.pages)
            if found < count:
                raise SourceError(f"its description promises {count} pages, {found} can be found")
        return [series.keyframe]
    pages = list(series)
    lost = [i for i, one in enumerate(pages) if one is None]
    if lost or len(pages) != count:
        raise SourceError(
            f"{count} pages are promised, {len(pages) - len(lost)} can be found"
            + (f"; page {lost[0]} is the first that is missing" if lost else "")
        )
    return pages


def _table(pages: Sequence[Any], attribute: str, what: str) -> NDArray[np.int64]:
    """Return a table (pages, segments) of what the pages list."""
    rows = [getattr(page, attribute) for page in pages]
    lengths = {len(row) for row in rows}
    if len(lengths) > 1:
        raise SourceError(
            f"its pages differ: some list {min(lengths)} and some {max(lengths)} {what}"
        )
    try:
        return np.asarray(rows, dtype=np.int64)
    except OverflowError:
        raise SourceError(f"its {what} lie beyond 2**63 bytes; the file is damaged") from None


def _repeated(segments: Segments, count: int) -> Segments:
    """Return `count` pages that lie one after the other, from the first of them."""
    expected = segments.expected_bytes()
    if segments.offsets.shape[1] != len(expected):
        segments.check([0] * len(segments.files))
    steps = np.arange(count, dtype=np.int64)[:, None] * int(expected.sum())
    return replace(
        segments,
        file_of=np.zeros(count, np.int64),
        offsets=segments.offsets + steps,
        counts=np.broadcast_to(expected, (count, len(expected))),
    )


def _jpeg_tables(page: Any, pages: Sequence[Any]) -> tuple[dict[str, Any], ...]:
    """Return what a JPEG decoder needs besides the segment, per page."""
    if page.compression not in (6, 7, 34892, 33007):
        return ()
    return tuple(
        {"jpegtables": one.jpegtables, "jpegheader": one.keyframe.jpegheader} for one in pages
    )


def _check_equal(page: Any, pages: Sequence[Any], asked: PageFile) -> None:
    """Raise `SourceError` unless all `pages` are stored as `page`, the first of the series."""
    path, storage = asked.path, asked.options.storage_options
    with open_file(_file_name(page, path), storage) as file:
        expected = _decisive(file, page)
    with_directory = [(i, one) for i, one in enumerate(pages) if not one.is_virtual]
    for name, group in groupby(with_directory, lambda pair: _file_name(pair[1], path)):
        with open_file(name, storage) as file:
            for i, one in group:
                found = _decisive(file, one)
                odd = next((code for code in expected if found[code] != expected[code]), None)
                if odd is not None:
                    raise SourceError(
                        f"{name}: page {i} is stored otherwise than the first: its "
                        f"{tifffile.TIFF.TAGS[odd]} is {found[odd]}, not {expected[odd]}; "
                        "save the pages as files of their own"
                    )


def _decisive(file: BinaryIO, page: Any) -> dict[int, Any]:
    """Return the tags by which a page is decoded, read from its directory, with their values."""
    tiff = page.parent.tiff
    file.seek(page.offset)
    (count,) = struct.unpack(tiff.tagnoformat, file.read(tiff.tagnosize))
    directory = file.read(count * tiff.tagsize)
    found = dict(_DECISIVE)
    for entry in struct.iter_unpack(tiff.tagheaderformat, directory):
        code, kind, length, value = entry
        if code not in _DECISIVE or kind not in _NUMBERS:
            continue
        format = f"{tiff.byteorder}{length}{_NUMBERS[kind]}"
        size = struct.calcsize(format)
        if size > len(value):
            file.seek(struct.unpack(tiff.offsetformat, value)[0])
            value = file.read(size)
        numbers = set(struct.unpack(format, value[:size]))
        found[code] = numbers.pop() if len(numbers) == 1 else sorted(numbers)
    return found
