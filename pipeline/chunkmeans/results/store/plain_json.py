"""Values as strict JSON, which knows no NaN and no infinity."""

import json
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import isfinite
from typing import Any

import numpy as np

from chunkmeans.errors import ResultError


@contextmanager
def reading(where: str, what: str = "is damaged") -> Iterator[None]:
    """Turn what damaged values raise, while they are read, into a `ResultError` that says where."""
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, zlib.error) as error:
        raise ResultError(f"{where}: {what}: {error!r}") from error


def to_json(value: Any, indent: int | None = None) -> str:
    """Return `value` as JSON text; equal values give equal texts.

    Numbers that JSON does not know become the texts ``"NaN"``, ``"Infinity"`` and
    ``"-Infinity"``, as in zarr's metadata; `float` reads them again. NumPy's numbers and arrays
    become plain ones; finite floats are written so that they are read again to the last bit.
    """
    try:
        return json.dumps(value, indent=indent, allow_nan=False, default=plain)
    except (ValueError, TypeError):  # a number that JSON does not know, a key that is no text
        return json.dumps(plain(value), indent=indent, allow_nan=False)


def plain(value: Any) -> Any:
    """Return `value` as dict, list, text, number, truth value or None, all the way down.

    >>> plain({"a": (np.float64(1.5), float("nan"))})
    {'a': [1.5, 'NaN']}
    """
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(v) for v in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not isfinite(value):
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    if value is None or isinstance(value, str | bool | int | float):
        return value
    return str(value)
