"""What the stored axes of a TIFF series mean: which are t z y x, which are channels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkmeans.errors import SourceError
from chunkmeans.image.grid import Box
from chunkmeans.sources.decode.axes import SAMPLE_AXES
from chunkmeans.sources.decode.orientation import UPRIGHT, Orientation

PageShape = tuple[int, int, int, int, int]
"""Lengths of a page: separate (planar) samples, depth, rows, columns, interleaved samples."""

SEPARATE, DEPTH, ROWS, COLUMNS, INTERLEAVED = range(5)
"""Axes of a page."""


@dataclass(frozen=True)
class SeriesLayout:
    """A letter of ``tzyxc`` for each axis of the stored array, and how its pages are shown.

    The stored array has the axes that count pages, then the five of a page.
    """

    sizes: tuple[int, ...]
    """Length of each axis."""
    letters: tuple[str, ...]
    """Meaning of each axis; "" where its length is 1 and it has none."""
    axes: str
    """Axes of the image, of ``tzyx``; one without a stored axis has length 1."""
    orientation: Orientation = UPRIGHT
    """How the stored rows and columns are shown."""

    @property
    def leading(self) -> int:
        """Number of axes that count pages."""
        return len(self.sizes) - 5

    def stored(self, axis: str) -> int | None:
        """Return the stored axis of an axis of the image, None where it has none."""
        return self.letters.index(axis) if axis in self.letters else None

    @property
    def stored_shape(self) -> tuple[int, ...]:
        """Pixels along each of `axes`, before the orientation is applied."""
        found = [self.stored(axis) for axis in self.axes]
        return tuple(1 if i is None else self.sizes[i] for i in found)

    @property
    def shape(self) -> tuple[int, ...]:
        """Pixels along each of `axes` of the upright image."""
        return self.upright(self.stored_shape)

    @property
    def sample_axis(self) -> int | None:
        """The stored axis of the samples of a page, if they are channels."""
        places = (self.leading + SEPARATE, self.leading + INTERLEAVED)
        return next((i for i in places if self.letters[i] == "c"), None)

    @property
    def channel_axis(self) -> int | None:
        """The stored axis of channels that are not the samples of a page, if there is one."""
        found = [i for i, letter in enumerate(self.letters) if letter == "c"]
        return next((i for i in found if i != self.sample_axis), None)

    @property
    def channel_pages(self) -> int:
        """Number of channels that pages, not samples, make up."""
        return 1 if self.channel_axis is None else self.sizes[self.channel_axis]

    @property
    def pages_lie_flat(self) -> bool:
        """Whether rows and columns of pages are y and x, so that an orientation has a meaning."""
        first = self.leading
        return (self.letters[first + ROWS], self.letters[first + COLUMNS]) == ("y", "x")

    def upright(self, stored: Sequence[Any]) -> tuple[Any, ...]:
        """Return values per axis of the stored image for the upright one."""
        values = dict(zip(self.axes, stored, strict=True))
        values["y"], values["x"] = self.orientation.swap((values["y"], values["x"]))
        return tuple(values[axis] for axis in self.axes)

    def stored_spans(self, box: Box) -> dict[str, range]:
        """Return what a box of the upright image is along each axis of the stored one."""
        y, x = self.axes.index("y"), self.axes.index("x")
        flat = self.orientation.stored_box(
            Box((box.start[y], box.start[x]), (box.stop[y], box.stop[x])),
            (self.shape[y], self.shape[x]),
        )
        spans = dict(zip(self.axes, map(range, box.start, box.stop), strict=True))
        return spans | dict(zip("yx", map(range, flat.start, flat.stop), strict=True))

    def positions(
        self, spans: dict[str, range], others: Sequence[int], samples: Sequence[int]
    ) -> list[Sequence[int]]:
        """Return what is wanted along each stored axis.

        Parameters
        ----------
        spans
            What is wanted along each axis of the image, stored.
        others
            Which of the channels that pages make up.
        samples
            Which samples of a pixel.
        """
        channels = {self.channel_axis: others, self.sample_axis: samples}
        return [
            channels[i] if i in channels else spans[letter] if letter else range(size)
            for i, (letter, size) in enumerate(zip(self.letters, self.sizes, strict=True))
        ]

    def arrange(self, stored: NDArray[Any]) -> NDArray[Any]:
        """Return what `positions` names, stored axes to the image's, other channels, samples."""
        order = [*map(self.stored, self.axes), self.channel_axis, self.sample_axis]
        used = [i for i in order if i is not None]
        named = stored[tuple(slice(None) if i in used else 0 for i in range(stored.ndim))]
        arranged = named.transpose([sorted(used).index(i) for i in used])
        return np.expand_dims(arranged, [n for n, i in enumerate(order) if i is None])


def series_layout(
    axes: str, shape: Sequence[int], page: PageShape, asked: str | None
) -> SeriesLayout:
    """Return what each stored axis of a series means.

    Parameters
    ----------
    axes, shape
        Of the series, as tifffile gives them (``TZCYX``, ``IYXS``, ...).
    page
        Shape of a page.
    asked
        Letters of ``tzyxcs`` for the axes of `shape` that overrule `axes`; None: none.

    Raises
    ------
    SourceError
        If the letters do not fit, or the file does not define all axes.
    """
    letters = _letters(axes, shape) if asked is None else _asked(asked, shape)
    longer = [i for i, n in enumerate(shape) if n > 1]
    inner = [i for i, n in enumerate(page) if n > 1]
    cut = len(longer) - len(inner)  # axes of length 1 aside, the last ones are those of a page
    if cut < 0 or not all(shape[i] == page[j] for i, j in zip(longer[cut:], inner, strict=True)):
        raise SourceError(
            f"the series is {tuple(shape)} ({axes}), which its pages of {page} (separate samples, "
            "depth, rows, columns, interleaved samples) cannot make up"
        )
    used = [letters[i] for i in longer]
    found = dict(zip(inner, used[cut:], strict=True))
    for i, letter in ((ROWS, "y"), (COLUMNS, "x")):  # a single row or column is one of y or x too
        if i not in found and letter not in used:
            found[i] = letter
    of_page = [found.get(i, "") for i in range(5)]
    lengths = tuple(shape[i] for i in longer[:cut])
    image = {*used, *"yx", *(letters if asked else ())}
    image_axes = "".join(axis for axis in SAMPLE_AXES if axis in image)
    return SeriesLayout((*lengths, *page), (*used[:cut], *of_page), image_axes)


def _letters(axes: str, shape: Sequence[int]) -> list[str]:
    """Return tifffile's axes as letters of ``tzyxc``; channels and samples are both ``c``."""
    known = {"T": "t", "Z": "z", "Y": "y", "X": "x", "C": "c", "S": "c"}
    letters = [known.get(a, "") for a in axes]
    unknown = [i for i, n in enumerate(shape) if not letters[i] and n > 1]
    names = [a for a, n in zip(letters, shape, strict=True) if n > 1]
    if len(unknown) == 1 and "z" not in names:
        letters[unknown[0]] = "z"
        unknown = []
    if unknown or any(names.count(a) > 1 for a in SAMPLE_AXES):
        raise SourceError(
            f"what the axes {axes} of {tuple(shape)} mean is not clear; set `axes:` to a letter "
            f"of t, z, y, x and c for each of the {len(shape)}"
        )
    return letters


def _asked(asked: str, shape: Sequence[int]) -> list[str]:
    """Return the axes that a user gave, checked."""
    letters = [("c" if a == "s" else a) for a in asked.lower()]
    wrong = (
        len(letters) != len(shape)
        or len(set(letters)) != len(letters)
        or not set(letters) <= set(SAMPLE_AXES + "c")
        or not {"y", "x"} <= set(letters)
    )
    if wrong:
        raise SourceError(
            f"axes {asked!r} do not fit the stored array {tuple(shape)}: give one letter of "
            f"t, z, y, x and c for each of its {len(shape)} axes, none twice, y and x among them"
        )
    return letters
