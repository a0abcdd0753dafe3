"""How a stored picture lies on the screen: the Orientation tag of TIFF and EXIF.

Pictures are shown by transposing and mirroring what is stored. Users, plans and results have
the *upright* picture, readers decode boxes of the *stored* one; this module maps between the two.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkmeans.image.grid import Box


@dataclass(frozen=True, slots=True)
class Orientation:
    """Rows and columns swapped first, if at all, and then mirrored."""

    transposed: bool = False
    """Whether stored rows are upright columns."""
    flip_y: bool = False
    """Whether the upright rows run from the last to the first."""
    flip_x: bool = False
    """Whether the upright columns run from the last to the first."""

    @classmethod
    def from_tag(cls, value: int) -> "Orientation":
        """Return the orientation of tag 274, 1 to 8; anything else counts as upright.

        The standards define no other values, and cameras write 0 for "unknown".
        """
        return cls(value in (5, 6, 7, 8), value in (3, 4, 7, 8), value in (2, 3, 6, 7))

    @property
    def upright(self) -> bool:
        """Whether the stored picture is the upright one."""
        return not (self.transposed or self.flip_y or self.flip_x)

    def swap(self, pair: tuple[Any, Any]) -> tuple[Any, Any]:
        """Return what belongs to (y, x) of one picture in the order of the other.

        Good for shapes, chunks and pixel sizes, in both directions.
        """
        return (pair[1], pair[0]) if self.transposed else pair

    def stored_box(self, box: Box, shape: tuple[int, int]) -> Box:
        """Return where the upright `box` lies in the stored picture.

        Parameters
        ----------
        box
            Box along (y, x) of the upright picture.
        shape
            Pixels along (y, x) of the **upright** picture.
        """
        spans = []
        for start, stop, length, flipped in zip(
            box.start, box.stop, shape, (self.flip_y, self.flip_x), strict=True
        ):
            spans.append((length - stop, length - start) if flipped else (start, stop))
        (y0, y1), (x0, x1) = self.swap((spans[0], spans[1]))
        return Box((y0, x0), (y1, x1))

    def make_upright(self, stored: NDArray[Any], y: int, x: int) -> NDArray[Any]:
        """Return `stored` upright, as a view; `y` and `x` are the axes of rows and columns."""
        upright = np.swapaxes(stored, y, x) if self.transposed else stored
        if self.flip_y:
            upright = np.flip(upright, y)
        if self.flip_x:
            upright = np.flip(upright, x)
        return upright


UPRIGHT = Orientation()
