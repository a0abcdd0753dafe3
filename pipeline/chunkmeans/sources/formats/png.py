"""PNG in every depth: 1, 2, 4, 8 and 16 bits, grey, colour or palette.

Grey of 1, 2 and 4 bits keeps its stored numbers (0 to 1, 3 or 15). Transparent pixels, by alpha
or by a transparent colour, are not valid. pillow reduces 16-bit colour to 8 bits, so 16 bits are
decoded by libpng, and so are plain 8 bits; checksums, which pillow passes over in the pixels, are
checked for all.
"""

import struct
import zlib
from dataclasses import dataclass
from io import BytesIO
from typing import Any, BinaryIO

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL.PngImagePlugin import PngImageFile

from chunkmeans.errors import SourceError
from chunkmeans.image.info import ImageInfo, Pixels
from chunkmeans.sources.decode.orientation import UPRIGHT, Orientation
from chunkmeans.sources.files.byte_ranges import open_file
from chunkmeans.sources.formats.pillow_modes import pixels_of
from chunkmeans.sources.formats.whole_picture import (
    WholeImage,
    exif_orientation,
    picture_info,
    upright,
)

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _RGB, _PALETTE, _GREY_ALPHA, _RGB_ALPHA = 0, 2, 3, 4, 6
_DEPTHS = {
    _GREY: (1, 2, 4, 8, 16),
    _RGB: (8, 16),
    _PALETTE: (1, 2, 4, 8),
    _GREY_ALPHA: (8, 16),
    _RGB_ALPHA: (8, 16),
}
"""Bits per number that each colour type may have."""
_WIDENED = {1: 1, 2: 85, 4: 17}
"""What pillow multiplies grey numbers of few bits with; 1 bit comes as 0 and 1."""


@dataclass(frozen=True)
class Header:
    """What a PNG says of itself before its pixels."""

    width: int
    height: int
    depth: int
    """Bits per number."""
    colour: int
    """PNG's colour type."""
    transparent: bytes | None = None
    """The tRNS chunk: a transparent colour, or alpha by palette index."""
    orientation: Orientation = UPRIGHT
    warnings: tuple[str, ...] = ()

    @property
    def alpha(self) -> bool:
        """Whether pixels can be transparent."""
        return self.colour in (_GREY_ALPHA, _RGB_ALPHA) or self.transparent is not None

    @property
    def plain(self) -> bool:
        """Whether libpng's pixels are the stored numbers, no palette, packed bits or key."""
        return self.depth == 16 or (
            self.depth == 8 and self.colour != _PALETTE and self.transparent is None
        )

    @property
    def channels(self) -> int:
        """Numbers per pixel without alpha."""
        return 1 if self.colour in (_GREY, _GREY_ALPHA) else 3


class PngImage(WholeImage):
    """A PNG; of an animated one, the picture that is shown where there is no animation."""

    reader = "png 1"

    def describe(self) -> ImageInfo:
        """Return what the chunks beside the pixels say."""
        self.has_no("series", "level")
        with open_file(self.path, self.options.storage_options) as file:
            header = read_header(file)
            stored = file.seek(0, 2)
        decoded = header.height * header.width * (header.channels + header.alpha)
        return picture_info(
            header.height,
            header.width,
            header.channels,
            dtype="uint16" if header.depth == 16 else "uint8",
            alpha=header.alpha,
            options=self.options,
            orientation=header.orientation,
            warnings=header.warnings,
            undivided=decoded * header.depth // 8 + stored if header.plain else None,
        )

    def load(self) -> Pixels:
        """Decode the picture, after its checksums."""
        with open_file(self.path, self.options.storage_options) as file:
            data = file.read()
        header = read_header(BytesIO(data))
        check_sums(data)
        pixels = _plain(data) if header.plain else _converted(data, header)
        return upright(pixels, header.orientation)


def read_header(file: BinaryIO) -> Header:
    """Read the chunks of a PNG but its pixels, as far as the file goes."""
    if file.read(len(SIGNATURE)) != SIGNATURE:
        raise SourceError("its first bytes are not those of a PNG")
    start = file.read(25)
    length, kind, body, checksum = (
        struct.unpack(">I4s13sI", start) if len(start) == 25 else (0, b"", b"", 0)
    )
    if (length, kind, zlib.crc32(kind + body)) != (13, b"IHDR", checksum):
        raise SourceError("its header (IHDR) is cut short or damaged")
    width, height, depth, colour, *_ = struct.unpack(">IIBBBBB", body)
    if depth not in _DEPTHS.get(colour, ()):
        raise SourceError(f"its header asks for colour type {colour} of {depth} bits: no such PNG")
    wanted: dict[bytes, bytes] = {}
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind in (b"tRNS", b"eXIf", b"acTL"):
            wanted.setdefault(kind, file.read(length))
            file.seek(4, 1)
        elif kind == b"IEND":
            break
        else:
            file.seek(length + 4, 1)
    orientation, warnings = exif_orientation(wanted.get(b"eXIf", b""))
    frames = int.from_bytes(wanted.get(b"acTL", b"\0\0\0\1")[:4], "big")
    if frames > 1:
        warnings += (f"it is animated ({frames} frames); only its still picture is read",)
    own_alpha = colour in (_GREY_ALPHA, _RGB_ALPHA)
    transparent = None if own_alpha else wanted.get(b"tRNS")
    return Header(width, height, depth, colour, transparent, orientation, warnings)


def check_sums(data: bytes) -> None:
    """Check that every chunk of a PNG is whole.

    Raises
    ------
    SourceError
        If a chunk does not match its checksum, or the file ends before its end mark.
    """
    at, kind = len(SIGNATURE), b""
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


def _plain(data: bytes) -> Pixels:
    """Pixels as they are stored: libpng takes less than half the memory that pillow does."""
    stored: NDArray[Any] = imagecodecs.png_decode(data)
    stored = stored.reshape(*stored.shape[:2], -1)
    if stored.shape[-1] % 2:
        return Pixels(stored)
    return Pixels(stored[..., :-1], stored[..., -1] != 0)


def _converted(data: bytes, header: Header) -> Pixels:
    """Pixels of up to 8 bits that are packed, of a palette or with a transparent colour."""
    with PngImageFile(BytesIO(data)) as picture:
        key = header.transparent
        if header.colour in (_GREY, _RGB):  # pillow compares the key with widened numbers
            picture.info.pop("transparency", None)
        pixels = pixels_of(picture)
    values = pixels.values
    if header.colour == _GREY and header.depth < 8:
        values = values // np.uint8(_WIDENED[header.depth])
    if header.colour not in (_GREY, _RGB) or key is None:
        return Pixels(values, pixels.valid)
    if len(key) != 2 * header.channels:
        raise SourceError(f"its transparent colour (tRNS) has {len(key)} bytes")
    return Pixels(values, (values != np.frombuffer(key, ">u2")).any(axis=-1))
