"""PNG in every depth: 1, 2, 4, 8 and 16 bits, grey, colour or palette.

Decoded by libpng. Grey of 1, 2 and 4 bits keeps its stored numbers (0 to 1, 3 or 15). Transparent
pixels, by alpha or by a transparent colour, are not valid. Checksums of all chunks are checked.
"""

import struct
import zlib
from io import BytesIO
from typing import Any, BinaryIO

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from chunkmeans.errors import SourceError
from chunkmeans.image.info import ImageInfo, Pixels
from chunkmeans.sources.base import ReadOptions
from chunkmeans.sources.decode.orientation import Orientation
from chunkmeans.sources.files.byte_ranges import open_file
from chunkmeans.sources.formats import whole_picture

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _RGB, _PALETTE, _GREY_ALPHA, _RGB_ALPHA = 0, 2, 3, 4, 6
_COLOURS: dict[int, tuple[int, bool, tuple[int, ...]]] = {
    _GREY: (1, False, (1, 2, 4, 8, 16)),
    _RGB: (3, False, (8, 16)),
    _PALETTE: (3, False, (1, 2, 4, 8)),
    _GREY_ALPHA: (1, True, (8, 16)),
    _RGB_ALPHA: (3, True, (8, 16)),
}
"""Channels of each colour type, whether it has alpha, and bits per number that it may have."""
_KEY_BYTES = {_GREY: 2, _RGB: 6}
"""Bytes of a transparent colour (tRNS), by colour type; of a palette it is alpha by index."""


class PngImage(whole_picture.WholeImage):
    """A PNG; of an animated one, the picture that is shown where there is no animation."""

    reader = "png 1"

    def describe(self) -> ImageInfo:
        """Return what is in the chunks beside the pixels."""
        self.has_no("series", "level")
        with open_file(self.path, self.options.storage_options) as file:
            return read_png_header(file, self.options)[0]

    def load(self) -> Pixels:
        """Decode the picture, after its checksums."""
        with open_file(self.path, self.options.storage_options) as file:
            data = file.read()
        info, orientation, scale = read_png_header(BytesIO(data), self.options)
        check_sums(data)
        stored: NDArray[Any] = imagecodecs.png_decode(data)
        stored = stored.reshape(*stored.shape[:2], -1)
        values = stored[..., : info.channels]
        if scale > 1:
            values = values // np.uint8(scale)
        alpha = stored.shape[-1] > info.channels
        return whole_picture.upright(
            Pixels(values, stored[..., -1] != 0 if alpha else None), orientation
        )


def read_png_header(file: BinaryIO, options: ReadOptions) -> tuple[ImageInfo, Orientation, int]:
    """Read the chunks of a PNG except its pixels, as far as the file goes.

    Returns what the upright picture is, how the stored one is shown, and what libpng multiplies
    grey numbers of less than 8 bits with, to fill 8 bits.

    Raises
    ------
    SourceError
        If the file does not begin as a PNG does, or its header is damaged or not allowed.
    """
    width, height, depth, colour = _first_chunk(file)
    found = _other_chunks(file)
    key = found.get(b"tRNS")
    if key is not None and len(key) != _KEY_BYTES.get(colour, len(key)):
        raise SourceError(f"its transparent colour (tRNS) has {len(key)} bytes")
    if colour == _PALETTE and b"PLTE" not in found:
        raise SourceError("its pixels are palette colours, but it has no palette (PLTE)")
    orientation, warnings = whole_picture.exif_orientation(found.get(b"eXIf", b""))
    frames = int.from_bytes(found.get(b"acTL", b"\0\0\0\1")[:4], "big")
    if frames > 1:
        warnings += (f"it is animated ({frames} frames); only its still picture is read",)
    channels, alpha, _ = _COLOURS[colour]
    # Numbers that libpng returns as they are stored need no room but their own and the file's.
    plain = depth == 16 or (depth == 8 and colour != _PALETTE and (alpha or key is None))
    alpha = alpha or key is not None
    decoded = height * width * (channels + alpha) * depth // 8
    info = whole_picture.picture_info(
        options,
        (height, width),
        channels,
        orientation,
        undivided=decoded + file.seek(0, 2) if plain else None,
        dtype=np.dtype(np.uint16 if depth == 16 else np.uint8),
        alpha=alpha,
        warnings=warnings,
    )
    scale = 255 // (2**depth - 1) if colour == _GREY and depth < 8 else 1
    return info, orientation, scale


def _first_chunk(file: BinaryIO) -> tuple[int, int, int, int]:
    """Return width, height, bits and colour type."""
    if file.read(len(_SIGNATURE)) != _SIGNATURE:
        raise SourceError("its first bytes are not those of a PNG")
    start = file.read(25).ljust(25, b"\0")
    length, kind, body, checksum = struct.unpack(">I4s13sI", start)
    if (length, kind, zlib.crc32(kind + body)) != (13, b"IHDR", checksum):
        raise SourceError("its header (IHDR) is cut short or damaged")
    width, height, depth, colour, *_ = struct.unpack(">IIBBBBB", body)
    if colour not in _COLOURS or depth not in _COLOURS[colour][2]:
        raise SourceError(f"its header asks for colour type {colour} of {depth} bits: no such PNG")
    return width, height, depth, colour


def _other_chunks(file: BinaryIO) -> dict[bytes, bytes]:
    """Return the first chunk of each kind that matters besides the pixels; skips the pixels."""
    found: dict[bytes, bytes] = {}
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind == b"IEND":
            break
        if kind in (b"PLTE", b"tRNS", b"eXIf", b"acTL"):
            found.setdefault(kind, file.read(length))
            length = 0
        file.seek(length + 4, 1)
    return found


def check_sums(data: bytes) -> None:
    """Check that every chunk of a PNG is whole.

    Raises
    ------
    SourceError
        If a chunk does not match its checksum, the file ends before its end mark, or none holds
        pixels.
    """
    at, kind, seen = len(_SIGNATURE), b"", set()
    view = memoryview(data)
    while kind != b"IEND":
        if at + 12 > len(data):
            raise SourceError(f"is cut short: {len(data)} bytes, and no end mark (IEND)")
        length = int.from_bytes(view[at : at + 4], "big")
        kind = bytes(view[at + 4 : at + 8])
        end = at + 8 + length
        if end + 4 > len(data):
            raise SourceError(
                f"is cut short: chunk {kind!r} ends at byte {end + 4}, the file at {len(data)}"
            )
        if zlib.crc32(view[at + 4 : end]) != int.from_bytes(view[end : end + 4], "big"):
            raise SourceError(f"chunk {kind!r} at byte {at} does not match its checksum")
        at = end + 4
        seen.add(kind)
    if b"IDAT" not in seen:
        raise SourceError("holds no pixels (no chunk IDAT)")
