"""A source for the toy format: a line of text, ``TOY 480 640 3``, and then a byte per number."""

from collections.abc import Sequence

import numpy as np
from chunkmeans.errors import SourceError
from chunkmeans.sources import Box, Image, ImageInfo, Pixels, open_file


class ToyImage(Image):
    """A picture in the toy format: height, width, channels; rows from top to bottom."""

    def describe(self) -> ImageInfo:
        """Return what the first line says; reads no pixel."""
        self.has_no("series", "level", "axes")
        height, width, channels, start, stored = self._header()
        size = start + height * width * channels
        if stored < size:
            raise SourceError(f"is cut short: {stored} bytes, its header promises {size}")
        return ImageInfo(
            axes="yx",
            shape=(height, width),
            channels=channels,
            dtype=np.dtype("uint8"),
            chunks=(1, width),  # a row can be read without the others
        )

    def decode(self, box: Box, channels: Sequence[int]) -> Pixels:
        """Return a box of pixels; reads the rows that it touches."""
        _, width, stored, start, _ = self._header()
        (top, left), (bottom, right) = box.start, box.stop
        with open_file(self.path, self.options.storage_options) as file:
            file.seek(start + top * width * stored)
            data = file.read((bottom - top) * width * stored)
        rows = np.frombuffer(data, np.uint8).reshape(bottom - top, width, stored)
        return Pixels(rows[:, left:right, list(channels)])

    def _header(self) -> tuple[int, int, int, int, int]:
        """Return height, width, channels, first byte of the pixels, and bytes of the file."""
        with open_file(self.path, self.options.storage_options) as file:
            line = file.readline(100)
            word, *numbers = line.split()
            if word != b"TOY" or len(numbers) != 3:
                raise SourceError(f"begins with {line!r}, not with TOY, height, width and channels")
            height, width, channels = map(int, numbers)
            return height, width, channels, len(line), file.seek(0, 2)
