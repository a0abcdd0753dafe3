"""Pictures that can only be decoded as a whole: PNG, JPEG, WebP, BMP, GIF."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL.Image import Exif

from chunkmeans.errors import SourceError
from chunkmeans.image.grid import Box
from chunkmeans.image.info import ImageInfo, Pixels
from chunkmeans.sources.base import Image, ReadOptions, check_limit
from chunkmeans.sources.decode.cache import PICTURES
from chunkmeans.sources.decode.colour import pick_last
from chunkmeans.sources.decode.orientation import UPRIGHT, Orientation

_PILLOW = 16
"""Bytes of a pixel, at most, while pillow decodes it: its own four, and what they turn into."""
_ORIENTATION = 274


class WholeImage(Image):
    """A picture whose file has to be decoded as a whole, even for a small box."""

    @abstractmethod
    def load(self) -> Pixels:
        """Decode the whole picture, upright, all channels."""

    def decode(self, box: Box, channels: Sequence[int]) -> Pixels:
        """Cut a box out of the picture."""
        key = (self.path, self.options.series, self.fingerprint())
        last = box.stop == self._region.stop
        picture = PICTURES.get(key, self._loaded, self.stored.undivided, last=last)
        values = pick_last(picture.values[box.slices], channels).copy()
        valid = None if picture.valid is None else picture.valid[box.slices].copy()
        return Pixels(values, valid)

    def _loaded(self) -> Pixels:
        """Decode the whole picture and check it against its header."""
        pixels = self.load()
        promised = (*self.stored.shape, self.stored.channels)
        if pixels.values.shape != promised:
            raise SourceError(
                f"decoded {pixels.values.shape} where the header promises {promised}; "
                "the file is damaged"
            )
        return pixels


def picture_info(
    options: ReadOptions,
    size: tuple[int, int],
    channels: int,
    orientation: Orientation,
    undivided: int | None = None,
    **more: Any,
) -> ImageInfo:
    """Describe a picture as it is upright.

    Parameters
    ----------
    options
        ``images.axes`` of them, which must be the only axes that such a file can have, and
        ``images.limits``.
    size
        Stored rows and columns.
    channels
        Numbers per pixel, without alpha.
    orientation
        How the stored picture is shown.
    undivided
        Bytes that it takes to decode the picture; None: what pillow takes.
    more
        Further fields of `ImageInfo`; numbers are uint8 unless they say otherwise.

    Raises
    ------
    SourceError
        If the axes are others than those of the file, or it promises no or too many pixels.
    """
    height, width = size
    axes = options.axes
    stored = "yx" if channels == 1 else "yxc"
    if axes is not None and axes.lower().replace("s", "c") != stored:
        raise SourceError(
            f"images.axes is {axes!r}, but this file has the axes {stored} ({height} x {width} "
            f"pixels of {channels} channel{'s' if channels > 1 else ''}), and no others can be "
            f"read from it; leave images.axes out for it"
        )
    if height < 1 or width < 1:
        raise SourceError(f"its header promises {width} x {height} pixels")
    what = f"its header promises {width} x {height} pixels, to be decoded at once"
    check_limit(options.limits, "piece", height * width, what)
    shape = orientation.swap(size)
    return ImageInfo(
        axes="yx",
        shape=shape,
        channels=channels,
        chunks=shape,
        undivided=height * width * _PILLOW if undivided is None else undivided,
        **{"dtype": np.dtype(np.uint8), **more},
    )


def exif_orientation(exif: bytes) -> tuple[Orientation, tuple[str, ...]]:
    """Orientation of EXIF data, upright if they hold none, and a warning if they are broken."""
    found = Exif()
    try:
        found.load(exif)
        return Orientation.from_tag(int(found.get(_ORIENTATION) or 0)), ()
    except Exception as error:  # whatever broken bytes make pillow raise
        return UPRIGHT, (f"its EXIF data cannot be read ({error}); it is taken as upright",)


def upright(pixels: Pixels, orientation: Orientation) -> Pixels:
    """Return a stored picture as it is shown."""
    valid = pixels.valid
    return Pixels(
        orientation.make_upright(pixels.values, 0, 1),
        None if valid is None else orientation.make_upright(valid, 0, 1),
    )
