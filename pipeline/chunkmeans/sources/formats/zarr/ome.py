"""OME-Zarr's metadata (0.4 and 0.5) of an image. Attributes in, values out; no I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chunkmeans.errors import SourceError
from chunkmeans.sources.decode.axes import axes_of_names

_BY_TYPE = {"channel": "c", "time": "t"}


@dataclass(frozen=True)
class OmeLevel:
    """One array of a multiscale image, and its metadata."""

    path: str
    """Where the array is, from the group that holds the metadata."""
    axes: str | None = None
    """One letter of ``tzyxc`` per stored axis; None: unknown."""
    scale: tuple[float, ...] = ()
    """Length of a pixel along each stored axis, or nothing."""
    units: tuple[str, ...] = ()
    """Unit of `scale` along each stored axis, or nothing."""
    channel_names: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def multiscale_level(attributes: Mapping[str, Any], series: int, level: int) -> OmeLevel | None:
    """Return the requested level of a group's multiscale image; None: the group has no such image.

    Raises
    ------
    SourceError
        If the group is a plate or a list of labels, `series` or `level` is out of range, or the
        metadata are not valid OME-Zarr.
    """
    ome = attributes.get("ome", attributes)
    if not isinstance(ome, Mapping):
        raise SourceError("its OME metadata are not a map")
    multiscales = ome.get("multiscales")
    if multiscales is None:
        _refuse_other_kinds(ome)
        return None
    image = _pick(multiscales, series, "series", "multiscales")
    dataset = _pick(image.get("datasets", ()), level, "level", "levels")
    path = dataset.get("path")
    if not isinstance(path, str) or path.startswith("/") or ".." in path.split("/"):
        raise SourceError(f"its OME metadata name level {level} {path!r}, not a path inside it")
    axes = image.get("axes") or ()
    whole, own = _scale(image), _scale(dataset)  # either may be missing
    scale = tuple(p * q for p, q in zip(whole, own, strict=True)) if whole and own else whole or own
    return OmeLevel(
        path=path,
        axes=_letters(axes),
        scale=scale if len(scale) == len(axes) else (),
        units=tuple(a.get("unit") or "" if isinstance(a, Mapping) else "" for a in axes),
        channel_names=_channel_names(ome.get("omero")),
        warnings=("these are labels (image-label), not an image",) if "image-label" in ome else (),
    )


def _refuse_other_kinds(ome: Mapping[str, Any]) -> None:
    """Refuse a group of OME-Zarr that is no image, by what it is."""
    if "labels" in ome:
        raise SourceError(f"is a group of labels {ome['labels']}, not an image")
    if "plate" in ome:
        wells = [w.get("path", "") for w in ome["plate"].get("wells", ())]
        raise SourceError(
            f"is a plate of {len(wells)} wells, not one image; name the images in it, such as "
            f"{(wells or ['A/1'])[0]}/0"
        )
    if "well" in ome:
        fields = [i.get("path", "") for i in ome["well"].get("images", ())]
        raise SourceError(f"is a well, not one image; name an image in it: {', '.join(fields)}")


def _pick(items: Any, index: int, what: str, where: str) -> Mapping[str, Any]:
    """Return the map at `index` of a list of maps."""
    if not isinstance(items, Sequence) or not all(isinstance(i, Mapping) for i in items):
        raise SourceError(f"its OME metadata hold no list of {where}")
    if not 0 <= index < len(items):
        raise SourceError(
            f"{what} {index} is out of range, the image has {len(items)} {where} "
            f"(0 to {len(items) - 1})"
        )
    chosen: Mapping[str, Any] = items[index]
    return chosen


def _letters(axes: Sequence[Any]) -> str | None:
    """Axes as letters; the type of an axis counts more than its name."""
    maps = ({"name": axis} if isinstance(axis, str) else axis for axis in axes)
    names = [_BY_TYPE.get(a.get("type", ""), str(a.get("name", ""))) for a in maps]
    letters = axes_of_names(names)
    if names and letters is None:
        raise SourceError(
            f"its axes {names} do not make an image; set images.axes, "
            "a letter of t z y x c for each"
        )
    return letters


def _scale(holder: Mapping[str, Any]) -> tuple[float, ...]:
    """Scale among the coordinate transformations of a dataset or an image."""
    for transform in holder.get("coordinateTransformations") or ():
        if transform.get("type") == "scale" and "scale" in transform:
            return tuple(float(s) for s in transform["scale"])
    return ()


def _channel_names(omero: Any) -> tuple[str, ...]:
    """Channel labels of the ``omero`` block, if every channel has one."""
    channels = omero.get("channels", ()) if isinstance(omero, Mapping) else ()
    names = tuple(str(c.get("label") or "") for c in channels)
    return names if all(names) else ()
