"""A folder of JPEGs of 481 x 321 pixels, each a window of a real picture."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.benchmarks.pictures import pictures

WIDTH, HEIGHT = 481, 321
QUALITY = 90
SHRUNK = 3.0
"""Most pixels of a picture, along each axis, that a pixel of an image is made of."""
LEFT_OUT = ("shadedrelief.jpg",)
"""Half of it is one colour of sea, and its size would make it most of the images."""


def make_folder(images: int, data: Path) -> Path:
    """Return a folder with that many JPEGs; those that are there already are kept.

    Which window of which picture an image shows depends on its number alone.
    """
    folder = data / f"jpegs-{images}"
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(images):
        path = folder / f"{number:06d}.jpg"
        if not path.exists():
            part = path.with_suffix(".partial")
            Image.fromarray(window(number)).save(part, "JPEG", quality=QUALITY)
            part.replace(path)
    return folder


def window(number: int) -> NDArray[np.uint8]:
    """Return the pixels of an image, (HEIGHT, WIDTH, 3).

    A window of a picture, up to `SHRUNK` times larger than the image, in the image's size.
    """
    rng = np.random.default_rng([WIDTH, HEIGHT, number])
    pool = [p.pixels for p in pictures() if p.name not in LEFT_OUT]
    picture = pool[rng.integers(len(pool))]
    height, width = picture.shape[:2]
    zoom = rng.uniform(1.0, max(1.0, min(SHRUNK, height / HEIGHT, width / WIDTH)))
    rows, columns = min(zoom * HEIGHT, height), min(zoom * WIDTH, width)
    top, left = rng.uniform(0, height - rows), rng.uniform(0, width - columns)
    box = (left, top, left + columns, top + rows)
    shrunk = Image.fromarray(picture).resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS, box)
    return np.ascontiguousarray(np.asarray(shrunk)[:, :: 1 - 2 * int(rng.integers(2))])
