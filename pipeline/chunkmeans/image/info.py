"""What an image is before any pixel of it is decoded, and what a box of it holds after."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ImageInfo:
    """Everything that a run needs of an image before its pixels, from its header alone.

    An image has axes of samples (some of ``t z y x``, in that order) and, apart from them,
    channels: a sample is the vector of its channels. A grey image has one channel.
    """

    axes: str
    """One letter per axis of `shape`, of ``tzyx``, ending in ``yx``."""
    shape: tuple[int, ...]
    """Pixels along each axis; channels are not among them."""
    channels: int
    """Numbers per pixel, at least 1; alpha is not counted."""
    dtype: np.dtype[Any]
    """Type of a number, in the machine's byte order: bool is uint8; no complex, no objects."""
    chunks: tuple[int, ...]
    """Pixels per axis of the smallest box that decodes without waste: a tile, a strip, a chunk."""
    undivided: int = field(default=0, compare=False)
    """Bytes that a process takes, once, to decode all pixels where no part of them can be decoded
    by itself; 0: `chunks` can. No more than an estimate, by the size of the file."""
    channel_names: tuple[str, ...] = ()
    """A name per channel, or none at all."""
    nodata: tuple[float | int, ...] = ()
    """Empty: none. One number: a pixel is invalid where all channels equal it (NaN: any channel
    is NaN). One per channel: a pixel is invalid where any channel equals its own."""
    alpha: bool = False
    """Whether the file itself marks invalid pixels (alpha, an inner mask)."""
    pixel_size: tuple[float, ...] = ()
    """Length of a pixel along each axis, or none."""
    units: tuple[str, ...] = ()
    """Unit of `pixel_size` along each axis in OME's words (micrometer, second), "" if unknown."""
    tags: Mapping[str, Any] = field(default_factory=dict)
    """Georeferencing as found, JSON values by tag name; copied into results."""
    warnings: tuple[str, ...] = ()
    """What the reader found odd and a user should know; makes the image's state ``warned``."""

    @property
    def pixels(self) -> int:
        """Number of pixels."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of all decoded pixels."""
        return self.pixels * self.channels * self.dtype.itemsize


@dataclass(frozen=True, slots=True)
class Pixels:
    """The decoded pixels of a box."""

    values: NDArray[Any]
    """Numbers, box shape + (channels,), C order not promised."""
    valid: NDArray[np.bool_] | None = None
    """Where the file says that a pixel counts, box shape; None: everywhere."""
