"""Which axis of a stored array is which, and how its pixels are laid out for the rest. Pure.

An array that does not name its axes is read by one rule, whatever holds it (`guess_axes`):

========= =================================== ===========================================
axes      if                                  then
========= =================================== ===========================================
2         always                              ``yx``
3         the last has at most 4 entries      ``yxc``: channels last
3         else the first has at most 4        ``cyx``: channels first
3         else                                ``zyx``: a volume
4         the last has at most 4 entries      ``zyxc``
4         else the first has at most 4        ``czyx``
========= =================================== ===========================================

Anything else needs ``images.axes``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from chunkmeans.errors import SourceError
from chunkmeans.image.grid import Box
from chunkmeans.image.info import ImageInfo
from chunkmeans.sources.decode.dtypes import pixel_dtype

_T = TypeVar("_T")
SAMPLE_AXES = "tzyx"
MOST_CHANNELS = 4
_WORDS = {
    "t": ("t", "time"),
    "z": ("z", "depth", "plane", "slice"),
    "y": ("y", "lat", "latitude", "row"),
    "x": ("x", "lon", "longitude", "col", "column"),
    "c": ("c", "channel", "band", "wavelength"),
}
_LETTERS = {word: letter for letter, words in _WORDS.items() for word in words}


def guess_axes(shape: Sequence[int]) -> str:
    """Axes of an array that names none, by the rule above.

    Raises
    ------
    SourceError
        If the rule does not cover the shape.

    >>> guess_axes((480, 640, 3)), guess_axes((3, 480, 640)), guess_axes((90, 480, 640))
    ('yxc', 'cyx', 'zyx')
    """
    count = len(shape)
    if count < 2:
        raise SourceError(
            f"an array of shape {tuple(shape)} is not an image, which has at least the axes y, x"
        )
    if count == 2:
        return "yx"
    if count in (3, 4):
        volume = "zyx"[4 - count :]
        if shape[-1] <= MOST_CHANNELS:
            return f"{volume}c"
        if shape[0] <= MOST_CHANNELS:
            return f"c{volume}"
        if count == 3:
            return "zyx"
    raise SourceError(
        f"an array of shape {tuple(shape)} has axes without names; "
        "set images.axes, a letter of t z y x c for each (such as tzyx)"
    )


def _doubt(shape: Sequence[int], axes: str) -> tuple[str, ...]:
    """Return what a user should know about guessed axes: a volume that looks like channels.

    >>> _doubt((512, 512, 6), "zyx")[0][:50]
    'read as a volume (zyx) of shape (512, 512, 6); if '
    """
    short = min(shape)
    if axes == "zyx" and shape[-1] == short <= 16 and 4 * short <= min(shape[:-1]):
        return (
            f"read as a volume (zyx) of shape {tuple(shape)}; if the last axis are channels, "
            "set images.axes to yxc",
        )
    return ()


def axes_of_names(names: Sequence[str | None] | None) -> str | None:
    """Axes from an array's own dimension names, or None if they do not name all of them.

    >>> axes_of_names(["time", "band", "lat", "lon"])
    'tcyx'
    """
    letters = [_LETTERS.get((name or "").lower(), "") for name in names or ()]
    if not {"y", "x"} <= set(letters) or len(set(letters)) < len(letters) or "" in letters:
        return None
    return "".join(letters)


@dataclass(frozen=True)
class ArrayLayout:
    """How a stored array becomes samples in the order ``tzyx`` with their channels last."""

    axes: str
    """One letter of ``tzyxc`` per stored axis, in stored order."""
    shape: tuple[int, ...]
    """Entries along each stored axis."""
    warnings: tuple[str, ...] = ()
    """Doubts about axes that were guessed."""

    @classmethod
    def of(cls, shape: tuple[int, ...], axes: str | None) -> "ArrayLayout":
        """Return the layout by `axes`, or by the rule for arrays that do not name theirs."""
        guessed = axes or guess_axes(shape)
        return cls(guessed, shape, () if axes else _doubt(shape, guessed))

    def __post_init__(self) -> None:
        axes, shape = self.axes, self.shape
        if len(axes) != len(shape):
            raise SourceError(
                f"axes {axes!r} name {len(axes)} axes, the stored array has {len(shape)}: {shape}"
            )
        if set(axes) - set("tzyxc") or len(set(axes)) < len(axes) or not {"y", "x"} <= set(axes):
            raise SourceError(
                f"axes {axes!r} do not make an image: each of t z y x c at most once, y and x "
                f"always; set images.axes to a letter for each of the {len(shape)} axes {shape}"
            )
        if 0 in shape:
            raise SourceError(f"the stored array {shape} ({axes}) has no pixels")

    @property
    def samples(self) -> str:
        """Axes of the image, without channels, in the order ``tzyx``."""
        return "".join(letter for letter in SAMPLE_AXES if letter in self.axes)

    @property
    def channels(self) -> int:
        """Numbers per pixel."""
        return self.shape[self.axes.index("c")] if "c" in self.axes else 1

    def info(self, dtype: Any, blocks: Sequence[int], **more: Any) -> ImageInfo:
        """Describe the array as an image.

        Parameters
        ----------
        dtype
            Of the stored numbers.
        blocks
            Entries along each stored axis of what is decoded at once.
        more
            Further fields of `ImageInfo`.
        """
        shape = self.along(self.shape)
        chunks = zip(self.along(blocks), shape, strict=True)
        return ImageInfo(
            axes=self.samples,
            shape=shape,
            channels=self.channels,
            dtype=pixel_dtype(dtype),
            chunks=tuple(max(1, min(edge, length)) for edge, length in chunks),
            **{"warnings": self.warnings, **more},
        )

    def along(self, values: Sequence[_T]) -> tuple[_T, ...]:
        """Of `values`, one per stored axis, those of the image's axes in the image's order."""
        return tuple(values[self.axes.index(letter)] for letter in self.samples)

    def index(self, box: Box, channels: Sequence[int]) -> tuple[slice | list[int], ...]:
        """Index of the stored array that holds `box` and `channels`; at most one list in it."""
        by_letter: dict[str, slice | list[int]] = dict(zip(self.samples, box.slices, strict=True))
        first = channels[0]
        run = list(channels) == list(range(first, first + len(channels)))
        by_letter["c"] = slice(first, first + len(channels)) if run else list(channels)
        return tuple(by_letter[letter] for letter in self.axes)

    def arrange(self, block: NDArray[Any]) -> NDArray[Any]:
        """Return what `index` gave, in stored order, as box shape + (channels,)."""
        if "c" not in self.axes:
            block = block[..., np.newaxis]
        stored = self.axes if "c" in self.axes else f"{self.axes}c"
        return block.transpose([stored.index(letter) for letter in f"{self.samples}c"])
