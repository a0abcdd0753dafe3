"""From pillow's modes to channels and valid pixels.

Alpha masks where it is 0 and is no channel; palettes and inks become RGB; 1-bit is 0 and 1.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image as Picture

from chunkmeans.errors import SourceError
from chunkmeans.image.info import Pixels

_CHANNELS = {"1": 1, "L": 1, "LA": 1, "P": 3, "PA": 3, "RGB": 3, "RGBA": 3, "CMYK": 3}
_ALPHA = {"LA", "PA", "RGBA"}


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
