"""Samples as compiled loops take them: bytes, and a number for their type.

numba compiles a function anew for each type of its arguments, and to it a type is also whether an
array can be written to. Here everything that is read comes as one type: samples as read-only
bytes, means and the like as read-only arrays. So each loop is compiled once, and only the few
lines that load samples know all types (`blocks.bound`, `blocks.transpose`).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunkmeans.kmeans.samples import Bytes

U1, U2, I2, I8, U8, F4, F8 = range(7)

KIND_OF = {np.dtype(name): i for i, name in enumerate(("u1", "u2", "i2", "i8", "u8", "f4", "f8"))}
"""Numbers of the canonical types."""


def as_bytes(values: NDArray[Any]) -> tuple[Bytes, int]:
    """Return samples (n, c) as bytes (n, c * itemsize) and the number of their type."""
    return read_only(values).view(np.uint8), KIND_OF[values.dtype]


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array as loops take those that they read: in C order, aligned, read-only."""
    flags = array.flags
    if not (flags.c_contiguous and flags.aligned):
        array = np.array(array, order="C")
    array = array.view()
    array.flags.writeable = False
    return array
