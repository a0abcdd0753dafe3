"""Boxes of pixels, and how they partition an image. Integers only, no I/O.

All coordinates are pixels along the axes of an image without its channels.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from math import lcm, prod


@dataclass(frozen=True, slots=True, order=True)
class Box:
    """A half-open box of pixels: ``start`` is inside, ``stop`` is not."""

    start: tuple[int, ...]
    """First pixel along each axis."""
    stop: tuple[int, ...]
    """One past the last pixel along each axis."""

    def __post_init__(self) -> None:
        if len(self.start) != len(self.stop):
            raise ValueError(f"a box needs as many starts as stops: {self.start}, {self.stop}")
        if any(a < 0 or b < a for a, b in zip(self.start, self.stop, strict=True)):
            raise ValueError(f"not a box of pixels: start {self.start}, stop {self.stop}")

    @classmethod
    def whole(cls, shape: Sequence[int]) -> "Box":
        """Return the box of everything inside `shape`."""
        return cls((0,) * len(shape), tuple(shape))

    @property
    def shape(self) -> tuple[int, ...]:
        """Pixels along each axis."""
        return tuple(b - a for a, b in zip(self.start, self.stop, strict=True))

    @property
    def size(self) -> int:
        """Number of pixels."""
        return prod(self.shape)

    @property
    def slices(self) -> tuple[slice, ...]:
        """The box as an index of an array."""
        return tuple(slice(a, b) for a, b in zip(self.start, self.stop, strict=True))

    def shifted(self, offset: Sequence[int]) -> "Box":
        """Return the box moved by `offset` pixels along each axis."""
        return Box(
            tuple(a + d for a, d in zip(self.start, offset, strict=True)),
            tuple(b + d for b, d in zip(self.stop, offset, strict=True)),
        )

    def within(self, origin: Sequence[int]) -> "Box":
        """Return the box as seen from `origin`."""
        return self.shifted(tuple(-d for d in origin))

    def inside(self, other: "Box") -> bool:
        """Whether every pixel of this box is one of `other`."""
        return all(a >= c for a, c in zip(self.start, other.start, strict=True)) and all(
            b <= d for b, d in zip(self.stop, other.stop, strict=True)
        )

    def __and__(self, other: "Box") -> "Box":
        """Return the pixels of both boxes; an empty box where they do not meet."""
        start = tuple(max(a, c) for a, c in zip(self.start, other.start, strict=True))
        stop = tuple(min(b, d) for b, d in zip(self.stop, other.stop, strict=True))
        return Box(start, tuple(max(a, b) for a, b in zip(start, stop, strict=True)))

    def without(self, other: "Box") -> "list[Box]":
        """Return boxes that partition the pixels of this box that are not in `other`.

        >>> [str(b) for b in Box((0, 0), (4, 4)).without(Box((1, 2), (9, 9)))]
        ['[0:1, 0:4]', '[1:4, 0:2]']
        """
        common = self & other
        if not common.size:
            return [self] if self.size else []
        left, start, stop = [], list(self.start), list(self.stop)
        for axis, (a, b) in enumerate(zip(common.start, common.stop, strict=True)):
            for low, high in ((start[axis], a), (b, stop[axis])):
                if low < high:
                    before, after = list(start), list(stop)
                    before[axis], after[axis] = low, high
                    left.append(Box(tuple(before), tuple(after)))
            start[axis], stop[axis] = a, b
        return left

    def __str__(self) -> str:
        return "[" + ", ".join(f"{a}:{b}" for a, b in zip(self.start, self.stop, strict=True)) + "]"


def split(box: Box, edge: Sequence[int]) -> Iterator[Box]:
    """Yield the boxes that partition `box`, cut where multiples of `edge` lie.

    The cuts lie on the image's own grid, not on the box's corner, so that boxes that meet a
    grid line agree about it. Boxes come in C order.

    >>> [str(b) for b in split(Box((0, 2), (2, 7)), (4, 4))]
    ['[0:2, 2:4]', '[0:2, 4:7]']
    """
    cuts = []
    for a, b, e in zip(box.start, box.stop, edge, strict=True):
        inner = range((a // e + 1) * e, b, e)
        points = [a, *inner, b]
        cuts.append(list(pairwise(points)) if b > a else [])
    for spans in product(*cuts):
        yield Box(tuple(s[0] for s in spans), tuple(s[1] for s in spans))


def merged_boxes(boxes: Iterable[Box]) -> list[Box]:
    """Return fewer boxes of the same pixels: those that meet face to face become one.

    Boxes must not overlap. A stretch of a grid in C order becomes a handful.

    >>> [str(b) for b in merged_boxes(split(Box((0, 0), (4, 6)), (2, 2)))]
    ['[0:4, 0:6]']
    """
    found = list(boxes)
    for axis in reversed(range(len(found[0].start) if found else 0)):
        by_face: dict[tuple[tuple[int, ...], ...], list[Box]] = {}
        for box in sorted(found):
            start, stop = box.start, box.stop
            face = (start[:axis], stop[:axis], start[axis + 1 :], stop[axis + 1 :])
            row = by_face.setdefault(face, [])
            if row and row[-1].stop[axis] == start[axis]:
                row[-1] = Box(row[-1].start, stop)
            else:
                row.append(box)
        found = [box for row in by_face.values() for box in row]
    return sorted(found)


def chunk_shape(
    shape: Sequence[int], native: Sequence[int], shard: Sequence[int], pixels: int
) -> tuple[int, ...]:
    """Shape of an image's chunks: whole shards that cut few native chunks.

    Starts from one shard; an axis along which a native chunk is longer than the shard (a strip
    is as wide as the image) grows until it holds whole native chunks, while the chunk stays
    within `pixels`. Where shard and native chunk do not divide each other, the common multiple
    is taken if it fits too.

    Parameters
    ----------
    shape, native, shard
        Pixels along each axis of the image, of its stored chunks and of the results' shards.
    pixels
        The most pixels a chunk may have, unless one shard has more.

    >>> chunk_shape((9000, 9000), (256, 256), (2048, 2048), 2**25)
    (2048, 2048)
    >>> chunk_shape((9000, 9000), (1, 9000), (2048, 2048), 2**25)
    (2048, 9000)
    """
    chunk = [min(s, n) for s, n in zip(shard, shape, strict=True)]
    by_waste = sorted(range(len(shape)), key=lambda i: -native[i] / shard[i])
    for axis in by_waste:
        longest = min(native[axis], shape[axis])
        lengths = [lcm(shard[axis], longest)]
        if longest > shard[axis]:
            lengths.append(-(-native[axis] // shard[axis]) * shard[axis])
        for length in lengths:
            grown = min(length, shape[axis])
            others = prod(c for i, c in enumerate(chunk) if i != axis)
            if grown * others <= pixels:
                chunk[axis] = max(chunk[axis], grown)
                break
    return tuple(chunk)


def pieces(box: Box, native: Sequence[int], pixels: int) -> Iterator[Box]:
    """Yield boxes of at most about `pixels` that partition `box` and cut few native chunks.

    A piece is what is decoded at once. Only the first axes are cut, so that a piece is a slab
    of whole native chunks; a slab that is still too large is cut along the next axis too. A
    native chunk is never cut but by the box, even where it has more than `pixels`.

    >>> [str(b) for b in pieces(Box((0, 5), (7, 9)), (2, 2), 16)]
    ['[0:4, 5:9]', '[4:7, 5:9]']
    """
    slab = list(box.shape)
    edge = [max(1, stop) for stop in box.stop]  # no cut: the next grid line is the box's end
    for axis, native_edge in enumerate(native):
        if prod(slab) <= pixels:
            break
        fitting = max(1, pixels // (prod(slab) // slab[axis]))
        step = min(native_edge, slab[axis])
        length = max(step, fitting // step * step)
        if length < slab[axis]:
            slab[axis] = edge[axis] = length
    yield from split(box, edge)
