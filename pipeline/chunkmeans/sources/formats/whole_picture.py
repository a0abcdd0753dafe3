"""Pictures that can only be decoded as a whole: PNG, JPEG, WebP, BMP, GIF."""

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
from PIL.Image import Exif

from chunkmeans.errors import SourceError
from chunkmeans.image.grid import Box
from chunkmeans.image.info import ImageInfo, Pixels
from chunkmeans.sources.base import Image, ReadOptions, within
from chunkmeans.sources.decode.cache import KEPT
from chunkmeans.sources.decode.orientation import UPRIGHT, Orientation
from chunkmeans.sources.files.byte_ranges import stamp

PILLOW = 16
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
        picture = KEPT.get(key, self._loaded, self.stored.undivided, last=last)
        values = picture.values[box.slices]
        if list(channels) != list(range(values.shape[-1])):
            values = values[..., list(channels)]
        valid = None if picture.valid is None else picture.valid[box.slices].copy()
        return Pixels(values.copy(), valid)

    def _loaded(self) -> Pixels:
        """Decode the whole picture and hold it against its header."""
        pixels = self.load()
        promised = (*self.stored.shape, self.stored.channels)
        if pixels.values.shape != promised:
            raise SourceError(
                f"decoded {pixels.values.shape} where the header promises {promised}; "
                "the file is damaged"
            )
        return pixels

    def fingerprint(self) -> str:
        """Size and time of change, or the version that the store gives."""
        with self.naming("cannot be opened"):
            return stamp(self.path, self.options.storage_options)


def picture_info(
    height: int,
    width: int,
    channels: int,
    *,
    dtype: str = "uint8",
    alpha: bool = False,
    options: ReadOptions,
    orientation: Orientation = UPRIGHT,
    warnings: tuple[str, ...] = (),
    undivided: int | None = None,
) -> ImageInfo:
    """Describe a picture of `height` x `width` stored pixels, as it is upright.

    Parameters
    ----------
    options
        ``images.axes`` of them: such a file leaves no choice, so that it can only be asked what
        is so; and ``images.limits``.
    undivided
        Bytes it takes to decode the picture; None: what pillow takes.

    Raises
    ------
    SourceError
        If the axes are others than those of the file, or it promises no or too many pixels.
    """
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
    within(options.limits, "piece", height * width, what)
    shape = orientation.swap((height, width))
    return ImageInfo(
        axes="yx",
        shape=shape,
        channels=channels,
        dtype=np.dtype(dtype),
        chunks=shape,
        undivided=height * width * PILLOW if undivided is None else undivided,
        alpha=alpha,
        warnings=warnings,
    )


def exif_orientation(exif: bytes) -> tuple[Orientation, tuple[str, ...]]:
    """Orientation of EXIF data, upright if they do not say, and a warning if they are broken."""
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
        orientation.turn(pixels.values, 0, 1),
        None if valid is None else orientation.turn(valid, 0, 1),
    )
