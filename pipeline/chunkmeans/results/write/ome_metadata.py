"""Metadata of OME-Zarr 0.5, as napari, ome-zarr-models and yaozarrs want it. No I/O.

The version of the format is a matter of this module alone.
"""

from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkmeans.image.info import ImageInfo
from chunkmeans.kmeans.model import Model
from chunkmeans.kmeans.samples import Floats
from chunkmeans.results.write.layout import LabelLayout

VERSION = "0.5"
MOST_NUMBERS = 65_536
"""Numbers that attributes may hold; more are stored as arrays."""


def channel_axis(axes: str) -> int:
    """Return where the channels stand among the axes of a mean image: after time, if any."""
    return 1 if "t" in axes else 0


def label_metadata(name: str, layout: LabelLayout, info: ImageInfo, model: Model) -> dict[str, Any]:
    """Return the ``ome`` attribute of a label image that stands alone, without its source."""
    colours = label_colours(model.means, info.dtype)
    return {
        "version": VERSION,
        "multiscales": [_multiscale(name, layout, info, channels=False)],
        "image-label": {
            "colors": [
                {"label-value": value, "rgba": rgba}
                for value, rgba in enumerate([[0, 0, 0, 0], *colours.tolist()])
            ],
            "properties": _properties(info, model),
        },
    }


def mean_metadata(name: str, layout: LabelLayout, info: ImageInfo, model: Model) -> dict[str, Any]:
    """Return the ``ome`` attribute of an image whose pixels are the means of their labels."""
    names = info.channel_names or tuple(f"channel {i}" for i in range(info.channels))
    tints = ("FF0000", "00FF00", "0000FF") if info.channels in (2, 3) else ("FFFFFF",)
    channels = []
    for i, label in enumerate(names):
        low, high = _window(model.means[:, i], info.dtype)
        window = {"min": low, "start": low, "end": high, "max": high}
        tint = tints[i % len(tints)]
        channels.append({"label": label, "color": tint, "active": True, "window": window})
    return {
        "version": VERSION,
        "multiscales": [_multiscale(name, layout, info, channels=True)],
        "omero": {"channels": channels},
    }


def label_colours(means: Floats, dtype: np.dtype[Any]) -> NDArray[np.uint8]:
    """Return a colour per label, (k, 4): the segmented picture, as a viewer shows it.

    Three channels or more give red, green and blue; fewer give a grey. Bytes are taken as they
    are, other types are stretched over the range of the means.
    """
    shown = means[:, :3] if means.shape[1] >= 3 else means.mean(axis=1, keepdims=True)
    low, high = _window(shown, dtype)
    # halves, because the range of the greatest floats is beyond the greatest float
    span = high / 2 - low / 2
    share = (shown / 2 - low / 2) / span if span > 0 else np.full_like(shown, 0.5)
    rgb = np.rint(np.clip(share, 0, 1) * 255).astype(np.uint8)
    rgba = np.full((len(means), 4), 255, np.uint8)
    rgba[:, :3] = rgb
    return rgba


def _window(means: Floats, dtype: np.dtype[Any]) -> tuple[float, float]:
    """Return the values shown as black and as white."""
    if dtype == np.uint8:
        return 0.0, 255.0
    return float(means.min()), float(means.max())


def _multiscale(
    name: str, layout: LabelLayout, info: ImageInfo, *, channels: bool
) -> dict[str, Any]:
    units = info.units or ("",) * len(info.axes)
    axes = [
        {"name": letter, "type": "time" if letter == "t" else "space"}
        | ({"unit": unit} if unit else {})
        for letter, unit in zip(info.axes, units, strict=True)
    ]
    sizes = [
        float(size) if isfinite(size) and size > 0 else 1.0
        for size in info.pixel_size or (1.0,) * len(info.axes)
    ]
    where = channel_axis(info.axes)
    if channels:
        axes.insert(where, {"name": "c", "type": "channel"})
    datasets = []
    for n in range(len(layout.levels)):
        factors = layout.scale(n)
        scale = [size * f for size, f in zip(sizes, factors, strict=True)]
        # the middle of a pixel of this level lies between the pixels that it covers
        shift = [size * (f - 1) / 2 for size, f in zip(sizes, factors, strict=True)]
        if channels:
            scale.insert(where, 1.0)
            shift.insert(where, 0.0)
        transformations = [
            {"type": "scale", "scale": scale},
            {"type": "translation", "translation": shift},
        ]
        datasets.append({"path": str(n), "coordinateTransformations": transformations})
    return {"name": name, "axes": axes, "datasets": datasets}


def _properties(info: ImageInfo, model: Model) -> list[dict[str, Any]]:
    """Return what is known of each value; of very many labels only how many pixels they have."""
    counts = [info.pixels - int(model.counts.sum()), *model.counts.tolist()]
    properties: list[dict[str, Any]] = [
        {"label-value": value, "pixel_count": count, "fraction": count / info.pixels}
        for value, count in enumerate(counts)
    ]
    if 2 * model.means.size <= MOST_NUMBERS:
        # a number per key: viewers make a table of them and take no vectors
        for name, means, deviations in zip(
            channel_keys(info), model.means.T.tolist(), model.deviations.T.tolist(), strict=True
        ):
            for entry, mean, deviation in zip(
                properties, [None, *means], [None, *deviations], strict=True
            ):
                entry |= {f"mean{name}": mean, f"standard_deviation{name}": deviation}
    return properties


def channel_keys(info: ImageInfo) -> list[str]:
    """Return what distinguishes the channels in keys: a name, else a number; "" if there is one."""
    distinct = len(set(info.channel_names)) == info.channels
    keys = [f"_{name}" for name in (info.channel_names if distinct else range(info.channels))]
    return keys if info.channels > 1 else [""]
