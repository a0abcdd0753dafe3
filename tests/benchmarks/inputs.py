"""Inputs: large TIFF files made of real pictures, tile by tile, the same on every machine.

No shipped picture has 16 bits, floats, many channels or 268 megapixels. So a file is a mosaic of
pictures that have none of these, each square of it turned, enlarged and brightened in its own way
(see `pictures.cell`). Channels beyond red, green and blue are smooth mixtures of them, as the
bands of a sensor are of a spectrum; 16-bit and float pixels carry a sensor's noise, whose
variance grows with the signal. So colours repeat as in pictures, and 16-bit vectors hardly at all.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from tests.benchmarks.contenders.tiles import Tiles
from tests.benchmarks.pictures import cell, files

VERSION = 1
"""Raised when the same name and size give other pixels than before."""

CELL = 1024
"""Edge of a square of the mosaic, pixels."""

LAYERS = 64
"""Pages over which a volume changes from one picture to the next."""

CODECS: dict[str, dict[str, Any]] = {
    "rgb8": {"compression": "deflate", "tile": (512, 512), "photometric": "rgb"},
    "grey16": {"compression": "deflate", "tile": (256, 256), "photometric": "minisblack"},
    "multi16": {"compression": "deflate", "tile": (512, 512), "photometric": "minisblack"},
    "multi16x16": {"compression": "deflate", "tile": (512, 512), "photometric": "minisblack"},
    "float32": {"compression": "zstd", "tile": (512, 512), "photometric": "minisblack"},
}
"""How each kind of input is stored; pixels interleaved, without a predictor."""

CHANNELS = {"rgb8": 3, "grey16": 1, "multi16": 4, "multi16x16": 16, "float32": 6}
DTYPES = {"rgb8": "u1", "grey16": "u2", "multi16": "u2", "multi16x16": "u2", "float32": "f4"}


@dataclass(frozen=True, slots=True)
class Input:
    """A file that every contender segments."""

    path: Path
    kind: str
    shape: tuple[int, ...]
    """(y, x) or (z, y, x), pixels."""
    channels: int
    dtype: str

    @property
    def pixels(self) -> int:
        """Pixels or voxels."""
        return int(np.prod(self.shape))

    @property
    def decoded(self) -> int:
        """Bytes of all pixels."""
        return self.pixels * self.channels * np.dtype(self.dtype).itemsize


def shape_of(kind: str, megapixels: float) -> tuple[int, ...]:
    """Return the shape of an input of about so many megapixels, in whole tiles where it is large.

    >>> shape_of("rgb8", 268), shape_of("grey16", 268), shape_of("rgb8", 0.25)
    ((16384, 16384), (256, 1024, 1024), (512, 512))
    """
    pixels = megapixels * 1_000_000
    if kind == "grey16":
        edge = _rounded((pixels * 4) ** (1 / 3))
        return max(1, round(pixels / edge**2)), edge, edge
    edge = _rounded(sqrt(pixels))
    return edge, edge


def _rounded(edge: float) -> int:
    """Return the edge as whole tiles of 512 pixels, or of 64 if it is short of a few of them."""
    step = 512 if edge > 2048 else 64
    return max(step, round(edge / step) * step)


def make(kind: str, megapixels: float, folder: Path) -> Input:
    """Return an input, made in `folder` unless it is there already.

    Memory is that of a row of squares of the mosaic, whatever the size.
    """
    shape = shape_of(kind, megapixels)
    pool = sha256(repr([(f.name, f.stat().st_size) for f in files()]).encode()).hexdigest()[:6]
    size = "x".join(map(str, shape))
    path = folder / f"{kind}-{size}-v{VERSION}-{pool}.tif"
    made = Input(path, kind, shape, CHANNELS[kind], DTYPES[kind])
    if path.exists():
        return made
    folder.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")
    try:
        _write(made, part)
        part.rename(path)
    finally:
        part.unlink(missing_ok=True)
    return made


def _write(image: Input, path: Path) -> None:
    codec = CODECS[image.kind]
    samples = () if image.channels == 1 else (image.channels,)
    extra = [0] * (image.channels - 1) if image.channels > 1 and image.kind != "rgb8" else None
    tifffile.imwrite(
        path,
        _tiles(image, codec["tile"]),
        shape=(*image.shape, *samples),
        dtype=image.dtype,
        planarconfig="contig" if samples else None,
        extrasamples=extra,
        bigtiff=image.decoded > 2**31,
        metadata={"axes": ("ZYX" if len(image.shape) == 3 else "YX") + ("S" if samples else "")},
        **codec,
    )


def _tiles(image: Input, tile: tuple[int, int]) -> Iterator[NDArray[Any]]:
    """Yield the tiles in the order of the file, each whole: beyond the border there are zeros."""
    for plane in _planes(image):
        for rows in plane:
            height, width = rows.shape[:2]
            for y in range(0, height, tile[0]):
                for x in range(0, width, tile[1]):
                    found = rows[y : y + tile[0], x : x + tile[1]]
                    missing = [(0, t - n) for t, n in zip(tile, found.shape, strict=False)]
                    missing += [(0, 0)] * (found.ndim - 2)
                    yield np.ascontiguousarray(np.pad(found, missing))


def _planes(image: Input) -> Iterator[Iterator[NDArray[Any]]]:
    """Yield each plane as an iterator of its rows of squares."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        if len(image.shape) == 2:
            yield _rows(image, pool)
        else:
            yield from _volume(image, pool)


def _rows(image: Input, pool: ThreadPoolExecutor) -> Iterator[NDArray[Any]]:
    height, width = image.shape
    for y in range(-(-height // CELL)):
        squares = pool.map(lambda x, y=y: _square(image, (y, x)), range(-(-width // CELL)))
        row = np.concatenate(list(squares), axis=1)
        yield row[: height - y * CELL, :width]


def _square(image: Input, at: tuple[int, int]) -> NDArray[Any]:
    """Return a square of an image, in its own type."""
    colours = cell(at, CELL)
    if image.kind == "rgb8":
        return np.rint(colours).astype(np.uint8)
    bands = _bands(colours, image.channels)
    rng = np.random.default_rng([20_101, *at])
    signal = _noisy(bands * np.float32(160), rng)
    if image.dtype == "f4":
        return signal / np.float32(40_800)
    return np.clip(np.rint(signal), 0, 65_535).astype(np.uint16)


def _bands(colours: NDArray[np.float32], number: int) -> NDArray[np.float32]:
    """Return bands of a spectrum, (y, x, 3) to (y, x, number), values 0 to 255.

    Band b weighs red, green and blue by bells around their places in the spectrum; every second
    one is bent, so that bands are no mere linear mixtures.
    """
    places = np.linspace(-0.2, 1.2, number)[:, None] - np.array([1.0, 0.5, 0.0])
    weights = np.exp(-8 * places**2)
    weights /= weights.sum(axis=1, keepdims=True)
    bands = colours @ weights.T.astype(np.float32)
    bands[..., 1::2] = np.sqrt(bands[..., 1::2] * np.float32(255))
    return bands


def _noisy(signal: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return the signal (0 to 40,800) with a sensor's noise: variance in proportion, and more."""
    noise = rng.standard_normal(signal.shape, np.float32)
    return signal + noise * np.sqrt(signal * np.float32(4) + np.float32(400))


def _volume(image: Input, pool: ThreadPoolExecutor) -> Iterator[Iterator[NDArray[Any]]]:
    """Yield the planes of a volume that changes from picture to picture along z, with noise."""
    depth, height, width = image.shape
    before, after = (_grey(layer, height, width, pool) for layer in range(2))
    for z in range(depth):
        layer, part = divmod(z, LAYERS)
        if layer and part == 0:
            before, after = after, _grey(layer + 1, height, width, pool)
        signal = before + (after - before) * np.float32(part / LAYERS)
        rng = np.random.default_rng([20_102, z])
        plane = np.clip(np.rint(_noisy(signal, rng)), 0, 65_535).astype(np.uint16)
        yield iter((plane,))


def _grey(layer: int, height: int, width: int, pool: ThreadPoolExecutor) -> NDArray[np.float32]:
    """Return a plane of pictures in grey, (y, x), values 0 to 40,800."""
    plane = np.empty((height, width), np.float32)

    def fill(at: tuple[int, int]) -> None:
        target = plane[at[0] * CELL : (at[0] + 1) * CELL, at[1] * CELL : (at[1] + 1) * CELL]
        grey = cell((layer, *at), CELL).mean(axis=2) * np.float32(160)
        target[...] = grey[: target.shape[0], : target.shape[1]]

    list(pool.map(fill, np.ndindex(-(-height // CELL), -(-width // CELL))))
    return plane


def start_means(image: Input, k: int) -> list[list[float]]:
    """Return k pixels of the image to start from, (k, channels), from dark to bright.

    Quantiles by brightness of the pixels of up to 64 tiles across the file; all distinct.
    """
    with Tiles(str(image.path)) as tiles:
        every = tiles.all()
        picked = []
        for tile in every[:: max(1, len(every) // 64)]:
            inside = tiles.decode(tile).reshape(-1, image.channels)
            picked.append(inside[:: max(1, len(inside) // 4096)])
    pixels = np.unique(np.concatenate(picked), axis=0)
    pixels = pixels[np.argsort(pixels.mean(axis=1), kind="stable")]
    if len(pixels) < k:
        raise ValueError(f"{image.path.name}: {len(pixels)} distinct pixels in a sample, k is {k}")
    return pixels[[len(pixels) * (2 * i + 1) // (2 * k) for i in range(k)]].tolist()
