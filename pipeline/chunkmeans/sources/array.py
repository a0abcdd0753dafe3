"""Arrays that are in memory already: NumPy's, and Dask's, which are computed box by box."""

import hashlib
from collections.abc import Sequence
from math import isnan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkmeans.errors import SourceError
from chunkmeans.image.grid import Box
from chunkmeans.image.info import ImageInfo, Pixels
from chunkmeans.sources.base import Image, ReadOptions
from chunkmeans.sources.decode.axes import ArrayLayout


class MemoryImage(Image):
    """An array given through the Python API.

    Parameters
    ----------
    array
        A NumPy array, a masked array (a pixel with a masked channel is not valid), or an object
        that has `shape`, `dtype` and slices that turn into NumPy arrays, by their `compute` if they
        have one (Dask; on threads of this process, never on a cluster).
    axes
        A letter of ``tzyxc`` per axis; None: by the rule of `chunkmeans.sources.decode.axes`.
    name
        What errors and results call it.
    options
        What to read of it; `axes` of the options is used if `axes` is not given.
    """

    reader = "array 1"

    def __init__(
        self,
        array: Any,
        axes: str | None = None,
        name: str = "array",
        options: ReadOptions | None = None,
    ) -> None:
        super().__init__(name, options)
        known = hasattr(array, "shape") and hasattr(array, "dtype")
        self.array: Any = array if known else np.asarray(array)
        self.axes = axes or self.options.axes

    def describe(self) -> ImageInfo:
        """Return what the array is; nothing is computed."""
        self.has_no("series", "level")
        layout = self._layout()
        blocks = getattr(self.array, "chunksize", None) or (1,) * len(layout.shape)
        return layout.info(self.array.dtype, blocks, alpha=self._masked)

    def decode(self, box: Box, channels: Sequence[int]) -> Pixels:
        """Return a box of the array; a Dask array computes the blocks that the box meets."""
        layout = self._layout()
        block = self.array[layout.index(box, channels)]
        if hasattr(block, "compute"):
            block = block.compute(scheduler="threads")
        valid: NDArray[np.bool_] | None = None
        if isinstance(block, np.ma.MaskedArray):
            valid = np.logical_not(np.any(layout.arrange(np.ma.getmaskarray(block)), axis=-1))
            block = block.data
        values = layout.arrange(np.asarray(block)).astype(self.stored.dtype, copy=False)
        return Pixels(values, valid)

    def fingerprint(self) -> str:
        """Hash of the pixels; of a Dask array its name, which Dask derives from its content."""
        if hasattr(self.array, "compute"):
            return f"dask {self.array.name}"
        digest = hashlib.blake2b(digest_size=16)
        whole = np.ma.getdata(self.array) if self._masked else np.asarray(self.array)
        native = whole.dtype.newbyteorder("=")
        digest.update(f"{whole.shape} {native.str} {self.axes}".encode())
        for row in whole:
            digest.update(np.ascontiguousarray(row, native).data.cast("B"))
        if self._masked:
            digest.update(np.ascontiguousarray(np.ma.getmaskarray(self.array)).data.cast("B"))
        return digest.hexdigest()

    @property
    def _masked(self) -> bool:
        return isinstance(self.array, np.ma.MaskedArray)

    def _layout(self) -> ArrayLayout:
        """Return how the array is laid out, if it knows its shape."""
        shape = tuple(self.array.shape)
        if any(isnan(length) for length in shape):
            raise SourceError(
                f"the Dask array's shape {shape} is not known; call compute_chunk_sizes() on it"
            )
        return ArrayLayout.of(tuple(map(int, shape)), self.axes)

    def __reduce__(self) -> tuple[Any, ...]:
        kind, _, known = super().__reduce__()
        return kind, (self.array, self.axes, self.path, self.options), known
