"""JPEG, WebP, BMP and GIF by pillow, and no other format, whatever pillow could open.

Of a file with several frames, `options.series` is the frame. Alpha masks where it is 0 and is no
channel; palettes and inks become RGB; 1-bit is 0 and 1.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.Image import Image as Picture
from PIL.JpegImagePlugin import jpeg_factory
from PIL.WebPImagePlugin import WebPImageFile

from chunkmeans.errors import SourceError
from chunkmeans.image.info import ImageInfo, Pixels
from chunkmeans.sources.files.byte_ranges import open_file
from chunkmeans.sources.formats import whole_picture

_OPENERS: dict[bytes, Callable[[BinaryIO], Picture]] = {
    b"\xff\xd8\xff": jpeg_factory,
    b"RIFF": WebPImageFile,
    b"GIF8": GifImageFile,
    b"BM": BmpImageFile,
}
"""Classes of pillow by first bytes. Its `open` would try every format it knows, and refuse
pictures above a limit of its own; here the plan checks them against the run's memory."""
_ANIMATED = {"GIF", "WEBP"}
_CHANNELS = {"1": 1, "L": 1, "LA": 1, "P": 3, "PA": 3, "RGB": 3, "RGBA": 3, "CMYK": 3}
_ALPHA = {"LA", "PA", "RGBA"}


class RasterImage(whole_picture.WholeImage):
    """A picture that pillow decodes."""

    reader = "pillow 1"

    def describe(self) -> ImageInfo:
        """Return what is in the header; no pixel is decoded (but those before a later frame)."""
        self.has_no("level")
        with self._picture() as picture:
            channels, alpha = channels_of(picture)
            orientation, warnings = whole_picture.exif_orientation(picture.info.get("exif", b""))
            several = picture.format in _ANIMATED and getattr(picture, "is_animated", False)
            if several and self.options.series == 0:
                warnings += ("it has several frames; only the first is read (images.series)",)
            size = picture.height, picture.width
            return whole_picture.picture_info(
                self.options, size, channels, orientation, alpha=alpha, warnings=warnings
            )

    def load(self) -> Pixels:
        """Decode the frame."""
        with self._picture() as picture:
            orientation, _ = whole_picture.exif_orientation(picture.info.get("exif", b""))
            return whole_picture.upright(decoded_picture(picture), orientation)

    @contextmanager
    def _picture(self) -> Iterator[Picture]:
        """Open the file at the requested frame."""
        with open_file(self.path, self.options.storage_options) as file:
            head = file.read(12)
            size = file.seek(0, 2)
            file.seek(0)
            opener = next((o for start, o in _OPENERS.items() if head.startswith(start)), None)
            if opener is None:
                raise SourceError("its first bytes are of no JPEG, WebP, BMP or GIF")
            with opener(file) as picture:
                try:
                    picture.seek(self.options.series)
                except EOFError:
                    frames = getattr(picture, "n_frames", 1)
                    raise SourceError(
                        f"series {self.options.series} is out of range, the file has {frames} "
                        f"frames (0 to {frames - 1})"
                    ) from None
                if any(tile.offset >= size for tile in getattr(picture, "tile", ())):
                    raise SourceError(f"is cut short: its pixels begin beyond its {size} bytes")
                yield picture


def channels_of(picture: Picture) -> tuple[int, bool]:
    """Channels of an opened picture, and whether it marks pixels as transparent."""
    if picture.mode not in _CHANNELS:
        raise SourceError(
            f"its pixels are of pillow's mode {picture.mode!r}; known are {', '.join(_CHANNELS)}"
        )
    return _CHANNELS[picture.mode], picture.mode in _ALPHA or "transparency" in picture.info


def decoded_picture(picture: Picture) -> Pixels:
    """Decode a picture: uint8 (y, x, channels) as stored, and where alpha is not 0."""
    channels, transparent = channels_of(picture)
    picture.load()
    if transparent:
        both: NDArray[Any] = np.asarray(picture.convert("LA" if channels == 1 else "RGBA"))
        return Pixels(both[..., :-1], both[..., -1] != 0)
    if picture.mode not in {"1", "L", "RGB"}:
        picture = picture.convert("RGB")
    values = np.asarray(picture, dtype=np.uint8)
    return Pixels(values.reshape(*values.shape[:2], channels))
