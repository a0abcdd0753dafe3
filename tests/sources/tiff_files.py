"""TIFF files to read, and how to read them."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from chunkmeans.errors import SourceError
from chunkmeans.image.grid import Box
from chunkmeans.sources.base import ReadOptions
from chunkmeans.sources.formats.tiff.image import TiffImage

RGB = {"photometric": "rgb"}
GREY = {"photometric": "minisblack"}


def drawn(shape: tuple[int, ...], dtype: str, seed: int = 0) -> np.ndarray:
    """Numbers that compress a little and fill the type's range, but for NaN."""
    rng = np.random.default_rng(seed)
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return (rng.integers(-50, 50, shape) / 8).astype(kind)
    if kind.kind == "b":
        return rng.integers(0, 2, shape).astype(kind)
    limits = np.iinfo(kind)
    some = rng.integers(limits.min, limits.max, 7, dtype=kind, endpoint=True)
    return some[rng.integers(0, 7, shape)]


def read(path: object, **options: object) -> np.ndarray:
    """All pixels of an image."""
    image = TiffImage(str(path), ReadOptions(**options))
    return image.read(Box.whole(image.info.shape)).values


def refusal(path: object, **options: object) -> str:
    """The message of the error that reading the image ends in."""
    with pytest.raises(SourceError) as caught:
        read(path, **options)
    assert str(path) in str(caught.value)
    return str(caught.value)


def write_tiled(path: Path) -> None:
    tifffile.imwrite(path, drawn((70, 90, 3), "uint8"), tile=(32, 32), compression="lzw", **RGB)
