"""Sample vectors, the few types of numbers they have, and names for the types of arrays."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[Any]
"""Numbers of any canonical type."""
Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Ints = NDArray[np.int64]
Indices = NDArray[np.int32]
Bytes = NDArray[np.uint8]
Limbs = NDArray[np.int64]
"""Exact sums, (..., limbs); see `compiled.limbs`."""

ONCE: Ints = np.empty(0, np.int64)
"""Counts of samples that occur once each, as compiled loops take them."""


def canonical(dtype: np.dtype[Any] | type | str) -> np.dtype[Any]:
    """Return the type in which samples of `dtype` are computed: one of u1 u2 i2 i8 u8 f4 f8.

    Each holds every number of `dtype` exactly; compiled loops know these seven only.

    Raises
    ------
    TypeError
        If `dtype` is neither an integer nor a float of at most 64 bits.

    Examples
    --------
    >>> [str(canonical(t)) for t in ("i1", ">u2", "u4", "f2", "f8")]
    ['int16', 'uint16', 'int64', 'float32', 'float64']
    """
    dtype = np.dtype(dtype)
    for name in ("u1", "u2", "i2", "f4", "i8", "u8", "f8"):
        if dtype.kind in "buif" and np.can_cast(dtype, name):
            return np.dtype(name)
    raise TypeError(f"cannot segment pixels of type {dtype}: integers and floats up to 64 bits")


@dataclass(frozen=True)
class Samples:
    """Sample vectors, each with how often it occurs."""

    values: Values
    """(n, c), canonical dtype; with `counts`, distinct and in lexicographic order."""
    counts: Ints | None = None
    """(n,); None: every row is one pixel."""

    @cached_property
    def weights(self) -> Ints:
        """Counts as compiled loops take them: empty for "once"."""
        return ONCE if self.counts is None else self.counts
