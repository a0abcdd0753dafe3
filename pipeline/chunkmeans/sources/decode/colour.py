"""From the samples that a file stores to the channels that users see, the same for all files.

Samples 1 and 2 of TIFF's ExtraSamples are alpha: they mask where they are 0 and are no channels;
other extra samples are channels. Palettes, inks and YCbCr become RGB; white-is-zero is inverted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from chunkmeans.errors import SourceError

Encoding = Literal["plain", "negative", "palette", "cmyk", "ycbcr"]

_STORED = {"palette": 1, "cmyk": 4, "ycbcr": 3}
"""Samples that become three channels, by encoding."""


@dataclass(frozen=True)
class Colour:
    """What the samples of a pixel mean."""

    encoding: Encoding
    """How the first samples are stored; the rest are extra samples."""
    samples: int
    """Numbers stored per pixel."""
    dtype: np.dtype[Any]
    """Type of a stored number."""
    alpha: tuple[int, ...] = ()
    """Samples that mask where they are 0."""
    colours: int = 1
    """Samples that are not extra; only these are inverted where white is zero."""
    top: int = 0
    """The largest number a sample can be, where white is zero."""
    palette: NDArray[Any] | None = None
    """Colours by index, (n, 3)."""
    nodata: float | int | None = None
    """A stored number that means no data, where channels are no longer the samples."""

    @property
    def converts(self) -> bool:
        """Whether the first samples become three channels, red, green and blue."""
        return self.encoding in _STORED

    @cached_property
    def unconverted(self) -> tuple[int, ...]:
        """Samples that are channels as they are (inverted, where white is zero)."""
        first = _STORED[self.encoding] if self.converts else 0
        return tuple(i for i in range(first, self.samples) if i not in self.alpha)

    @property
    def channels(self) -> int:
        """Numbers per pixel after conversion."""
        return len(self.unconverted) + 3 * self.converts

    @property
    def channel_dtype(self) -> np.dtype[Any]:
        """Type of a channel."""
        return self.dtype if self.palette is None else self.palette.dtype

    @property
    def masks(self) -> bool:
        """Whether `apply` may find pixels that are not valid."""
        return bool(self.alpha) or (self.converts and self.nodata is not None)

    def needed(self, channels: Sequence[int]) -> tuple[int, ...]:
        """Return the samples that `channels` are made of, and alpha, ascending."""
        wanted = set(self.alpha)
        if self.converts and (self.nodata is not None or any(c < 3 for c in channels)):
            wanted.update(range(_STORED[self.encoding]))
        first = 3 * self.converts
        wanted.update(self.unconverted[c - first] for c in channels if c >= first)
        return tuple(sorted(wanted))

    def apply(
        self, stored: NDArray[Any], samples: Sequence[int], channels: Sequence[int]
    ) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        """Return the values of `channels` and where they are valid, (..., s) to (..., c) and (...).

        Parameters
        ----------
        stored
            Decoded samples on the last axis.
        samples
            Which samples these are; at least `needed` of `channels`.
        channels
            Which channels to return, in their order.
        """
        at = {sample: i for i, sample in enumerate(samples)}
        valid = self._valid(stored, at)
        if not self.converts:
            chosen = [self.unconverted[c] for c in channels]
            values = pick_last(stored, [at[i] for i in chosen])
            if self.encoding == "negative":
                values = values.copy()
                for i, sample in enumerate(chosen):
                    if sample < self.colours:  # extra samples stay as they are
                        values[..., i] = self.inverted(values[..., i])
            return values, valid
        values = np.empty((*stored.shape[:-1], len(channels)), self.channel_dtype)
        if any(c < 3 for c in channels):
            rgb = self._rgb(pick_last(stored, [at[i] for i in range(_STORED[self.encoding])]))
        for i, c in enumerate(channels):
            values[..., i] = rgb[..., c] if c < 3 else stored[..., at[self.unconverted[c - 3]]]
        return values, valid

    def _valid(self, stored: NDArray[Any], at: Mapping[int, int]) -> NDArray[np.bool_] | None:
        """Return where no alpha is 0 and not all inks are no data; None: everywhere."""
        masks = [stored[..., at[sample]] != 0 for sample in self.alpha]
        if self.converts and self.nodata is not None:
            inks = [stored[..., at[i]] != self.nodata for i in range(_STORED[self.encoding])]
            masks.append(np.logical_or.reduce(inks))
        return np.logical_and.reduce(masks) if masks else None

    def inverted(self, value: Any) -> Any:
        """Return stored numbers (pixels, nodata) as the channels have them."""
        if self.encoding != "negative":
            return value
        return self.top - value if self.dtype.kind == "u" else -1 - value

    def _rgb(self, inks: NDArray[Any]) -> NDArray[Any]:
        """Return red, green and blue of the first samples."""
        if self.palette is not None:
            index = inks[..., 0]
            if index.size and int(index.max()) >= len(self.palette):
                raise SourceError(
                    f"a pixel has colour {int(index.max())}, the palette ends at "
                    f"{len(self.palette) - 1}"
                )
            rgb: NDArray[Any] = self.palette[index]
            return rgb
        return cmyk_to_rgb(inks) if self.encoding == "cmyk" else ycbcr_to_rgb(inks)


def pick_last(values: NDArray[Any], at: Sequence[int]) -> NDArray[Any]:
    """Return the positions `at` of the last axis, as a view where they follow each other."""
    if list(at) == list(range(at[0], at[0] + len(at))):
        return values[..., at[0] : at[0] + len(at)]
    return values[..., list(at)]


def palette_colours(colormap: NDArray[np.uint16]) -> NDArray[Any]:
    """Return a TIFF colour map, (3, n) of 16 bits, as colours (n, 3) of the depth it was made in.

    Writers widen 8 bits to 16 by v * 257 or v * 256 (or wrongly not at all): these become uint8
    again, so that a picture has the same pixels with and without a palette.
    """
    colours = np.ascontiguousarray(colormap.T)
    if colours.max(initial=0) < 256:
        return colours.astype(np.uint8)
    if (((colours >> 8) * 257 == colours) | (colours & 255 == 0)).all():
        return (colours >> 8).astype(np.uint8)
    return colours.astype(np.uint16)


def cmyk_to_rgb(inks: NDArray[Any]) -> NDArray[Any]:
    """Return the RGB of cyan, magenta, yellow and black, (..., 4) to (..., 3), as pillow does.

    Each colour is what the black leaves, less the ink's part of it, rounded to nearest.
    """
    top = np.iinfo(inks.dtype).max
    left = (top - inks[..., 3:]).astype(np.uint64)
    taken = (2 * inks[..., :3].astype(np.uint64) * left + top) // (2 * top)
    return (left - taken).astype(inks.dtype)


def ycbcr_to_rgb(samples: NDArray[Any]) -> NDArray[Any]:
    """Return the RGB of 8-bit luma and chroma, (..., 3), by the coefficients of JPEG."""
    luma, blue, red = (samples[..., i].astype(np.float64) for i in range(3))
    blue -= 128.0
    red -= 128.0
    rgb = np.stack(
        (luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue), axis=-1
    )
    return np.clip(np.rint(rgb), 0, 255).astype(np.uint8)
