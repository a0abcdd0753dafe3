"""Arrays inside JSON, exact to the bit and checked for damage where the JSON is."""

import base64
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


def pack_array(values: NDArray[Any]) -> dict[str, Any]:
    """Return an array of numbers as JSON values.

    >>> unpack_array(pack_array(np.array([0.1, np.nan]))).tolist()
    [0.1, nan]
    """
    ordered = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
    return {
        "dtype": ordered.dtype.str,
        "shape": list(values.shape),
        "zlib": base64.b64encode(zlib.compress(ordered.tobytes(), 1)).decode("ascii"),
    }


def unpack_array(found: Mapping[str, Any]) -> NDArray[Any]:
    """Return the array that `pack_array` took.

    Raises
    ------
    ValueError, KeyError, TypeError, zlib.error
        If it is damaged.
    """
    dtype = np.dtype(found["dtype"])
    if dtype.kind not in "iuf":
        raise ValueError(f"numbers are packed, not {dtype}")
    data = zlib.decompress(base64.b64decode(found["zlib"], validate=True))
    values = np.frombuffer(data, dtype).reshape(found["shape"])
    return values.astype(dtype.newbyteorder("="))  # a copy, to be written
