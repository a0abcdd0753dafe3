"""Place, scale, names and missing data from the tags of a TIFF, as JSON values."""

import math
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

import numpy as np
from tifffile import TIFF

_GEO_TAGS = (33550, 33922, 34264, 34735, 34736, 34737, 42112, 42113)
"""Tags of GeoTIFF and GDAL: pixel scale, tie points, transformation, keys, their numbers and texts,
metadata and missing data."""

_LINEAR_UNIT_KEY, _LINEAR_UNITS = 3076, {9001: "meter", 9002: "foot"}
"""GeoTIFF's key of the unit of projected coordinates, and its values that OME has words for."""

_PER_RESOLUTION_UNIT = {2: 25400.0, 3: 10000.0}
"""Micrometers of an inch and a centimeter, by TIFF's ResolutionUnit."""

_UNITS = {
    "µm": "micrometer", "nm": "nanometer", "mm": "millimeter", "cm": "centimeter", "m": "meter",
    "s": "second", "ms": "millisecond",
}  # fmt: skip
"""OME's words for units that ImageJ and OME-XML abbreviate alike."""

Scale = dict[str, tuple[float, str]]
"""Length of a pixel and its unit in OME's words by axis letter."""


def carried(tags: Any) -> dict[str, Any]:
    """Return the georeferencing `tags` (tifffile's) of a page by name, as JSON values."""
    return {TIFF.TAGS[code]: _json(tags.valueof(code)) for code in _GEO_TAGS if code in tags}


def _json(value: Any) -> Any:
    """Return a tag's value as JSON has it."""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, tuple | list):
        return [_json(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def gdal_nodata(text: str, dtype: np.dtype[Any]) -> float | int | None:
    """Return GDAL_NODATA as a pixel of `dtype` would have it; None where no pixel can equal it.

    Raises
    ------
    ValueError
        If `text` is not a number.

    >>> gdal_nodata("-9999", np.dtype("i2")), gdal_nodata("-9999", np.dtype("u1"))
    (-9999, None)
    """
    text = text.strip().rstrip("\0").replace(",", ".")
    if dtype.kind == "f":
        value = float(text)
        with np.errstate(over="ignore"):
            rounded = float(dtype.type(value))
        if math.isinf(rounded) and not math.isinf(value):
            # Decimal forms of the largest float lie a little above it.
            return math.copysign(float(np.finfo(dtype).max), value)
        return rounded
    try:
        whole = int(text)
    except ValueError:
        number = float(text)
        if not number.is_integer():
            return None
        whole = int(number)
    limits = np.iinfo(dtype)
    return whole if limits.min <= whole <= limits.max else None


def geo_scale(tags: Any) -> Scale:
    """Return the length of a pixel from GeoTIFF tags, {} without them or where rotated."""
    scale = tags.valueof(33550)
    matrix = tags.valueof(34264)
    if scale is not None and len(scale) >= 2:
        across, down = float(scale[0]), float(scale[1])
    elif matrix is not None and len(matrix) == 16 and matrix[1] == 0 == matrix[4]:
        across, down = abs(float(matrix[0])), abs(float(matrix[5]))
    else:
        return {}
    if not (across > 0 and down > 0):
        return {}
    keys = list(tags.valueof(34735) or ())
    entries = {keys[i]: keys[i + 3] for i in range(4, len(keys) - 3, 4) if keys[i + 1] == 0}
    unit = _LINEAR_UNITS.get(entries.get(_LINEAR_UNIT_KEY, 0), "")
    return {"y": (down, unit), "x": (across, unit)}


def resolution_scale(tags: Any, unit: str | None = None) -> Scale:
    """Return the length of a pixel from the resolution tags, {} where they have no unit.

    Parameters
    ----------
    tags
        tifffile's tags of a page.
    unit
        Unit of the resolution where a comment gives it (ImageJ); None: ResolutionUnit's.
    """
    factor = 1.0
    if unit is None:
        factor = _PER_RESOLUTION_UNIT.get(int(tags.valueof(296) or 1), 0.0)
        unit = "micrometer"
    found: Scale = {}
    for axis, code in (("y", 283), ("x", 282)):
        value = tags.valueof(code)
        if not isinstance(value, tuple) or len(value) != 2 or not all(value) or not factor:
            return {}
        found[axis] = (factor * value[1] / value[0], unit)
    return found


def imagej_scale(tags: Any, metadata: Mapping[str, Any]) -> Scale:
    """Return the length of a pixel from ImageJ's comment and the resolution tags."""
    words = _UNITS | dict.fromkeys(("micron", "um", "\\u00B5m"), "micrometer") | {"sec": "second"}
    unit = str(metadata.get("unit", ""))
    if not unit or unit == "pixel":
        return {}
    unit = words.get(unit, unit)
    found = resolution_scale(tags, unit)
    spacing, interval = metadata.get("spacing"), metadata.get("finterval")
    if isinstance(spacing, int | float) and spacing:
        found["z"] = (abs(float(spacing)), unit)
    if isinstance(interval, int | float) and interval > 0:
        time = str(metadata.get("tunit", "sec"))
        found["t"] = (float(interval), words.get(time, time))
    return found


def ome_images(xml: str) -> list[ElementTree.Element]:
    """Return the Pixels elements of an OME-XML, one per image."""
    root = ElementTree.fromstring(xml)
    return [e for e in root.iter() if e.tag.rpartition("}")[2] == "Pixels"]


def ome_scale(pixels: ElementTree.Element) -> Scale:
    """Return the length of a pixel, and of a step of time, from an OME Pixels element."""
    words = _UNITS | {"pm": "picometer", "Å": "angstrom", "in": "inch", "min": "minute"}
    words |= {"h": "hour", "pixel": "", "reference frame": ""}
    names = {"x": "PhysicalSizeX", "y": "PhysicalSizeY", "z": "PhysicalSizeZ", "t": "TimeIncrement"}
    found: Scale = {}
    for axis, name in names.items():
        try:
            value = float(pixels.attrib.get(name, "nan"))
        except ValueError:
            continue
        unit = pixels.attrib.get(name + "Unit", "s" if axis == "t" else "µm")
        if value > 0 and math.isfinite(value):
            found[axis] = (value, words.get(unit, unit))
    return found


def ome_channel_names(pixels: ElementTree.Element) -> tuple[str, ...]:
    """Return the names of an OME image's channels, () unless each has one."""
    channels = [e for e in pixels if e.tag.rpartition("}")[2] == "Channel"]
    names = tuple(e.attrib.get("Name", "") for e in channels)
    return names if all(names) else ()


def band_names(gdal_metadata: str, bands: int) -> tuple[str, ...]:
    """Return the descriptions of a GDAL file's bands, () unless each of `bands` has one."""
    try:
        root = ElementTree.fromstring(gdal_metadata)
    except ElementTree.ParseError:
        return ()  # names are a courtesy; the text itself is carried in the tags
    found = {
        item.attrib.get("sample"): item.text or ""
        for item in root.iter("Item")
        if item.attrib.get("role") == "description"
    }
    names = tuple(found.get(str(i), "") for i in range(bands))
    return names if all(names) else ()
