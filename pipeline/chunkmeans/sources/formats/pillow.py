"""JPEG, WebP, BMP and GIF by pillow, and no other format, whatever pillow could open.

Of a file with several frames, `options.series` is the frame.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.Image import Image as Picture
from PIL.JpegImagePlugin import jpeg_factory
from PIL.WebPImagePlugin import WebPImageFile

from chunkmeans.errors import SourceError
from chunkmeans.image.info import ImageInfo, Pixels
from chunkmeans.sources.decode.orientation import Orientation
from chunkmeans.sources.files.byte_ranges import open_file
from chunkmeans.sources.formats.pillow_modes import channels_of, decoded_picture
from chunkmeans.sources.formats.whole_picture import (
    WholeImage,
    exif_orientation,
    picture_info,
    upright,
)

_OPENERS: dict[bytes, Callable[[BinaryIO], Picture]] = {
    b"\xff\xd8\xff": jpeg_factory,
    b"RIFF": WebPImageFile,
    b"GIF8": GifImageFile,
    b"BM": BmpImageFile,
}
"""Classes of pillow by first bytes. Its `open` would try every format it knows, and refuse
pictures above a limit of its own; here the plan checks them against the run's memory."""
_ANIMATED = {"GIF", "WEBP"}


class RasterImage(WholeImage):
    """A picture that pillow decodes."""

    reader = "pillow 1"

    def describe(self) -> ImageInfo:
        """Return what is in the header; no pixel is decoded (but those before a later frame)."""
        self.has_no("level")
        with self._picture() as picture:
            channels, alpha = channels_of(picture)
            orientation, warnings = _orientation(picture)
            several = picture.format in _ANIMATED and getattr(picture, "is_animated", False)
            if several and self.options.series == 0:
                warnings += ("it has several frames; only the first is read (images.series)",)
            size = picture.height, picture.width
            return picture_info(
                self.options, size, channels, orientation, alpha=alpha, warnings=warnings
            )

    def load(self) -> Pixels:
        """Decode the frame."""
        with self._picture() as picture:
            orientation, _ = _orientation(picture)
            return upright(decoded_picture(picture), orientation)

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
                self._seek(picture)
                if any(tile.offset >= size for tile in getattr(picture, "tile", ())):
                    raise SourceError(f"is cut short: its pixels begin beyond its {size} bytes")
                yield picture

    def _seek(self, picture: Picture) -> None:
        """Go to the requested frame."""
        try:
            picture.seek(self.options.series)
        except EOFError:
            frames = getattr(picture, "n_frames", 1)
            raise SourceError(
                f"series {self.options.series} is out of range, the file has {frames} frames "
                f"(0 to {frames - 1})"
            ) from None


def _orientation(picture: Picture) -> tuple[Orientation, tuple[str, ...]]:
    """Orientation by EXIF, and warnings."""
    return exif_orientation(picture.info.get("exif", b""))
