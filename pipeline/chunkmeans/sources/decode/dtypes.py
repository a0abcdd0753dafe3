"""Which types of numbers are pixels."""

from typing import Any

import numpy as np

from chunkmeans.errors import SourceError


def pixel_dtype(stored: Any) -> np.dtype[Any]:
    """Type of an image whose file holds `stored`: in the machine's byte order, bool as uint8.

    Raises
    ------
    SourceError
        If they are no plain numbers: complex, text, dates, objects, structures, or wider than
        64 bits.

    >>> pixel_dtype(">u2"), pixel_dtype(bool)
    (dtype('uint16'), dtype('uint8'))
    """
    dtype: np.dtype[Any] = np.dtype(stored)
    if dtype.kind == "b":
        return np.dtype(np.uint8)
    if dtype.kind in "ui" or (dtype.kind == "f" and dtype.itemsize <= 8):
        return dtype.newbyteorder("=")
    kinds = {"c": "complex numbers", "O": "Python objects", "U": "text", "S": "text", "T": "text"}
    kinds |= {"M": "dates", "m": "durations", "V": "structures", "f": "floats above 64 bits"}
    raise SourceError(
        f"its data are {kinds.get(dtype.kind, 'no numbers')} ({dtype}); only bool, integers and "
        "floats of 16 to 64 bits can be segmented"
    )
