"""From the tags of a TIFF to everything that is needed to decode boxes of it.

tifffile parses; here its findings are checked, because it logs where this project has to refuse,
and turned into values that hold no open file.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any, BinaryIO

import numpy as np
import tifffile

from chunkmeans.errors import SourceError
from chunkmeans.image.info import ImageInfo
from chunkmeans.sources.base import ReadOptions
from chunkmeans.sources.decode.colour import Colour
from chunkmeans.sources.decode.dtypes import pixel_dtype
from chunkmeans.sources.decode.orientation import UPRIGHT, Orientation
from chunkmeans.sources.files.byte_ranges import open_file, stamp
from chunkmeans.sources.files.paths import is_url
from chunkmeans.sources.formats.tiff import tags as geotags
from chunkmeans.sources.formats.tiff.axes import COLUMNS, DEPTH, ROWS, Layout, layout
from chunkmeans.sources.formats.tiff.colour import colour_of
from chunkmeans.sources.formats.tiff.directories import check_directories
from chunkmeans.sources.formats.tiff.pages import segments_of
from chunkmeans.sources.formats.tiff.segments import Segments, joined
from chunkmeans.sources.warnings import hearing

_MASK_PAGE = 4
"""NewSubfileType's bit, and PhotometricInterpretation's value, of a transparency mask."""

_HARMLESS = re.compile(
    r"is not a valid [A-Z]|GDAL_NODATA|GeoKeyDirectoryTag|imagej_metadata|uic1tag|"
    r"StripByteCounts count|StripOffsets count|does not match page shape|"
    r"coercing invalid ASCII|ignoring predictor|"
    r"not stitched|focal planes|unknown order|OME series expected|invalid self.subfiletype|"
    r"estimating ByteCounts"
)
"""What tifffile logs of files whose pixels are nevertheless there: their number is checked."""

_OWN = re.compile(
    r"GDAL_NODATA|EXTRASAMPLE|StripByteCounts count|StripOffsets count|estimating ByteCounts"
)
"""What it logs that is decided here anew, and so no warning of the image."""


@dataclass(frozen=True)
class Header:
    """One series and level of a TIFF, ready to be decoded; holds no open file."""

    info: ImageInfo
    """Of the upright image, all channels."""
    layout: Layout
    """What the stored axes mean."""
    colour: Colour
    """What the samples of a pixel mean."""
    orientation: Orientation
    """How the stored rows and columns lie."""
    segments: Segments
    """Where the pixels are."""
    mask: Segments | None
    """Where the inner mask is, if the file has one: one page of the same rows and columns."""
    stamps: tuple[tuple[str, str], ...]
    """Path and stamp of each file that holds pages."""


def parse(path: str, options: ReadOptions) -> Header:
    """Read the header of a TIFF: no pixel is decoded.

    Raises
    ------
    SourceError
        If the file is no TIFF, is cut short or damaged, or holds what cannot be segmented.
    """
    with hearing() as heard, open_file(path, options.storage_options) as file:
        _check_first_bytes(file)
        check_directories(file, options.limits)
        file.seek(0)
        source: Any = file if is_url(path) else path
        with tifffile.TiffFile(source, name=PurePath(path).name) as tif:
            if not len(tif.pages):
                raise SourceError(f"no page can be found in it: {'; '.join(heard) or 'no reason'}")
            series = tif.series
            _refuse_damage(heard)
            header = _header(path, options, tif, series)
            _refuse_damage(heard)
    warnings = tuple(m for m in heard if not _OWN.search(m))
    info = header.info
    return replace(header, info=replace(info, warnings=(*info.warnings, *warnings)))


def _refuse_damage(heard: Collection[str]) -> None:
    """Raise `SourceError` if tifffile logged that something is not where it should be."""
    for message in heard:
        if not _HARMLESS.search(message):
            raise SourceError(f"the file is damaged or cut short: {message}")


def _check_first_bytes(file: BinaryIO) -> None:
    """Raise `SourceError` unless the file begins as a TIFF does."""
    first = file.read(16)
    if not first:
        raise SourceError("the file is empty (0 bytes)")
    if first[:4] not in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        known = {
            b"\xff\xd8\xff": "a JPEG",
            b"\x89PNG": "a PNG",
            b"GIF8": "a GIF",
            b"BM": "a BMP",
            b"RIFF": "a WebP or another RIFF file",
            b"%PDF": "a PDF",
            b"PK\x03\x04": "a zip archive",
            b"\x1f\x8b": "gzip data",
            b"\x93NUMPY": "a NumPy file",
        }
        names = [f", which is {name}" for start, name in known.items() if first.startswith(start)]
        raise SourceError(f"this is no TIFF: it begins with {first!r}{''.join(names)}")


def _header(path: str, options: ReadOptions, tif: Any, all_series: Sequence[Any]) -> Header:
    """Return the asked series and level of an open file."""
    images = [s for s in all_series if not _is_mask(s.keyframe)] or list(all_series)
    base = _chosen(images, options.series, "series", "images")
    level = _chosen(base.levels, options.level, "level", "levels")
    page = level.keyframe
    if 0 in page.shaped or 0 in level.shape:
        raise SourceError(f"the image is empty: its shape is {level.shape}")
    dtype = _dtype(page)
    if level.transform is not None:
        raise SourceError(f"a TIFF of kind {level.kind!r} stores coded values; convert it first")
    places = layout(level.axes, level.shape, page.shaped, options.axes)
    warnings = []
    missing = None
    if (text := base.keyframe.tags.valueof(42113)) is not None:
        try:
            missing = geotags.nodata(str(text), dtype)
        except ValueError:
            warnings.append(f"GDAL_NODATA is {text!r}, which is no number; it is ignored")
    fill = missing if missing is not None else 0
    segments = segments_of(path, options, tif, level, dtype, fill)
    stamps = tuple((file, stamp(file, options.storage_options)) for file in segments.files)
    sizes = [_size(file, options) for file in segments.files]
    segments.check(sizes, options.limits)
    if not segments.offsets.any():
        warnings.append(f"no pixel was ever written to it; all read as {fill}")
    colour = colour_of(page, dtype, missing, places.sample_axis is not None)
    orientation = Orientation.from_tag(int(base.keyframe.tags.valueof(274) or 1))
    if not orientation.upright and not places.pages_lie_flat:
        warnings.append("the Orientation tag is ignored: rows and columns are not y and x")
        orientation = UPRIGHT
    mask, reason = _mask(path, options, tif, all_series, level)
    if mask is not None:
        mask.check(sizes, options.limits)
    warnings += reason
    info = ImageInfo(
        axes=places.axes,
        shape=_upright(places, orientation, places.shape),
        channels=colour.channels * _other_channels(places),
        dtype=colour.channel_dtype,
        chunks=_upright(places, orientation, _chunks(places, segments)),
        undivided=segments.undivided,
        nodata=() if missing is None or colour.converts else (colour.turned(missing),),
        alpha=colour.masks or mask is not None,
        tags=geotags.carried(base.keyframe.tags),
        warnings=tuple(warnings),
        **_scale(tif, base, level, images.index(base), places, orientation),
        channel_names=_names(
            tif, base, images.index(base), colour.channels * _other_channels(places)
        ),
    )
    return Header(info, places, colour, orientation, joined(segments), mask, stamps)


def _is_mask(page: Any) -> bool:
    """Whether a page is a transparency mask of another one."""
    return bool(int(page.subfiletype) & _MASK_PAGE) or int(page.photometric) == _MASK_PAGE


def _chosen(items: Sequence[Any], index: int, what: str, plural: str) -> Any:
    """Return `items[index]`; say how many there are if it is not among them."""
    if not 0 <= index < len(items):
        raise SourceError(f"{what} {index} is asked, the file has {len(items)} {plural}, from 0")
    return items[index]


def _dtype(page: Any) -> np.dtype[Any]:
    """Return the type of a stored number; bits become uint8."""
    if page.dtype is None:
        raise SourceError(
            f"{page.bitspersample}-bit numbers of sample format {page.sampleformat!r} "
            "cannot be read; convert the file first"
        )
    return pixel_dtype(page.dtype)


def _mask(
    path: str, options: ReadOptions, tif: Any, all_series: Sequence[Any], image: Any
) -> tuple[Segments | None, list[str]]:
    """Return the mask page that belongs to `image`, and a warning where one cannot be used."""
    if _is_mask(image.keyframe):
        return None, []
    page = image.keyframe
    masks = [level for s in all_series if _is_mask(s.keyframe) for level in s.levels]
    fitting = [
        m for m in masks if m.keyframe.shaped == (1, 1, page.imagelength, page.imagewidth, 1)
    ]
    if not masks:
        return None, []
    if len(fitting) != 1 or len(fitting[0]) != 1 or len(image) != 1 or page.imagedepth != 1:
        found = ", ".join(str(m.shape) for m in masks)
        return None, [f"inner masks {found} do not belong to one page of {page.shape}: ignored"]
    return segments_of(path, options, tif, fitting[0], _dtype(fitting[0].keyframe), 0), []


def _size(path: str, options: ReadOptions) -> int:
    """Bytes of a file."""
    with open_file(path, options.storage_options) as file:
        return file.seek(0, 2)


def _other_channels(places: Layout) -> int:
    """Return the number of channels that pages, not samples, make up."""
    return 1 if places.channel_axis is None else places.sizes[places.channel_axis]


def _upright(places: Layout, orientation: Orientation, stored: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return values per axis of the stored image for the upright one."""
    values = dict(zip(places.axes, stored, strict=True))
    values["y"], values["x"] = orientation.swap((values["y"], values["x"]))
    return tuple(values[axis] for axis in places.axes)


def _chunks(places: Layout, segments: Segments) -> tuple[int, ...]:
    """Pixels along each axis of the image of what is decoded at once."""
    first = places.leading
    inner = dict(zip((DEPTH, ROWS, COLUMNS), segments.smallest, strict=True))
    chunks = []
    for axis, length in zip(places.axes, places.shape, strict=True):
        stored = places.stored(axis)
        edge = 1 if stored is None else inner.get(stored - first, 1)
        chunks.append(min(length, edge))
    return tuple(chunks)


def _scale(
    tif: Any, base: Any, level: Any, image: int, places: Layout, orientation: Orientation
) -> dict[str, tuple[Any, ...]]:
    """Return `pixel_size` and `units` of the level, by what the file says most exactly."""
    page = base.keyframe
    scale: geotags.Scale = {}
    if base.kind == "ome" and (pixels := _ome_pixels(tif, image)) is not None:
        scale = geotags.ome_scale(pixels)
    elif tif.is_imagej and tif.imagej_metadata:
        scale = geotags.imagej_scale(page.tags, tif.imagej_metadata)
    scale = scale or geotags.geo_scale(page.tags) or geotags.resolution_scale(page.tags)
    if not {"y", "x"} <= set(scale):
        return {}
    down = page.imagelength / level.keyframe.imagelength
    across = page.imagewidth / level.keyframe.imagewidth
    scale["y"] = (scale["y"][0] * down, scale["y"][1])
    scale["x"] = (scale["x"][0] * across, scale["x"][1])
    stored = tuple(scale.get(axis, (1.0, "")) for axis in places.axes)
    found = _upright(places, orientation, stored)
    return {"pixel_size": tuple(s for s, _ in found), "units": tuple(u for _, u in found)}


def _ome_pixels(tif: Any, image: int) -> Any:
    """Return the OME-XML of an image of an OME-TIFF; None where it cannot be told which it is."""
    found = geotags.ome_images(tif.ome_metadata)
    return found[image] if len(found) == len(tif.series) else None


def _names(tif: Any, base: Any, image: int, channels: int) -> tuple[str, ...]:
    """Return the names of the channels if the file names each of them."""
    names: tuple[str, ...] = ()
    if base.kind == "ome" and (pixels := _ome_pixels(tif, image)) is not None:
        names = geotags.ome_channel_names(pixels)
    elif (text := base.keyframe.tags.valueof(42112)) is not None:
        names = geotags.band_names(str(text), channels)
    return names if len(names) == channels == len(set(names)) else ()
