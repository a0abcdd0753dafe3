"""Labels as PNG: what is stored is the label, what a viewer shows is its colour.

Written here, since no library writes a PNG that is larger than memory.
"""

import struct
import zlib
from pathlib import Path
from typing import BinaryIO

from chunkmeans.errors import ResultError
from chunkmeans.results.export.base import Exporter, LabelView

_LONGEST_EDGE = 2**31 - 1
_BLOCK = 2**20
"""Bytes of compressed pixels per IDAT chunk, about."""


class PngExporter(Exporter):
    """PNG of W3C's third edition: a palette for up to 255 labels, 16-bit grey for more.

    A pixel's stored number is its label. The palette holds the labels' colours, and label 0 is
    transparent; 16-bit grey has no colours and no transparency. Rows are compressed as they are
    read, unfiltered: PNG recommends no filter for indices.
    """

    name = "png"
    suffix = ".png"

    def export(self, labels: LabelView, destination: Path) -> None:
        """Write one plane."""
        height, width = labels.shape
        if max(height, width) > _LONGEST_EDGE:
            raise ResultError(
                f"{labels.image.path}: has {height:,} x {width:,} pixels, a PNG at most "
                f"{_LONGEST_EDGE:,} along an edge; export a higher --level"
            )
        indexed = labels.k <= 255
        header = struct.pack(
            ">2I5B", width, height, 8 if indexed else 16, 3 if indexed else 0, *b"\0\0\0"
        )
        with destination.open("xb") as file:
            file.write(b"\x89PNG\r\n\x1a\n")
            _write_chunk(file, b"IHDR", header)
            if indexed:
                _write_chunk(file, b"PLTE", labels.colours[:, :3].tobytes())
                _write_chunk(file, b"tRNS", labels.colours[:, 3].tobytes())
            _write_pixels(file, labels, "u1" if indexed else ">u2")
            _write_chunk(file, b"IEND", b"")


def _write_pixels(file: BinaryIO, labels: LabelView, dtype: str) -> None:
    """Write IDAT chunks of about a MiB each; together they are one zlib stream."""
    deflate = zlib.compressobj()
    waiting = bytearray()
    for _, piece in labels.pieces():
        # row by row: a copy of the piece with the filter's byte before each row would be as large
        for row in piece:
            waiting += deflate.compress(b"\0" + row.astype(dtype).tobytes())
            if len(waiting) >= _BLOCK:
                _write_chunk(file, b"IDAT", waiting)
                waiting.clear()
    _write_chunk(file, b"IDAT", waiting + deflate.flush())


def _write_chunk(file: BinaryIO, kind: bytes, data: bytes | bytearray) -> None:
    """Write length, kind, data and the checksum of the latter two."""
    file.write(struct.pack(">I", len(data)) + kind)
    file.write(data)
    file.write(struct.pack(">I", zlib.crc32(data, zlib.crc32(kind))))
