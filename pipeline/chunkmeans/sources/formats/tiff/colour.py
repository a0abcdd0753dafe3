"""What the samples of a TIFF page are, by its photometric tags."""

from typing import Any

import numpy as np

from chunkmeans.errors import SourceError
from chunkmeans.sources.decode.colour import Colour, Encoding, palette_colours
from chunkmeans.sources.formats.tiff.pages import bits_of

_PLAIN = {1, 2, 4, 9, 34892, 51177, 52527}
"""MINISBLACK, RGB, mask, ICC Lab, linear raw, depth map, semantic mask: channels as they are."""

_REFUSED = {
    8: "CIE L*a*b*",
    10: "ITU L*a*b*",
    32803: "an undemosaiced colour filter array (CFA)",
    32844: "CIE Log2(L)",
    32845: "CIE Log2(L)(u',v')",
}
"""Photometric interpretations whose numbers are no intensities side by side."""

_COLOUR_CODECS = {6, 7, 34892, 33007, 34712, 33005, 34933, 34934, 50001, 50002, 52546, 22610, 34927}
"""Compressions whose decoders return RGB where the tag says YCbCr: JPEG, JPEG 2000, WebP, ..."""

_APERIO_YCBCR = 33003
"""JPEG 2000 whose decoder returns luma and chroma, whatever the tag says."""


def colour_of(
    page: Any, dtype: np.dtype[Any], nodata: float | int | None, samples_are_channels: bool
) -> Colour:
    """Return what the samples of a page mean.

    Parameters
    ----------
    page
        tifffile's page.
    dtype
        Type of a stored number.
    nodata
        A stored number that means no data, if any.
    samples_are_channels
        False where a page has one sample, or the user's axes make samples another axis.

    Raises
    ------
    SourceError
        If the interpretation is not one that can be segmented.
    """
    count = int(page.samplesperpixel) if samples_are_channels else 1
    extra = tuple(int(e) for e in page.extrasamples)[:count] if samples_are_channels else ()
    colours = max(1, count - len(extra))
    alpha = tuple(count - len(extra) + i for i, e in enumerate(extra) if e in (1, 2))
    if len(alpha) == count:
        alpha = ()  # a lone plane of alpha is a picture
    encoding = _encoding(page, dtype, colours)
    palette = None
    if encoding == "palette":
        if page.colormap is None:
            raise SourceError("its pixels are palette colours, but it has no palette (ColorMap)")
        palette = palette_colours(np.asarray(page.colormap))
    bits = bits_of(page) or dtype.itemsize * 8
    return Colour(
        encoding=encoding,
        samples=count,
        dtype=dtype,
        alpha=alpha,
        colours=colours,
        top=2**bits - 1,
        palette=palette,
        nodata=nodata,
    )


def _encoding(page: Any, dtype: np.dtype[Any], colours: int) -> Encoding:
    """Return how the colour samples of a page are stored."""
    value = int(page.photometric)
    if 262 not in page.tags and value == 0:
        return "plain"  # tifffile's default is MINISWHITE, a missing tag means nothing
    if page.compression == _APERIO_YCBCR and colours == 3:
        return "ycbcr"
    if value in _PLAIN or (value == 6 and page.compression in _COLOUR_CODECS):
        return "plain"
    if value == 0:
        return "negative" if dtype.kind in "ui" else "plain"
    if value == 3:
        return "palette"
    if value == 5:
        return _inks(page, dtype, colours)
    if value == 6 and colours == 3 and dtype == np.uint8:
        return _luma_and_chroma(page)
    name = _REFUSED.get(value, f"of photometric interpretation {value} and {dtype}")
    raise SourceError(f"its pixels are {name}, which cannot be segmented; convert it to RGB first")


def _inks(page: Any, dtype: np.dtype[Any], colours: int) -> Encoding:
    if int(page.tags.valueof(332) or 1) != 1 or colours != 4:
        return "plain"  # other inks than cyan, magenta, yellow and black
    if dtype.kind != "u":
        raise SourceError(f"CMYK of {dtype} cannot be turned into RGB; convert it first")
    return "cmyk"


def _luma_and_chroma(page: Any) -> Encoding:
    if 532 in page.tags or 529 in page.tags:
        raise SourceError(
            "YCbCr with its own coefficients or black and white is not supported; "
            "convert it to RGB first"
        )
    return "ycbcr"
