"""The seam of exporters: what one is, and the labels that it is given."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from chunkmeans.errors import ResultError
from chunkmeans.image.grid import Box, split
from chunkmeans.results.models.models import group_attributes
from chunkmeans.results.read.open_results import SegmentedImage

if TYPE_CHECKING:
    import zarr

PIECE_BYTES = 32 * 2**20
"""Bytes of labels that are read at a time."""


@dataclass(frozen=True)
class LabelView:
    """The labels of one image at one level, or of one plane of it, read piece by piece."""

    image: SegmentedImage
    """Where they come from: model, source and georeferencing are there."""
    level: int
    """Of the pyramid; 0 is the full image."""
    colours: NDArray[np.uint8]
    """Red, green, blue and opacity of each label, (k + 1, 4); label 0, no data, is transparent."""
    array: "zarr.Array[Any]"
    """All labels of the level, uint8 or uint16."""
    plane: tuple[int, ...] = ()
    """Index along the first axes, of one plane; empty: everything."""
    piece_bytes: int = PIECE_BYTES
    """Bytes of labels that `pieces` holds at a time; one row of pixels if that is more."""

    @property
    def axes(self) -> str:
        """A letter of ``tzyx`` per axis."""
        return self.image.axes[len(self.plane) :]

    @property
    def shape(self) -> tuple[int, ...]:
        """Pixels along each axis."""
        return tuple(self.array.shape[len(self.plane) :])

    @property
    def dtype(self) -> np.dtype[Any]:
        """uint8 for up to 255 labels, uint16 for more."""
        return np.dtype(self.array.dtype)

    @property
    def k(self) -> int:
        """Number of labels, without 0 for no data."""
        return len(self.colours) - 1

    def pieces(self) -> Iterator[tuple[Box, NDArray[Any]]]:
        """Yield all labels in C order: whole rows of one plane at a time, and where they lie.

        A piece has at most `piece_bytes`, or one row. Reads files.

        Raises
        ------
        ResultError
            If what is stored is damaged.
        """
        *outer, height, width = self.shape
        rows = max(1, self.piece_bytes // (width * self.dtype.itemsize))
        chunk = self.array.chunks[-2]
        if rows > chunk:  # so that no chunk is decoded for two pieces
            rows -= rows % chunk
        for box in split(Box.whole(self.shape), (1,) * len(outer) + (min(rows, height), width)):
            try:
                piece = np.asarray(self.array[self.plane + box.slices])
            except OSError:
                raise
            except Exception as error:  # a codec's failure: they have no common base
                raise ResultError(
                    f"{self.image.store.join(self.image.path)}: level {self.level} is damaged at "
                    f"{box}: {error}; run the same command with --overwrite"
                ) from error
            yield box, piece

    def planes(self) -> Iterator[tuple[str, "LabelView"]]:
        """Yield each plane (y, x), and what tells its file apart: "" in a picture, ``_t0_z07``."""
        outer = self.shape[:-2]
        for at in product(*map(range, outer)):
            name = "".join(
                f"_{axis}{index:0{len(str(size - 1))}}"
                for axis, index, size in zip(self.axes, at, outer, strict=False)
            )
            yield name, replace(self, plane=(*self.plane, *at))


class Exporter(ABC):
    """Writes labels as files of one format. Holds no file and no labels between two calls."""

    name: ClassVar[str]
    """The word after ``--to``."""
    suffix: ClassVar[str]
    """Of its files, with the dot."""
    planes: ClassVar[bool] = True
    """Whether a file holds one plane (y, x): a volume or a film becomes a file per plane."""

    @abstractmethod
    def export(self, labels: LabelView, destination: Path) -> None:
        """Write `labels` as the new file `destination`, holding few of their pieces at a time.

        The caller gives a temporary name, renames the file once this returns and deletes it if
        this raises. Other exports may run at the same time.

        Raises
        ------
        ResultError
            If the labels cannot be read, or the format cannot hold them.
        OSError
            If the file cannot be written.
        """


def label_view(image: SegmentedImage, level: int) -> LabelView:
    """Return the labels of a level, in the colours that the metadata of their store gives.

    Raises
    ------
    ResultError
        If the image is not complete, or there is no such level.
    """
    array = image.labels(level)
    ome = group_attributes(image.store, image.path)["ome"]
    listed = {colour["label-value"]: colour["rgba"] for colour in ome["image-label"]["colors"]}
    colours = np.array([listed[label] for label in range(len(listed))], np.uint8)
    return LabelView(image, level, colours, array)
