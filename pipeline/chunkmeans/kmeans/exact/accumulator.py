"""Sums without rounding as a value, `Exact`, and how they become floats, rounded once.

An `Exact` holds limbs (`compiled.limbs`); how many a pixel type needs says `form`. The rest is
arithmetic of Python's integers with an exponent: what floats are (dyadic rationals).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkmeans.kmeans.compiled.limbs import carry
from chunkmeans.kmeans.samples import Limbs

FEW_LIMBS = 5
"""Those of integers: most of their sums need but two of them."""


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
            single = limbs[..., 0]
            limbs = np.zeros((*single.shape, number), np.int64)
            limbs[..., 0] = single
        return cls.of(limbs, exponent)

    def __add__(self, other: "Exact") -> "Exact":
        return Exact.of(self.limbs + other.limbs, self.exponent)

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
        """Return the sum over the first axis, which stays, of length 1."""
        return Exact.of(self.limbs.sum(axis=0, keepdims=True), self.exponent)


def rounded(integer: int, exponent: int) -> float:
    """Return ``integer * 2**exponent``, rounded once to the nearest float, ties to even."""
    if exponent >= 0:
        return float(integer << exponent)
    return integer / (1 << -exponent)


def dyadics(values: Iterable[float]) -> tuple[list[int], int]:
    """Return the integers of finite floats, exactly, and the one exponent that they share.

    >>> dyadics([0.75, -2.0])
    ([3, -8], -2)
    """
    ratios = [value.as_integer_ratio() for value in values]
    common = max((below for _, below in ratios), default=1)  # powers of two
    return [above * (common // below) for above, below in ratios], 1 - common.bit_length()
