"""A folder of small JPEGs, each a window of a real picture."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.benchmarks.pictures import pictures

SIZE = (481, 321)
"""Columns and rows of an image of the race."""
TINY = (64, 48)
"""Of an image where only their number matters."""
QUALITY = 90
SHRUNK = 3.0
"""Most pixels of a picture, along each axis, that a pixel of an image is made of."""
LEFT_OUT = ("shadedrelief.jpg",)
"""Half of it is one colour of sea, and its size would make it most of the images."""


def make_folder(images: int, data: Path, size: tuple[int, int] = SIZE) -> Path:
    """Return a folder with that many JPEGs; those that are there already are kept.

    Which window of which picture an image shows depends on its number and size alone.
    """
    folder = data / f"jpegs-{size[0]}x{size[1]}-{images}"
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(images):
        path = folder / f"{number:06d}.jpg"
        if not path.exists():
            part = path.with_suffix(".partial")
            Image.fromarray(window(number, size)).save(part, "JPEG", quality=QUALITY)
            part.replace(path)
    return folder


def window(number: int, size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    """Return the pixels of an image, (rows, columns, 3).

    A window of a picture, up to `SHRUNK` times larger than the image, in the image's size.
    """
    rng = np.random.default_rng([*size, number])
    pool = [p.pixels for p in pictures() if p.name not in LEFT_OUT]
    picture = pool[rng.integers(len(pool))]
    height, width = picture.shape[:2]
    zoom = rng.uniform(1.0, max(1.0, min(SHRUNK, height / size[1], width / size[0])))
    rows, columns = min(zoom * size[1], height), min(zoom * size[0], width)
    top, left = rng.uniform(0, height - rows), rng.uniform(0, width - columns)
    box = (left, top, left + columns, top + rows)
    shrunk = Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS, box)
    return np.ascontiguousarray(np.asarray(shrunk)[:, :: 1 - 2 * int(rng.integers(2))])
