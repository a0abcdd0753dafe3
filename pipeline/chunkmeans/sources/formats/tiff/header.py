"""From the tags of a TIFF to everything that is needed to decode boxes of it.

tifffile parses. It logs a warning where this project has to refuse a file, so what it finds is
checked here, and turned into values that hold no open file.
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
from chunkmeans.sources.decode.orientation import Orientation
from chunkmeans.sources.files.byte_ranges import file_fingerprint, open_file
from chunkmeans.sources.files.paths import is_url
from chunkmeans.sources.formats.tiff import tags as geotags
from chunkmeans.sources.formats.tiff.axes import COLUMNS, DEPTH, ROWS, SeriesLayout, series_layout
from chunkmeans.sources.formats.tiff.colour import colour_of
from chunkmeans.sources.formats.tiff.directories import FORMATS, check_directories
from chunkmeans.sources.formats.tiff.pages import PageFile, segments_of
from chunkmeans.sources.formats.tiff.segments import Segments, joined_strips
from chunkmeans.sources.warnings import collecting_warnings

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


_OTHER_FORMATS = {
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
"""What a file that is no TIFF may be, by its first bytes."""


@dataclass(frozen=True)
class TiffHeader:
    """One series and level of a TIFF, ready to be decoded; holds no open file."""

    info: ImageInfo
    """Of the upright image, all channels."""
    layout: SeriesLayout
    """What the stored axes mean, and how the stored rows and columns lie."""
    colour: Colour
    """What the samples of a pixel mean."""
    segments: Segments
    """Where the pixels are."""
    mask: Segments | None
    """Where the inner mask is, if the file has one: one page of the same rows and columns."""
    fingerprints: tuple[tuple[str, str], ...]
    """Path and fingerprint of each file that holds pages."""


@dataclass(frozen=True)
class _Asked:
    """The image of an open TIFF that is requested."""

    file: PageFile
    series: Sequence[Any]
    """All of the file, masks too."""
    index: int
    """Of the image among those that are no masks."""
    base: Any
    """Its series, at full size."""
    level: Any
    """Its requested level."""

    @property
    def tags(self) -> Any:
        """Tifffile's tags of the first page at full size."""
        return self.base.keyframe.tags


def read_tiff_header(path: str, options: ReadOptions) -> TiffHeader:
    """Read the header of a TIFF: no pixel is decoded.

    Raises
    ------
    SourceError
        If the file is no TIFF, is cut short or damaged, or holds what cannot be segmented.
    """
    with collecting_warnings() as found, open_file(path, options.storage_options) as file:
        _check_first_bytes(file)
        check_directories(file, options.limits)
        file.seek(0)
        source: Any = file if is_url(path) else path
        with tifffile.TiffFile(source, name=PurePath(path).name) as tif:
            if not len(tif.pages):
                raise SourceError(f"no page can be found in it: {'; '.join(found) or 'no reason'}")
            series = tif.series
            _refuse_damage(found)
            header = _header(_choose(PageFile(path, options, tif), series))
            _refuse_damage(found)
    warnings = tuple(m for m in found if not _OWN.search(m))
    info = header.info
    return replace(header, info=replace(info, warnings=(*info.warnings, *warnings)))


def _refuse_damage(logged: Collection[str]) -> None:
    """Raise `SourceError` if tifffile logged that something is not where it should be."""
    for message in logged:
        if not _HARMLESS.search(message):
            raise SourceError(f"the file is damaged or cut short: {message}")


def _check_first_bytes(file: BinaryIO) -> None:
    """Raise `SourceError` unless the file begins as a TIFF does."""
    first = file.read(16)
    if not first:
        raise SourceError("the file is empty (0 bytes)")
    if first[:4] not in FORMATS:
        kinds = (kind for start, kind in _OTHER_FORMATS.items() if first.startswith(start))
        which = next((f", which is {kind}" for kind in kinds), "")
        raise SourceError(f"this is no TIFF: it begins with {first!r}{which}")


def _choose(file: PageFile, series: Sequence[Any]) -> _Asked:
    """Return the image that the options name."""
    images = [s for s in series if not _is_mask(s.keyframe)] or list(series)
    index = file.options.series
    base = _chosen(images, index, "series", "images")
    level = _chosen(base.levels, file.options.level, "level", "levels")
    return _Asked(file, series, index, base, level)


def _chosen(items: Sequence[Any], index: int, what: str, plural: str) -> Any:
    """Return `items[index]`; an error with their number if it is not among them."""
    if not 0 <= index < len(items):
        raise SourceError(f"{what} {index} is chosen, the file has {len(items)} {plural}, from 0")
    return items[index]


def _header(asked: _Asked) -> TiffHeader:
    """Return what it takes to decode an image of an open file."""
    options, level = asked.file.options, asked.level
    page = level.keyframe
    dtype = _dtype(level)
    layout = series_layout(level.axes, level.shape, page.shaped, options.axes)
    missing, warnings = _missing(asked, dtype)
    fill = 0 if missing is None else missing
    segments = segments_of(asked.file, level, dtype, fill)
    fingerprints = tuple((f, file_fingerprint(f, options.storage_options)) for f in segments.files)
    sizes = [_size(file, options) for file in segments.files]
    segments.check(sizes, options.limits)
    if not segments.offsets.any():
        warnings.append(f"no pixel was ever written to it; all read as {fill}")
    colour = colour_of(page, dtype, missing, layout.sample_axis is not None)
    orientation = Orientation.from_tag(int(asked.tags.valueof(274) or 1))
    if orientation.upright or layout.pages_lie_flat:
        layout = replace(layout, orientation=orientation)
    else:
        warnings.append("the Orientation tag is ignored: rows and columns are not y and x")
    mask, reason = _mask(asked)
    if mask is not None:
        mask.check(sizes, options.limits)
    channels = colour.channels * layout.channel_pages
    scale = _scale(asked, layout)
    info = ImageInfo(
        axes=layout.axes,
        shape=layout.shape,
        channels=channels,
        dtype=colour.channel_dtype,
        chunks=layout.upright(_chunks(layout, segments)),
        undivided=segments.undivided,
        nodata=() if missing is None or colour.converts else (colour.inverted(missing),),
        alpha=colour.masks or mask is not None,
        tags=geotags.carried(asked.tags),
        warnings=(*warnings, *reason),
        pixel_size=tuple(length for length, _ in scale),
        units=tuple(unit for _, unit in scale),
        channel_names=_names(asked, channels),
    )
    return TiffHeader(info, layout, colour, joined_strips(segments), mask, fingerprints)


def _is_mask(page: Any) -> bool:
    """Whether a page is a transparency mask of another one."""
    return bool(int(page.subfiletype) & _MASK_PAGE) or int(page.photometric) == _MASK_PAGE


def _dtype(level: Any) -> np.dtype[Any]:
    """Return the type of a stored number; bits become uint8."""
    page = level.keyframe
    if 0 in page.shaped or 0 in level.shape:
        raise SourceError(f"the image is empty: its shape is {level.shape}")
    if level.transform is not None:
        raise SourceError(f"a TIFF of kind {level.kind!r} stores coded values; convert it first")
    if page.dtype is None:
        raise SourceError(
            f"{page.bitspersample}-bit numbers of sample format {page.sampleformat!r} "
            "cannot be read; convert the file first"
        )
    return pixel_dtype(page.dtype)


def _missing(asked: _Asked, dtype: np.dtype[Any]) -> tuple[float | int | None, list[str]]:
    """Return the stored number that means no data, if any, and a warning where it is none."""
    text = asked.tags.valueof(42113)
    try:
        return None if text is None else geotags.gdal_nodata(str(text), dtype), []
    except ValueError:
        return None, [f"GDAL_NODATA is {text!r}, which is no number; it is ignored"]


def _mask(asked: _Asked) -> tuple[Segments | None, list[str]]:
    """Return the mask page of the image, and a warning where one cannot be used."""
    image = asked.level
    page = image.keyframe
    masks = [level for s in asked.series if _is_mask(s.keyframe) for level in s.levels]
    if not masks or _is_mask(page):
        return None, []
    shaped = (1, 1, page.imagelength, page.imagewidth, 1)
    fitting = [mask for mask in masks if mask.keyframe.shaped == shaped]
    if len(fitting) != 1 or len(fitting[0]) != 1 or len(image) != 1 or page.imagedepth != 1:
        found = ", ".join(str(mask.shape) for mask in masks)
        return None, [f"inner masks {found} do not belong to one page of {page.shape}: ignored"]
    return segments_of(asked.file, fitting[0], _dtype(fitting[0]), 0), []


def _size(path: str, options: ReadOptions) -> int:
    """Bytes of a file."""
    with open_file(path, options.storage_options) as file:
        return file.seek(0, 2)


def _chunks(layout: SeriesLayout, segments: Segments) -> list[int]:
    """Pixels along each stored axis of the image of what is decoded at once."""
    edges = dict(zip((DEPTH, ROWS, COLUMNS), segments.smallest, strict=True))
    of_axis = {layout.letters[layout.leading + i]: edge for i, edge in edges.items()}
    lengths = zip(layout.axes, layout.stored_shape, strict=True)
    return [min(length, of_axis.get(axis, 1)) for axis, length in lengths]


def _scale(asked: _Asked, layout: SeriesLayout) -> tuple[tuple[float, str], ...]:
    """Return length and unit of a pixel of the level, by the most exact of what the file holds."""
    tif, page, level = asked.file.tif, asked.base.keyframe, asked.level.keyframe
    scale: geotags.Scale = {}
    if (pixels := _ome_pixels(asked)) is not None:
        scale = geotags.ome_scale(pixels)
    elif asked.base.kind != "ome" and tif.is_imagej and tif.imagej_metadata:
        scale = geotags.imagej_scale(page.tags, tif.imagej_metadata)
    scale = scale or geotags.geo_scale(page.tags) or geotags.resolution_scale(page.tags)
    if not {"y", "x"} <= set(scale):
        return ()
    scale["y"] = (scale["y"][0] * (page.imagelength / level.imagelength), scale["y"][1])
    scale["x"] = (scale["x"][0] * (page.imagewidth / level.imagewidth), scale["x"][1])
    return layout.upright([scale.get(axis, (1.0, "")) for axis in layout.axes])


def _ome_pixels(asked: _Asked) -> Any:
    """Return the OME-XML of the image; None where there is none, or which it is is not clear."""
    if asked.base.kind != "ome":
        return None
    found = geotags.ome_images(asked.file.tif.ome_metadata)
    return found[asked.index] if len(found) == len(asked.file.tif.series) else None


def _names(asked: _Asked, channels: int) -> tuple[str, ...]:
    """Return the names of the channels if the file names each of them."""
    names: tuple[str, ...] = ()
    if (pixels := _ome_pixels(asked)) is not None:
        names = geotags.ome_channel_names(pixels)
    elif (text := asked.tags.valueof(42112)) is not None:
        names = geotags.band_names(str(text), channels)
    return names if len(names) == channels == len(set(names)) else ()
