"""What the axes of a TIFF series mean: which are samples' axes (t z y x), which are channels."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from chunkmeans.errors import SourceError

IMAGE_AXES = "tzyx"

DEPTH, ROWS, COLUMNS, CONTIG = 1, 2, 3, 4
"""Axes of a page; 0 are its separate (planar) samples, 4 its interleaved ones."""


@dataclass(frozen=True)
class Layout:
    """A letter of ``tzyxc`` for each axis of the stored array.

    The stored array has the axes that count pages, then the five of a page: separate samples,
    depth, rows, columns, interleaved samples.
    """

    sizes: tuple[int, ...]
    """Length of each axis."""
    letters: tuple[str, ...]
    """Meaning of each axis; "" where its length is 1 and it has none."""
    axes: str
    """Axes of the image, of ``tzyx``; one without a stored axis has length 1."""

    @property
    def leading(self) -> int:
        """Number of axes that count pages."""
        return len(self.sizes) - 5

    def stored(self, axis: str) -> int | None:
        """Return the stored axis of an axis of the image, None where it has none."""
        return self.letters.index(axis) if axis in self.letters else None

    @property
    def shape(self) -> tuple[int, ...]:
        """Pixels along each of `axes`, before the orientation is applied."""
        found = [self.stored(axis) for axis in self.axes]
        return tuple(1 if i is None else self.sizes[i] for i in found)

    @property
    def sample_axis(self) -> int | None:
        """The stored axis of the samples of a page, if they are channels."""
        for i in (self.leading, self.leading + CONTIG):
            if self.letters[i] == "c":
                return i
        return None

    @property
    def channel_axis(self) -> int | None:
        """The stored axis of channels that are not the samples of a page, if there is one."""
        found = [i for i, letter in enumerate(self.letters) if letter == "c"]
        others = [i for i in found if i != self.sample_axis]
        return others[0] if others else None

    @property
    def pages_lie_flat(self) -> bool:
        """Whether rows and columns of pages are y and x, so that an orientation has a meaning."""
        first = self.leading
        return (self.letters[first + ROWS], self.letters[first + COLUMNS]) == ("y", "x")


def layout(
    axes: str, shape: Sequence[int], page: tuple[int, int, int, int, int], asked: str | None
) -> Layout:
    """Return what each stored axis of a series means.

    Parameters
    ----------
    axes, shape
        Of the series, as tifffile tells them (``TZCYX``, ``IYXS``, ...).
    page
        Shape of a page: separate samples, depth, rows, columns, interleaved samples.
    asked
        Letters of ``tzyxcs`` for the axes of `shape` that overrule `axes`; None: none.

    Raises
    ------
    SourceError
        If the letters do not fit, or the file does not say enough.
    """
    letters = _letters(axes, shape) if asked is None else _asked(asked, shape)
    pairs = [(a, n) for a, n in zip(letters, shape, strict=True) if n > 1]
    inner = [i for i, n in enumerate(page) if n > 1]
    cut = len(pairs) - len(inner)
    if cut < 0 or [n for _, n in pairs[cut:]] != [page[i] for i in inner]:
        raise SourceError(
            f"the series is {tuple(shape)} ({axes}), which its pages of {page} (separate samples, "
            "depth, rows, columns, interleaved samples) cannot make up"
        )
    of_page = [""] * 5
    for i, (letter, _) in zip(inner, pairs[cut:], strict=True):
        of_page[i] = letter
    used = {letter for letter, _ in pairs}
    for i, letter in ((ROWS, "y"), (COLUMNS, "x")):
        if page[i] == 1 and letter not in used:
            of_page[i] = letter
    image = [letter for letter, n in pairs if n > 1] + ["y", "x"]
    if asked is not None:
        image += list(letters)
    return Layout(
        sizes=(*(n for _, n in pairs[:cut]), *page),
        letters=(*(a for a, _ in pairs[:cut]), *of_page),
        axes="".join(a for a in IMAGE_AXES if a in image),
    )


def page_count(shape: Sequence[int], page: tuple[int, int, int, int, int]) -> int:
    """Return how many pages make up a series of `shape`."""
    return prod(shape) // max(1, prod(page))


def _letters(axes: str, shape: Sequence[int]) -> list[str]:
    """Return tifffile's axes as letters of ``tzyxc``; channels and samples are both ``c``."""
    known = {"T": "t", "Z": "z", "Y": "y", "X": "x", "C": "c", "S": "c"}
    letters = [known.get(a, "") for a in axes]
    unknown = [i for i, n in enumerate(shape) if not letters[i] and n > 1]
    if len(unknown) == 1 and not any(
        a == "z" and n > 1 for a, n in zip(letters, shape, strict=True)
    ):
        letters[unknown[0]] = "z"
        unknown = []
    names = [a for a, n in zip(letters, shape, strict=True) if n > 1]
    if unknown or any(names.count(a) > 1 for a in IMAGE_AXES):
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
        or not set(letters) <= set(IMAGE_AXES + "c")
        or not {"y", "x"} <= set(letters)
    )
    if wrong:
        raise SourceError(
            f"axes {asked!r} do not fit the stored array {tuple(shape)}: give one letter of "
            f"t, z, y, x and c for each of its {len(shape)} axes, none twice, y and x among them"
        )
    return letters
