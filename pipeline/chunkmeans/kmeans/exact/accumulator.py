"""Sums without rounding: integers in limbs of 32 bits, for every pixel type.

A sum is a row of int64 limbs; limb j counts units of ``2**(32 * j + exponent)``. A limb takes
2**31 - 1 additions before it has to hand its overflow on, and handing on (`carry`) gives every
number one form, so that equal sums are equal arrays. Integers use it as a wide integer, floats
as a fixed-point number that spans the whole exponent range of their type: the "long
accumulator" of Kulisch, *Computer Arithmetic and Validity*, 2nd ed., chapter 8.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkmeans.kmeans.compiled.jit import compiled

MASK = np.uint64(0xFFFFFFFF)
Limbs = NDArray[np.int64]

FEW_LIMBS = 5
"""Those of integers: most of their sums need but two of them."""

CARRY_EVERY = 2**27
"""Samples after which limbs are carried; a sample makes up to 10 additions to a limb."""


@dataclass(frozen=True, slots=True)
class Form:
    """How many limbs sums of a pixel type take, and what the lowest bit is worth."""

    sum_limbs: int
    sum_exponent: int
    square_limbs: int
    square_exponent: int


@cache
def form(dtype: np.dtype[Any]) -> Form:
    """Return the limbs that hold 2**60 pixels of a canonical `dtype` without overflow.

    They are also all the limbs that `add_times` and `add_square` touch for such a number: compiled
    loops do not check bounds.

    >>> form(np.dtype("u1"))
    Form(sum_limbs=4, sum_exponent=0, square_limbs=4, square_exponent=0)
    """
    if dtype.kind in "ui":
        return Form(4, 0, 4, 0) if dtype.itemsize <= 2 else Form(5, 0, 7, 0)
    if dtype == np.float32:
        return Form(12, -149, 21, -298)
    return Form(70, -1074, 135, -2148)


@dataclass(frozen=True, eq=False)
class Exact:
    """Exact sums of any shape: ``sum(limbs[..., j] * 2**(32 * j)) * 2**exponent``."""

    limbs: Limbs
    """Carried limbs, shape + (limbs,)."""
    exponent: int

    @classmethod
    def of(cls, limbs: Limbs, exponent: int) -> "Exact":
        """Take over freshly added `limbs`, carrying them."""
        carry(limbs.reshape(-1, limbs.shape[-1]))
        return cls(limbs, exponent)

    @classmethod
    def of_limbs(cls, limbs: Limbs, number: int, exponent: int) -> "Exact":
        """Take over freshly added limbs; a single one is an int64, widened to `number` of them."""
        if limbs.shape[-1] == 1:
            wide = np.zeros((*limbs.shape[:-1], number), np.int64)
            widen(limbs.reshape(-1), wide.reshape(-1, number))
            return cls(wide, exponent)
        return cls.of(limbs, exponent)

    def __add__(self, other: "Exact") -> "Exact":
        return Exact.of(self.limbs + other.limbs, self.exponent)

    def __sub__(self, other: "Exact") -> "Exact":
        return Exact.of(self.limbs - other.limbs, self.exponent)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Exact)
            and self.exponent == other.exponent
            and np.array_equal(self.limbs, other.limbs)
        )

    __hash__ = None  # type: ignore[assignment]

    @cached_property
    def integers(self) -> list[int]:
        """The sums in units of ``2**exponent``, in C order; not to be changed."""
        rows = self.limbs.reshape(-1, self.limbs.shape[-1])
        if 2 < rows.shape[1] <= FEW_LIMBS:
            first, second, *others = rows.T.tolist()
            if not any(map(any, others)):
                return [a + (b << 32) for a, b in zip(first, second, strict=True)]
        width = 4 * (rows.shape[1] - 1)
        low = rows[:, :-1].astype("<u4").tobytes()
        top = rows[:, -1].tolist()
        return [
            int.from_bytes(low[i * width : (i + 1) * width], "little") + (t << (8 * width))
            for i, t in enumerate(top)
        ]

    def floats(self) -> NDArray[np.float64]:
        """Return the sums, each rounded once to the nearest float64."""
        exponent = self.exponent
        values = [float(i) if exponent == 0 else rounded(i, exponent) for i in self.integers]
        return np.array(values, np.float64).reshape(self.limbs.shape[:-1])

    def total(self) -> "Exact":
        """Return the sum over the first axis."""
        return Exact.of(self.limbs.sum(axis=0), self.exponent)


def rounded(integer: int, exponent: int) -> float:
    """Return ``integer * 2**exponent``, rounded once to the nearest float, ties to even."""
    if exponent >= 0:
        return float(integer << exponent)
    return integer / (1 << -exponent)


def dyadic(value: float) -> tuple[int, int]:
    """Return the integer and the exponent of a finite float, exactly.

    >>> dyadic(0.75)
    (3, -2)
    """
    numerator, denominator = value.as_integer_ratio()
    return numerator, 1 - denominator.bit_length()


def dyadics(values: Iterable[float]) -> tuple[list[int], int]:
    """Return the integers of finite floats, exactly, and the one exponent that they share.

    >>> dyadics([0.75, -2.0])
    ([3, -8], -2)
    """
    ratios = [value.as_integer_ratio() for value in values]
    common = max((below for _, below in ratios), default=1)  # powers of two
    return [above * (common // below) for above, below in ratios], 1 - common.bit_length()


def add_dyadics(terms: Iterable[tuple[int, int]]) -> tuple[int, int]:
    """Return the exact sum of numbers given as integer and exponent.

    >>> add_dyadics([(3, -2), (1, 0)])
    (7, -2)
    """
    known = list(terms)
    lowest = min((e for _, e in known), default=0)
    return sum(i << (e - lowest) for i, e in known), lowest


@compiled
def widen(sums: Limbs, rows: Limbs) -> None:
    """Write each sum (m,) as limbs that are carried, (m, limbs) of at least three, all zero."""
    for i in range(len(sums)):
        rows[i, 0] = sums[i] & 0xFFFFFFFF
        rows[i, 1] = (sums[i] >> 32) & 0xFFFFFFFF
        rows[i, 2] = 0
        if sums[i] < 0:
            for j in range(2, rows.shape[1] - 1):
                rows[i, j] = 0xFFFFFFFF
            rows[i, rows.shape[1] - 1] = -1


@compiled
def carry(rows: Limbs) -> None:
    """Hand every limb's overflow to the next, in place, (m, limbs); the last keeps the sign."""
    m, limbs = rows.shape
    for i in range(m):
        for j in range(limbs - 1):
            over = rows[i, j] >> 32
            rows[i, j] -= over << 32
            rows[i, j + 1] += over


@compiled
def parts(value: float) -> tuple[Any, Any, Any]:
    """Magnitude, shift and sign of a float64: ``sign * magnitude * 2**(shift - 1074)``."""
    bits = np.float64(value).view(np.uint64)
    field = np.int64((bits >> np.uint64(52)) & np.uint64(0x7FF))
    fraction = bits & np.uint64(0xFFFFFFFFFFFFF)
    sign = np.int64(1) - 2 * np.int64(bits >> np.uint64(63))
    if field == 0:
        return fraction, np.int64(0), sign
    return fraction | np.uint64(0x10000000000000), field - 1, sign


@compiled
def parts_from(value: float, exponent: int) -> tuple[Any, Any, Any]:
    """Magnitude, shift and sign of a multiple of ``2**exponent``, the shift counted from there.

    The magnitude of a float32 has 24 bits, that of an integer is the integer.
    """
    magnitude, shift, sign = parts(value)
    if exponent == -1074 or magnitude == 0:
        return magnitude, np.int64(0) if magnitude == 0 else shift, sign
    down = np.int64(29) if exponent == -149 else np.int64(0)
    shift += down - 1074 - exponent
    if shift < 0:
        return magnitude >> np.uint64(down - shift), np.int64(0), sign
    return magnitude >> np.uint64(down), shift, sign


@compiled
def add(flat: Limbs, base: int, magnitude: np.uint64, shift: int, sign: int) -> None:
    """Add ``sign * magnitude * 2**shift`` to the limbs of `flat` that begin at `base`."""
    j = base + (shift >> 5)
    r = np.uint64(shift & 31)
    low = (magnitude & MASK) << r
    high = (magnitude >> np.uint64(32)) << r
    middle = (low >> np.uint64(32)) + (high & MASK)
    flat[j] += sign * np.int64(low & MASK)
    flat[j + 1] += sign * np.int64(middle & MASK)
    flat[j + 2] += sign * np.int64((middle >> np.uint64(32)) + (high >> np.uint64(32)))


@compiled
def add_times(
    flat: Limbs, base: int, magnitude: np.uint64, count: int, shift: int, sign: int
) -> None:
    """Add ``count * sign * magnitude * 2**shift``; `count` may need 62 bits."""
    if count == 1:
        add(flat, base, magnitude, shift, sign)
        return
    c_low, c_high = np.uint64(count) & MASK, np.uint64(count) >> np.uint64(32)
    m_low, m_high = magnitude & MASK, magnitude >> np.uint64(32)
    add(flat, base, m_low * c_low, shift, sign)
    if m_high:
        add(flat, base, m_high * c_low, shift + 32, sign)
    if c_high:
        add(flat, base, m_low * c_high, shift + 32, sign)
    if m_high and c_high:
        add(flat, base, m_high * c_high, shift + 64, sign)


@compiled
def add_square(flat: Limbs, base: int, magnitude: np.uint64, count: int, shift: int) -> None:
    """Add ``count * magnitude**2 * 2**shift``."""
    low, high = magnitude & MASK, magnitude >> np.uint64(32)
    add_times(flat, base, low * low, count, shift, 1)
    if high:
        add_times(flat, base, low * high, count, shift + 33, 1)
        add_times(flat, base, high * high, count, shift + 64, 1)
