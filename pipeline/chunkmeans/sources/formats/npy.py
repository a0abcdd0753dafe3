"""NumPy's ``.npy`` files, mapped into memory and never unpickled."""

from collections.abc import Sequence
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkmeans.errors import SourceError
from chunkmeans.image.grid import Box
from chunkmeans.image.info import ImageInfo, Pixels
from chunkmeans.sources.base import Image
from chunkmeans.sources.decode.axes import ArrayLayout
from chunkmeans.sources.files.paths import is_url

_PARSING = Lock()
"""NumPy parses the header as Python, which in Python 3.11 fails now and then if threads do so at
the same time (SystemError: AST constructor recursion depth mismatch)."""


class NpyImage(Image):
    """An array in a local ``.npy`` file; axes by the rule of `chunkmeans.sources.decode.axes`."""

    reader = "npy 1"

    def describe(self) -> ImageInfo:
        """Return what is in the header; the file must be as long as it promises."""
        self.has_no("series", "level")
        array = self._map()
        layout = ArrayLayout.of(array.shape, self.options.axes)
        return layout.info(array.dtype, blocks=(1,) * array.ndim)

    def decode(self, box: Box, channels: Sequence[int]) -> Pixels:
        """Copy a box out of the mapped file."""
        array = self._map()
        layout = ArrayLayout.of(array.shape, self.options.axes)
        block = np.array(array[layout.index(box, channels)])
        return Pixels(layout.arrange(block).astype(self.stored.dtype, copy=False))

    def _map(self) -> NDArray[Any]:
        """Map the file; opened anew each time, so that no handle stays open."""
        if is_url(self.path):
            raise SourceError("a .npy file must be local to be mapped; copy it or store it as zarr")
        with _PARSING:
            array = np.load(self.path, mmap_mode="r", allow_pickle=False)
        if not isinstance(array, np.ndarray):
            raise SourceError("is not one array in NumPy's format")
        return array
