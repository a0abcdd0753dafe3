"""Smaller labels from larger ones: the mode of each block of 2 x 2 (x 2) pixels, compiled."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkmeans.kmeans.compiled.jit import compiled
from chunkmeans.results.write.layout import Pyramid


def halve(labels: NDArray[Any], axes: str, how: Pyramid) -> NDArray[Any]:
    """Return `labels` at half the size (rounded up) along each axis of space; time stays.

    Parameters
    ----------
    labels
        uint8 or uint16, one axis per letter of `axes`.
    axes
        Some of ``tzyx``, ending in ``yx``.
    how
        ``mode``: the most frequent of the pixels that a new pixel covers, the lowest of equally
        frequent ones; at an odd border, of those that exist. ``nearest``: the first of them.

    >>> halve(np.array([[3, 1, 5], [1, 2, 4]], np.uint8), "yx", "mode").tolist()
    [[1, 4]]
    """
    if how == "nearest":
        first = tuple(slice(None) if axis == "t" else slice(None, None, 2) for axis in axes)
        return np.ascontiguousarray(labels[first])
    shape = dict(zip(axes, labels.shape, strict=True))
    full = np.ascontiguousarray(labels).reshape([shape.get(axis, 1) for axis in "tzyx"])
    half = np.empty([full.shape[0], *(-(-n // 2) for n in full.shape[1:])], labels.dtype)
    for before, after in zip(full, half, strict=True):
        if len(before) == 1:
            _flat_mode(before[0], after[0])
        else:
            _deep_mode(before, after)
    return half.reshape([n if axis == "t" else -(-n // 2) for axis, n in shape.items()])


# At an odd border the last row or column is taken twice. Every pixel that exists is then taken
# equally often, so the mode is that of the pixels that exist.


@compiled
def _flat_mode(full: NDArray[Any], half: NDArray[Any]) -> None:
    """Modes of 2 x 2 pixels, (y, x) to (ceil(y / 2), ceil(x / 2))."""
    height, width = full.shape
    for y in range(half.shape[0]):
        upper = full[2 * y]
        lower = full[min(2 * y + 1, height - 1)]
        row = half[y]
        for x in range(width // 2):
            row[x] = _mode4(upper[2 * x], upper[2 * x + 1], lower[2 * x], lower[2 * x + 1])
        if width % 2:
            row[width // 2] = min(upper[width - 1], lower[width - 1])


@compiled
def _deep_mode(full: NDArray[Any], half: NDArray[Any]) -> None:
    """Modes of 2 x 2 x 2 pixels, (z, y, x) to half of each, rounded up."""
    depth, height, width = full.shape
    for z in range(half.shape[0]):
        for y in range(half.shape[1]):
            a = full[2 * z, 2 * y]
            b = full[2 * z, min(2 * y + 1, height - 1)]
            c = full[min(2 * z + 1, depth - 1), 2 * y]
            d = full[min(2 * z + 1, depth - 1), min(2 * y + 1, height - 1)]
            row = half[z, y]
            for x in range(width // 2):
                i, j = 2 * x, 2 * x + 1
                row[x] = _mode8(a[i], a[j], b[i], b[j], c[i], c[j], d[i], d[j])
            if width % 2:
                i = width - 1
                row[width // 2] = _mode4(a[i], b[i], c[i], d[i])


# The pixels of a block are arguments of their own: inlined scalars stay in registers, while a tuple
# or an array of them keeps the compiler from computing several blocks at a time.


@compiled(inline="always")
def _mode4(a: Any, b: Any, c: Any, d: Any) -> Any:
    """Mode of four labels without a branch: the lowest that occurs twice, else the lowest."""
    none = np.int32(1 << 16)
    a, b, c, d = np.int32(a), np.int32(b), np.int32(c), np.int32(d)
    with_a = a if (a == b) | (a == c) | (a == d) else none
    with_b = b if (b == c) | (b == d) else none
    with_c = c if c == d else none
    twice = min(min(with_a, with_b), with_c)
    lowest = min(min(a, b), min(c, d))
    return twice if twice < none else lowest


@compiled(inline="always")
def _mode8(a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any, h: Any) -> Any:
    """Mode of eight labels without a branch: the greatest of (how often, how low)."""
    a, b, c, d = np.int32(a), np.int32(b), np.int32(c), np.int32(d)
    e, f, g, h = np.int32(e), np.int32(f), np.int32(g), np.int32(h)
    best = _rank(a, b, c, d, e, f, g, h)
    best = max(best, _rank(b, a, c, d, e, f, g, h))
    best = max(best, _rank(c, a, b, d, e, f, g, h))
    best = max(best, _rank(d, a, b, c, e, f, g, h))
    best = max(best, _rank(e, a, b, c, d, f, g, h))
    best = max(best, _rank(f, a, b, c, d, e, g, h))
    best = max(best, _rank(g, a, b, c, d, e, f, h))
    # the last can win only by having occurred before, or as the lowest of eight different ones
    best = max(best, np.int32(65_535) - h)
    return np.int32(65_535) - (best & np.int32(65_535))


@compiled(inline="always")
def _rank(a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any, h: Any) -> Any:
    """How often `a` occurs among the others, and, below that, how low it is."""
    others = (
        np.int32(a == b)
        + np.int32(a == c)
        + np.int32(a == d)
        + np.int32(a == e)
        + np.int32(a == f)
        + np.int32(a == g)
        + np.int32(a == h)
    )
    return (others << np.int32(16)) | (np.int32(65_535) - a)
