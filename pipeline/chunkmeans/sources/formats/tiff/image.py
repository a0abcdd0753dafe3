"""TIFF by tifffile: tiles and strips, planar and interleaved, volumes, pyramids, OME, GeoTIFF."""

from collections.abc import Sequence
from itertools import product
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkmeans.errors import SourceError
from chunkmeans.image.grid import Box
from chunkmeans.image.info import ImageInfo, Pixels
from chunkmeans.sources.base import Image
from chunkmeans.sources.decode.colour import pick_last
from chunkmeans.sources.files.byte_ranges import file_fingerprint, source_filesystem
from chunkmeans.sources.files.paths import is_url
from chunkmeans.sources.formats.tiff.header import TiffHeader, read_tiff_header
from chunkmeans.sources.load_once import LoadOnce

_HEADERS: LoadOnce[TiffHeader] = LoadOnce(32)
"""Parsed headers of this process: enough for the images that its threads work on."""


class TiffImage(Image):
    """One series and level of a TIFF, local or by URL."""

    reader = "tiff 1"

    def describe(self) -> ImageInfo:
        """Return what the file is; reads tags, decodes no pixel."""
        return self._header().info

    @property
    def files(self) -> tuple[str, ...]:
        """Paths of the file, and of the files it refers to."""
        with self.naming("cannot be opened"):
            return tuple(file for file, _ in self._header().fingerprints)

    def fingerprint(self) -> str:
        """Return sizes and times of change of `files`, as they were when they were parsed."""
        with self.naming("cannot be opened"):
            return "+".join(mark for _, mark in self._header().fingerprints)

    def decode(self, box: Box, channels: Sequence[int]) -> Pixels:
        """Return the pixels of `box`; decodes the segments it touches, each once."""
        header = self._header()
        if (header.info.shape, header.info.channels) != (self.stored.shape, self.stored.channels):
            raise SourceError(
                f"the file changed while it was in use: it was {self.stored.shape} with "
                f"{self.stored.channels} channels, now {header.info.shape} with "
                f"{header.info.channels}"
            )
        layout, colour = header.layout, header.colour
        spans = layout.stored_spans(box)
        # A channel is one of those that pages make up, and among them one of a pixel's samples.
        parts = [divmod(channel, colour.channels) for channel in channels]
        others = sorted({other for other, _ in parts})
        inner = sorted({of_pixel for _, of_pixel in parts})
        samples = colour.needed(inner)
        stored = layout.arrange(_stored(header, layout.positions(spans, others, samples)))
        values, opaque = colour.apply(stored, samples, inner)
        values = values.reshape(*values.shape[:-2], len(others) * len(inner))
        at = {part: n for n, part in enumerate(product(others, inner))}
        values = pick_last(values, [at[part] for part in parts])
        valid: NDArray[np.bool_] | None = None if opaque is None else np.all(opaque, axis=-1)
        if header.mask is not None:
            rows, columns = spans["y"], spans["x"]
            plane = Box((0, rows.start, columns.start), (1, rows.stop, columns.stop))
            seen = header.mask.read([0], [0], plane)[0, 0, 0, ..., 0] != 0
            seen = np.broadcast_to(seen, values.shape[:-1])
            valid = seen if valid is None else valid & seen
        y, x = layout.axes.index("y"), layout.axes.index("x")
        upright = layout.orientation.make_upright
        return Pixels(upright(values, y, x), None if valid is None else upright(valid, y, x))

    def _header(self) -> TiffHeader:
        """Return the parsed header, from this process's memory while the files are the same."""
        options, storage = self.options, self.options.storage_options
        own = file_fingerprint(self.path, storage)
        access = source_filesystem(self.path, storage)[0] if is_url(self.path) else None
        asked = (options.series, options.level, options.axes, options.limits)
        return _HEADERS.get(
            (self.path, access, own, *asked),
            lambda: read_tiff_header(self.path, options),
            # The file itself is part of the key; those it refers to may change as well.
            lambda header: all(
                file_fingerprint(p, storage) == f for p, f in header.fingerprints[1:]
            ),
        )


def _stored(header: TiffHeader, wanted: Sequence[Sequence[int]]) -> NDArray[Any]:
    """Return the stored samples at the `wanted` positions along each stored axis."""
    first, sizes = header.layout.leading, header.layout.sizes[: header.layout.leading]
    pages = np.arange(prod(sizes)).reshape(sizes)[np.ix_(*wanted[:first])].ravel().tolist()
    separate, *body, interleaved = wanted[first:]
    box = Box(
        tuple(min(span, default=0) for span in body),
        tuple(max(span, default=-1) + 1 for span in body),
    )
    array = header.segments.read(pages, separate, box)
    array = array.reshape(*(len(positions) for positions in wanted[:first]), *array.shape[1:])
    for axis, span in enumerate(body, first + 1):  # a span has gaps where it is of channels
        if len(span) < array.shape[axis]:
            array = array.take([position - min(span) for position in span], axis=axis)
    return pick_last(array, interleaved)
