"""Tiles of a TIFF decoded with threads, by tifffile: the fastest plain way that we know."""

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

Tile = tuple[int, int]
"""Page, and index of the tile in it."""


class Tiles:
    """The tiles of the first series of a TIFF; used as a context, by any number of threads."""

    def __init__(self, path: str) -> None:
        self._file = tifffile.TiffFile(path)
        self._descriptor = os.open(path, os.O_RDONLY)
        series = self._file.series[0]
        self.pages = list(series.pages)
        page = series.keyframe
        self.edge = (page.tilelength, page.tilewidth)
        """Rows and columns of a tile."""
        self.across = -(-page.imagewidth // page.tilewidth)
        """Tiles in a row of them."""
        self.down = -(-page.imagelength // page.tilelength)
        self._keyframe = page

    def __enter__(self) -> "Tiles":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)
        self._file.close()

    def all(self) -> list[Tile]:
        """Return every tile, in the order of the file."""
        return [(p, i) for p in range(len(self.pages)) for i in range(self.across * self.down)]

    def decode(self, tile: Tile) -> NDArray[Any]:
        """Return the pixels of a tile inside the image, (y, x, channels)."""
        page, index = self.pages[tile[0]], tile[1]
        data = os.pread(self._descriptor, page.databytecounts[index], page.dataoffsets[index])
        pixels, _, _ = self._keyframe.decode(data, index)
        row, column = divmod(index, self.across)
        (height, width), page = self.edge, self._keyframe
        return pixels[
            0, : page.imagelength - row * height, : page.imagewidth - column * width
        ]  # beyond the border there is nothing but padding

    def inside(self, rows: slice, columns: slice) -> Iterator[tuple[int, slice, slice]]:
        """Yield index, rows and columns of the tiles of a page that touch a rectangle of it."""
        height, width = self.edge
        for y in range(rows.start // height, -(-rows.stop // height)):
            for x in range(columns.start // width, -(-columns.stop // width)):
                yield (
                    y * self.across + x,
                    slice(y * height, (y + 1) * height),
                    slice(x * width, (x + 1) * width),
                )


def trivial_label(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Return eight labels by the first channel alone, (y, x, channels) to (y, x)."""
    first = pixels[..., 0]
    if first.dtype == np.uint8:
        return first >> 5
    if first.dtype == np.uint16:
        return (first >> 13).astype(np.uint8)
    return (first * 8).astype(np.uint8)
