"""TIFF by tifffile: tiles and strips, planar and interleaved, volumes, pyramids, OME, GeoTIFF."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkmeans.errors import SourceError
from chunkmeans.image.grid import Box
from chunkmeans.image.info import ImageInfo, Pixels
from chunkmeans.sources.base import Image
from chunkmeans.sources.files.byte_ranges import filesystem, stamp
from chunkmeans.sources.files.paths import is_url
from chunkmeans.sources.formats.tiff.axes import COLUMNS, CONTIG, DEPTH, ROWS
from chunkmeans.sources.formats.tiff.header import Header, parse

_KEPT = 32
"""Parsed headers that a process keeps: enough for the images that its threads work on."""


class TiffImage(Image):
    """One series and level of a TIFF, local or by URL."""

    reader = "tiff 1"

    def describe(self) -> ImageInfo:
        """Return what the file is; reads tags, decodes no pixel."""
        return self._header().info

    def fingerprint(self) -> str:
        """Return sizes and times of change of the file, and of the files it refers to."""
        with self.naming("cannot be opened"):
            return "+".join(mark for _, mark in self._header().stamps)

    @property
    def files(self) -> tuple[str, ...]:
        """Paths of the file, and of the files it refers to."""
        with self.naming("cannot be opened"):
            return tuple(file for file, _ in self._header().stamps)

    def decode(self, box: Box, channels: Sequence[int]) -> Pixels:
        """Return the pixels of `box`; decodes the segments it touches, each once."""
        header = self._header()
        if (header.info.shape, header.info.channels) != (self.stored.shape, self.stored.channels):
            raise SourceError(
                f"the file changed while it was in use: it was {self.stored.shape} with "
                f"{self.stored.channels} channels, now {header.info.shape} with "
                f"{header.info.channels}"
            )
        places, colour, orientation = header.layout, header.colour, header.orientation
        y, x = places.axes.index("y"), places.axes.index("x")
        flat = orientation.stored_box(
            Box((box.start[y], box.start[x]), (box.stop[y], box.stop[x])),
            (header.info.shape[y], header.info.shape[x]),
        )
        spans = {a: range(box.start[i], box.stop[i]) for i, a in enumerate(places.axes)}
        spans["y"] = range(flat.start[0], flat.stop[0])
        spans["x"] = range(flat.start[1], flat.stop[1])

        count = colour.channels
        parts = [divmod(c, count) for c in channels]
        others = sorted({o for o, _ in parts})
        inner = sorted({i for _, i in parts})
        samples = colour.needed(inner)
        stored = _stored(header, spans, others, samples)
        values, opaque = colour.apply(stored, samples, inner)
        values = values.reshape(*values.shape[:-2], len(others) * len(inner))
        at = {part: n for n, part in enumerate(product(others, inner))}
        wanted = [at[part] for part in parts]
        if wanted != list(range(values.shape[-1])):
            values = values[..., wanted]
        alpha: NDArray[np.bool_] | None = None if opaque is None else np.all(opaque, axis=-1)
        valid = alpha
        if header.mask is not None:
            rows, columns = spans["y"], spans["x"]
            plane = Box((0, rows.start, columns.start), (1, rows.stop, columns.stop))
            seen = header.mask.read([0], [0], plane)[0, 0, 0, ..., 0] != 0
            seen = np.broadcast_to(seen, values.shape[:-1])
            valid = seen if alpha is None else alpha & seen
        return Pixels(
            orientation.turn(values, y, x),
            None if valid is None else orientation.turn(valid, y, x),
        )

    def _header(self) -> Header:
        """Return the parsed header, from this process's memory while the files are the same."""
        options = self.options
        mark = stamp(self.path, options.storage_options)
        access = filesystem(self.path, options.storage_options)[0] if is_url(self.path) else None
        asked = (options.series, options.level, options.axes, options.limits)
        key = (self.path, access, mark, *asked)
        return _headers.get(key, self)


def _stored(
    header: Header, spans: dict[str, range], others: Sequence[int], samples: Sequence[int]
) -> NDArray[Any]:
    """Return stored samples in the order of the image's axes, then other channels, then samples.

    Parameters
    ----------
    header
        Of the image.
    spans
        What to read along each axis of the image, in stored coordinates.
    others
        Which of the channels that pages make up.
    samples
        Which samples of a pixel.
    """
    places = header.layout
    first = places.leading
    wanted: list[Sequence[int]] = []
    for i, (letter, size) in enumerate(zip(places.letters, places.sizes, strict=True)):
        if i == places.sample_axis:
            wanted.append(samples)
        elif i == places.channel_axis:
            wanted.append(others)
        else:
            wanted.append(spans[letter] if letter else range(size))

    sizes = places.sizes[:first]
    pages = [_position(place, sizes) for place in product(*wanted[:first])]
    body = [wanted[first + i] for i in (DEPTH, ROWS, COLUMNS)]
    box = Box(
        tuple(min(span, default=0) for span in body),
        tuple(max(span, default=-1) + 1 for span in body),
    )
    array = header.segments.read(pages, wanted[first], box)
    array = array.reshape(*(len(w) for w in wanted[:first]), *array.shape[1:])
    for i, span in zip((DEPTH, ROWS, COLUMNS), body, strict=True):
        if first + i == places.channel_axis:
            array = array.take([c - min(span) for c in span], axis=first + i)
    contig = wanted[first + CONTIG]
    if list(contig) != list(range(array.shape[-1])):
        array = array[..., list(contig)]

    order = [places.stored(axis) for axis in places.axes]
    order += [places.channel_axis, places.sample_axis]
    kept = [i for i in order if i is not None]
    array = array[tuple(slice(None) if i in kept else 0 for i in range(array.ndim))]
    array = array.transpose([sorted(kept).index(i) for i in kept])
    return np.expand_dims(array, [n for n, i in enumerate(order) if i is None])


def _position(place: Sequence[int], sizes: Sequence[int]) -> int:
    """Return the position of a page in C order, from its place along the axes of pages."""
    position = 0
    for i, size in zip(place, sizes, strict=True):
        position = position * size + i
    return position


class _Headers:
    """The parsed headers of a process, by file and options: the least recently used is dropped."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._slots: OrderedDict[Any, _Slot] = OrderedDict()

    def get(self, key: Any, image: Image) -> Header:
        """Return the header of `image`, parsed once however many threads ask."""
        with self._lock:
            slot = self._slots.setdefault(key, _Slot())
            self._slots.move_to_end(key)
            while len(self._slots) > _KEPT:
                self._slots.popitem(last=False)
        with slot.lock:
            options = image.options.storage_options
            header = slot.header
            if header is None or any(stamp(p, options) != s for p, s in header.stamps[1:]):
                header = slot.header = parse(image.path, image.options)
            return header


class _Slot:
    """Place of one header, so that only threads that want the same one wait for each other."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.header: Header | None = None


_headers = _Headers()
