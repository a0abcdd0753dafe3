"""Equal pages cut into tiles or strips, and the decoding of just those that a box touches.

The stored array of a TIFF series has six axes: pages, separate samples, depth, rows, columns and
interleaved samples. Each page and separate sample is cut into a grid of segments (tiles or strips)
that are decoded whole; uncompressed segments are read by rows.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import product
from math import prod
from operator import add
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chunkmeans.config.models import Limits
from chunkmeans.errors import SourceError
from chunkmeans.image.grid import Box, split
from chunkmeans.sources.base import DEFAULT_LIMITS, check_limit
from chunkmeans.sources.decode.cache import PICTURES
from chunkmeans.sources.files.byte_ranges import Fetch, fetching, file_fingerprint

ROWS_AT_ONCE = 2**23
"""Bytes of rows, about, that are read at once where rows are read as they lie."""

GIANT = 2**26
"""Bytes that a segment which holds a whole image decodes to, from which on it stays decoded
while the image is read: it would be decoded anew for every box."""

MOST_FROM_A_BYTE = {1: 1, 2: 8192, 3: 8192, 4: 2**17, 5: 4096, 8: 1100, 32773: 65, 32946: 1100}
"""Bytes that a compression (TIFF's number) can make of one at most, rounded up: none, CCITT, LZW,
deflate, PackBits, deflate. Others are not bounded."""

_JPEG, _END = 7, b"\xff\xd9"
"""TIFF's number of JPEG, and what a JPEG ends with; writers may pad a few bytes after it."""


class Touched(NamedTuple):
    """A segment that a box touches, and what of it."""

    page: int
    sample: int
    segment: int
    """Its position in the tables of offsets and byte counts of the page."""
    corner: tuple[int, int, int]
    """Its first depth, row and column in the page."""
    box: Box
    """What is needed of it, along depth, rows and columns of the page."""


@dataclass(frozen=True)
class Segments:
    """The stored pixels of one series and level; holds tables, no open file."""

    files: tuple[str, ...]
    """Paths of the files that hold the pages."""
    file_of: NDArray[np.int64]
    """Position in `files` of each page."""
    offsets: NDArray[np.int64]
    """First byte of each segment in its file, (pages, segments); 0 where none was written."""
    counts: NDArray[np.int64]
    """Bytes of each segment, (pages, segments); 0 where none was written."""
    shaped: tuple[int, int, int, int, int]
    """Of a page: separate samples, depth, rows, columns, interleaved samples."""
    segment: tuple[int, int, int]
    """Of a segment: depth, rows, columns; strips at the lower edge have fewer rows."""
    tiled: bool
    """Whether segments at the edges are stored whole (tiles) or cut (strips)."""
    dtype: np.dtype[Any]
    """Type of a decoded number, in the machine's byte order."""
    decoders: tuple[Callable[..., Any], ...]
    """tifffile's decoder of each file: encoded bytes and segment to (array, position, shape)."""
    compression: int
    """TIFF's number of it; 1 is none."""
    bits: int
    """Bits of a number as it is packed in a segment; 0 where that is not known."""
    lying: np.dtype[Any] | None = None
    """Type of the numbers as they lie in the file, where rows can be read without decoding."""
    swapped: bool = False
    """Whether 24-bit numbers lie low byte first, which tifffile unpacks high byte first."""
    tables: tuple[Mapping[str, Any], ...] = ()
    """What `decoders` need besides the bytes, per page (JPEG tables); empty: nothing."""
    fill: float | int = 0
    """What a pixel is where no segment was written."""
    storage_options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Handed to fsspec."""

    @property
    def grid(self) -> tuple[int, ...]:
        """Number of segments along depth, rows and columns."""
        return tuple(-(-n // s) for n, s in zip(self.shaped[1:4], self.segment, strict=True))

    @property
    def row_bytes(self) -> int:
        """Bytes of one row of one segment."""
        return self.segment[2] * self.shaped[4] * self.dtype.itemsize

    @property
    def smallest(self) -> tuple[int, int, int]:
        """Depth, rows and columns of what can be read by itself: of a giant strip, any row."""
        deep, rows, columns = self.segment
        by_rows = self.lying is not None and rows * self.row_bytes > ROWS_AT_ONCE
        return deep, 1 if by_rows else rows, columns

    @property
    def undivided(self) -> int:
        """Bytes that one giant segment takes to be decoded, if it holds everything; else 0."""
        decoded = self.segment[0] * self.segment[1] * self.row_bytes
        if self.lying is not None or self.offsets.size != 1 or decoded < GIANT:
            return 0
        return 2 * decoded + int(self.counts.max())  # some codecs need a second copy

    def expected_bytes(self) -> NDArray[np.int64]:
        """Return the bytes that each segment of a page decodes to, as far as inside the page."""
        depth, rows, _ = self.segment
        deep, down, across = self.grid
        filled = np.full((self.shaped[0], deep, down, across), rows, np.int64)
        if not self.tiled:
            filled[:, :, -1] = self.shaped[2] - (down - 1) * rows
        return (filled * (depth * self.row_bytes)).reshape(-1)

    def check(self, sizes: Sequence[int], limits: Limits = DEFAULT_LIMITS) -> None:
        """Raise `SourceError` if the tables cannot be true.

        Parameters
        ----------
        sizes
            Bytes of each of `files`.
        limits
            Of a compressed segment, which has to be decoded as a whole.
        """
        what = "tile" if self.tiled else "strip"
        needed = prod(self.grid) * self.shaped[0]
        if self.offsets.shape[1] != needed or self.counts.shape != self.offsets.shape:
            raise SourceError(
                f"{self.files[0]}: the header lists {self.offsets.shape[1]} offsets and "
                f"{self.counts.shape[1]} byte counts of {what}s, its pages need {needed} of each"
            )
        sparse = (self.offsets == 0) | (self.counts == 0)
        if self.lying is None:
            pixels = prod(self.segment)
            check_limit(
                limits, "piece", pixels, f"{self.files[0]}: pixels of a {what}, decoded at once"
            )
        # Bytes of each segment before compression; 0 where bits are not known.
        packed_row = -(-self.segment[2] * self.shaped[4] * self.bits // 8)
        packed = self.expected_bytes() // self.row_bytes * packed_row
        if (most := MOST_FROM_A_BYTE.get(self.compression)) is not None:
            self._refuse(
                ~sparse & (self.counts * most + (1024 if most > 1 else 0) < packed),
                lambda page, n: (
                    f"is {self.counts[page, n]:,} bytes long, which cannot hold the "
                    f"{packed[n]:,} bytes of pixels the header promises"
                ),
            )
        ends = self.offsets + self.counts
        sizes_of = np.asarray(sizes, np.int64)[self.file_of][:, None]
        self._refuse(
            ~sparse & ((ends > sizes_of) | (self.offsets < 0) | (self.counts < 0)),
            lambda page, n: (
                f"should end at byte {ends[page, n]:,}, but the file ends at "
                f"{sizes_of[page, 0]:,}: it is cut short or damaged"
            ),
        )

    def _refuse(self, bad: NDArray[np.bool_], reason: Callable[[int, int], str]) -> None:
        """Raise a `SourceError` about the first segment that is `bad`, if any."""
        if bad.any():
            page, n = (int(i) for i in np.argwhere(bad)[0])
            what = "tile" if self.tiled else "strip"
            path = self.files[self.file_of[page]]
            more = f" ({int(bad.sum()):,} such {what}s)" if bad.sum() > 1 else ""
            raise SourceError(f"{path}: {what} {n} of page {page} {reason(page, n)}{more}")

    def touched(self, pages: Sequence[int], samples: Sequence[int], box: Box) -> list[Touched]:
        """List the segments of `pages` and separate `samples` that `box` touches, each once.

        Where rows are read as they lie, a segment is listed for every few rows of it.
        """
        deep, down, across = self.grid
        few = self.shaped[2] if self.lying is None else max(1, ROWS_AT_ONCE // self.row_bytes)
        spans = [
            range(a // s, -(-b // s))
            for a, b, s in zip(box.start, box.stop, self.segment, strict=True)
        ]
        found: list[Touched] = []
        for d, r, c in product(*spans) if box.size else ():
            corner = (d * self.segment[0], r * self.segment[1], c * self.segment[2])
            needed = box & Box(corner, tuple(map(add, corner, self.segment)))
            place = (d * down + r) * across + c
            found.extend(
                Touched(page, sample, sample * deep * down * across + place, corner, rows)
                for page in pages
                for sample in samples
                for rows in split(needed, (self.shaped[1], few, self.shaped[3]))
            )
        return found

    def read(self, pages: Sequence[int], samples: Sequence[int], box: Box) -> NDArray[Any]:
        """Return the pixels of `box` (depth, rows, columns), of `pages` and separate `samples`.

        Does I/O; safe in threads. The result is (pages, samples, depth, rows, columns,
        interleaved samples).

        Raises
        ------
        SourceError
            If a segment is cut short or decodes to something else than the header promises.
        """
        if self.undivided:
            return self._of_giant(samples, box)
        row_of = {page: i for i, page in enumerate(pages)}
        column_of = {sample: i for i, sample in enumerate(samples)}
        shape = (len(pages), len(samples), *box.shape, self.shaped[4])
        out = np.empty(shape, self.dtype)
        by_file: dict[int, list[tuple[Touched, tuple[int, int], NDArray[Any]]]] = {}
        for one in self.touched(pages, samples, box):
            extent = self._extent(one)
            place = out[row_of[one.page], column_of[one.sample]]
            place = place[one.box.within(box.start).slices]
            if extent is None:
                place[...] = self.fill
            else:
                by_file.setdefault(int(self.file_of[one.page]), []).append((one, extent, place))
        with ExitStack() as files:
            for file, wanted in by_file.items():
                fetch: Fetch = files.enter_context(fetching(self.files[file], self.storage_options))
                extents = [extent for _, extent, _ in wanted]
                for (one, _, place), data in zip(wanted, fetch(extents), strict=True):
                    place[...] = self._pixels(one, data)
        return out

    def _of_giant(self, samples: Sequence[int], box: Box) -> NDArray[Any]:
        """Return what `read` does, of the one segment there is, decoded once for all boxes."""
        whole = Box.whole(self.shaped[1:4])
        options = self.storage_options
        (one,) = self.touched([0], [0], whole)
        extent = self._extent(one)
        if extent is None:
            return np.full((1, len(samples), *box.shape, self.shaped[4]), self.fill, self.dtype)

        def load() -> NDArray[Any]:
            with fetching(self.files[0], options) as fetch:
                (data,) = fetch([extent])
            return self._pixels(one, data)

        key = (self.files[0], extent, file_fingerprint(self.files[0], options))
        pixels = PICTURES.get(key, load, self.undivided, last=box.stop == whole.stop)
        return pixels[box.slices][None, None].repeat(len(samples), axis=1)

    def _extent(self, one: Touched) -> tuple[int, int] | None:
        """Bytes of the file that `one` needs, as (start, stop); None where nothing was written."""
        offset = int(self.offsets[one.page, one.segment])
        count = int(self.counts[one.page, one.segment])
        if offset == 0 or count == 0:
            return None
        if self.lying is None:
            return offset, offset + count
        rows = one.box.within(one.corner)
        return offset + rows.start[1] * self.row_bytes, offset + rows.stop[1] * self.row_bytes

    def _pixels(self, one: Touched, data: bytes) -> NDArray[Any]:
        """Return what `one` needs of its segment, (depth, rows, columns, interleaved samples)."""
        inner = one.box.within(one.corner)
        if self.lying is not None:
            rows = np.frombuffer(data, self.lying)
            stored = rows.reshape(1, inner.shape[1], self.segment[2], self.shaped[4])
            return stored[:, :, inner.start[2] : inner.stop[2]]
        needs = self.tables[one.page] if self.tables else {}
        if self.compression == _JPEG and not needs.get("jpegheader") and _END not in data[-64:]:
            raise SourceError(
                f"{self._name(one)} has no end-of-image mark in its last bytes: its JPEG is cut "
                "short (the decoder would fill in grey)"
            )
        try:
            decode = self.decoders[self.file_of[one.page]]
            decoded = decode(data, one.segment, **needs)
            stored = decoded[0][inner.slices]
        except Exception as error:  # codecs have no common base class
            raise SourceError(f"{self._name(one)} cannot be decoded: {error}") from error
        if stored.shape != (*inner.shape, self.shaped[4]):
            raise SourceError(
                f"{self._name(one)} decodes to {decoded[0].shape}, which does not hold the "
                f"{inner.shape} pixels needed at {inner}"
            )
        # one-bit numbers come as bool and are kept as uint8
        bits = stored.dtype == np.bool_ and self.dtype == np.uint8
        if stored.dtype != self.dtype and not bits:
            raise SourceError(
                f"{self._name(one)} decodes to {stored.dtype}, the header promises {self.dtype}"
            )
        if self.swapped:
            stored = ((stored & 0xFF) << 16) | (stored & 0xFF00) | (stored >> 16)
        return np.asarray(stored)

    def _name(self, one: Touched) -> str:
        """Name a segment for an error."""
        what = "tile" if self.tiled else "strip"
        return f"{self.files[self.file_of[one.page]]}: {what} {one.segment} of page {one.page}"


def joined_strips(segments: Segments) -> Segments:
    """Return the same pixels with strips that follow each other in the file as one strip.

    Only for strips whose rows can be read as they lie: then any rows of a page are one range of
    bytes, however many strips they cross. Others are returned as they are.
    """
    separate, deep, rows, columns, _ = segments.shaped
    if segments.tiled or segments.lying is None or segments.segment[1] >= rows:
        return segments
    shape = (len(segments.offsets), separate * deep, -1)
    expected = segments.expected_bytes()
    offsets = segments.offsets.reshape(shape)
    steps = expected.reshape(separate * deep, -1)[:, :-1]
    whole = (
        (offsets[:, :, 1:] == offsets[:, :, :-1] + steps).all()
        and (segments.counts >= expected).all()
        and (offsets[:, :, 0] > 0).all()
    )
    if not whole:
        return segments
    first = offsets[:, :, 0].copy()
    return replace(
        segments,
        offsets=first,
        counts=np.full_like(first, rows * segments.row_bytes),
        segment=(1, rows, columns),
    )
