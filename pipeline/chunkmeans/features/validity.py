"""Pixels as the algorithm sees them: valid sample vectors, and where they are.

One rule for every image: a pixel does not count where the file or a mask says so, where it
equals nodata, or where a number is not finite. It never enters a sum and gets label 0.
"""

from dataclasses import dataclass
from math import isnan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkmeans.errors import ConfigError
from chunkmeans.features.base import FeatureChain, Mask
from chunkmeans.image.grid import Box
from chunkmeans.image.info import Pixels
from chunkmeans.kmeans.samples import canonical

Nodata = tuple[float | int, ...]
NO_FEATURES = FeatureChain()


@dataclass(frozen=True, slots=True)
class Sampled:
    """The samples of a box."""

    values: NDArray[Any]
    """Valid pixels in C order, (n, c), contiguous, canonical dtype."""
    valid: Mask
    """Where they are, of the box's shape; None: everywhere."""
    shape: tuple[int, ...]
    """Of the box."""

    @property
    def invalid(self) -> int:
        """Number of pixels that do not count."""
        return 0 if self.valid is None else int(self.valid.size) - len(self.values)

    @property
    def nbytes(self) -> int:
        """Bytes it takes in memory."""
        return self.values.nbytes + (0 if self.valid is None else self.valid.nbytes)


def sample(
    pixels: Pixels,
    nodata: Nodata,
    mask: Mask,
    dtype: np.dtype[Any],
    features: FeatureChain = NO_FEATURES,
    inner: Box | None = None,
) -> Sampled:
    """Return the valid samples of decoded pixels.

    Parameters
    ----------
    pixels
        Values (*shape, c), and where the file says they count.
    nodata
        As in `ImageInfo.nodata`.
    mask
        Where a mask of its own says that pixels count, of the box's shape; None: everywhere.
    dtype
        Canonical type that every value fits into.
    features
        What samples are made of pixels by.
    inner
        The pixels without their halo, a box of the box; None: all of them.
    """
    values = pixels.values
    valid = _both(pixels.valid, mask)
    if nodata:
        valid = _both(valid, ~is_nodata(values, nodata))
    valid = _both(valid, _finite(values))
    if features.steps:
        values = features.transform(values, valid)
        # a feature may have no answer where the pixel has one: a ratio of two zeros
        valid = _both(valid, _finite(values))
    if inner is not None:
        values, valid = values[inner.slices], None if valid is None else valid[inner.slices]
    if valid is not None and valid.all():
        valid = None
    chosen = values.reshape(-1, values.shape[-1]) if valid is None else values[valid]
    return Sampled(np.ascontiguousarray(chosen, dtype), valid, values.shape[:-1])


def _finite(values: NDArray[Any]) -> Mask:
    """Return where all channels are finite; None: everywhere."""
    if values.dtype.kind != "f":
        return None
    finite = np.isfinite(values)
    return None if finite.all() else finite.all(axis=-1)


def is_nodata(values: NDArray[Any], nodata: Nodata) -> NDArray[np.bool_]:
    """Return where pixels (*shape, c) stand for missing data.

    One number: where all channels equal it; NaN: where any channel is NaN. Several: where any
    channel equals its own. A number is first rounded to a float image's type, as its writer did;
    in an integer image a number that no pixel can hold matches none.

    >>> is_nodata(np.array([[0, 0], [0, 7]]), (0,)).tolist()
    [True, False]
    """
    equal = np.zeros(values.shape, bool)
    per_channel = nodata if len(nodata) > 1 else nodata * values.shape[-1]
    for channel, number in enumerate(per_channel):
        column = values[..., channel]
        if isnan(number):
            equal[..., channel] = np.isnan(column) if column.dtype.kind == "f" else False
        elif values.dtype.kind == "f":
            with np.errstate(over="ignore"):
                equal[..., channel] = column == np.array(number).astype(column.dtype)
        elif number == int(number) if abs(number) != float("inf") else False:
            bounds = np.iinfo(column.dtype)
            if bounds.min <= number <= bounds.max:
                equal[..., channel] = column == column.dtype.type(int(number))
    any_is_enough = len(nodata) > 1 or isnan(nodata[0])
    found: NDArray[np.bool_] = (np.any if any_is_enough else np.all)(equal, axis=-1)
    return found


def _both(a: Mask, b: Mask) -> Mask:
    """Return where both hold; None holds everywhere."""
    if a is None or b is None:
        return a if b is None else b
    return a & b


def common(dtypes: list[np.dtype[Any]]) -> np.dtype[Any]:
    """Return the canonical type that holds the pixels of all `dtypes` exactly.

    Raises
    ------
    ConfigError
        If there is none: integers of 64 bits with floats, or with integers of the other sign.

    >>> str(common([np.dtype("u1"), np.dtype("i2")]))
    'int16'
    """
    found = np.result_type(*dtypes)
    wide = [d for d in dtypes if d.kind in "iu" and d.itemsize == 8]
    if found.kind == "f" and wide:
        others = ", ".join(sorted({str(d) for d in dtypes} - {str(wide[0])}))
        raise ConfigError(
            f"images.path: the collection mixes pixels of type {wide[0]} and {others}, and no type "
            "of 64 bits holds both exactly; convert the images, or choose kmeans.scope: image"
        )
    return canonical(found)
