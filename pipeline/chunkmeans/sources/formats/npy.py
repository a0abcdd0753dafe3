"""NumPy's ``.npy`` files, mapped into memory and never unpickled."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkmeans.errors import SourceError
from chunkmeans.image.grid import Box
from chunkmeans.image.info import ImageInfo, Pixels
from chunkmeans.sources.base import Image
from chunkmeans.sources.decode.axes import Layout, doubt, guess_axes
from chunkmeans.sources.decode.dtypes import pixel_dtype
from chunkmeans.sources.files.byte_ranges import stamp
from chunkmeans.sources.files.paths import is_url


class NpyImage(Image):
    """An array in a local ``.npy`` file; axes by the rule of `chunkmeans.sources.decode.axes`."""

    reader = "npy 1"

    def describe(self) -> ImageInfo:
        """Return what the header says; the file must be as long as it promises."""
        self.has_no("series", "level")
        array = self._map()
        axes = self.options.axes or guess_axes(array.shape)
        layout = Layout(axes, array.shape)
        return ImageInfo(
            axes=layout.samples,
            shape=layout.along(array.shape),
            channels=layout.channels,
            dtype=pixel_dtype(array.dtype),
            chunks=(1,) * len(layout.samples),
            warnings=() if self.options.axes else doubt(array.shape, axes),
        )

    def decode(self, box: Box, channels: Sequence[int]) -> Pixels:
        """Copy a box out of the mapped file."""
        array = self._map()
        layout = Layout(self.options.axes or guess_axes(array.shape), array.shape)
        block = np.array(array[layout.index(box, channels)])
        return Pixels(layout.arrange(block).astype(self.stored.dtype, copy=False))

    def fingerprint(self) -> str:
        """Size and time of change."""
        with self.naming("cannot be opened"):
            return stamp(self.path, self.options.storage_options)

    def _map(self) -> NDArray[Any]:
        """Map the file; opened anew each time, so that no handle is kept."""
        if is_url(self.path):
            raise SourceError("a .npy file must be local to be mapped; copy it or store it as zarr")
        array = np.load(self.path, mmap_mode="r", allow_pickle=False)
        if not isinstance(array, np.ndarray):
            raise SourceError("is not one array in NumPy's format")
        return array
