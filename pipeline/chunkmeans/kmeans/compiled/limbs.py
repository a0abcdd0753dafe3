"""Limbs: rows of int64 that hold wide integers, and exact additions to them.

A sum is a row of int64 limbs; limb j counts units of ``2**(32 * j + exponent)``. A limb takes
2**31 - 1 additions before it has to pass its overflow on, and passing on (`carry`) gives every
number one form, so that equal sums are equal arrays. Integers use it as a wide integer, floats
as a fixed-point number that spans the whole exponent range of their type: the "long
accumulator" of Kulisch, *Computer Arithmetic and Validity*, 2nd ed., chapter 8.
"""

from typing import Any

import numpy as np

from chunkmeans.kmeans.compiled.jit import compiled
from chunkmeans.kmeans.samples import Limbs

MASK = np.uint64(0xFFFFFFFF)

CARRY_EVERY = 2**27
"""Samples after which limbs are carried; a sample makes up to 10 additions to a limb."""


@compiled
def carry(rows: Limbs) -> None:
    """Pass every limb's overflow to the next, in place, (m, limbs); the last keeps the sign."""
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
