"""Values of the config that are more than a number or a word, each turned into one form.

Every function takes a plain value and returns what the config keeps, or raises `ValueError`
with a message that follows the name of the key: "must be ..., found ...".
"""

import os
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator
from math import inf, isfinite
from pathlib import Path
from typing import Any, TypeVar

from chunkmeans.config.positions import shown
from chunkmeans.secrets import PASSWORD, holds_password

_Parsed = TypeVar("_Parsed")
Span = tuple[int | None, int | None]

_UNITS = {"": 1}
for _power, _letter in enumerate("kmgtp", start=1):
    _UNITS |= {_letter: 1000**_power, f"{_letter}i": 1024**_power}
_BYTES = re.compile(r"\s*([0-9]{1,18}(?:\.[0-9]{1,9})?)\s*([kmgtp]?i?)b?\s*", re.IGNORECASE)


class InsideError(ValueError):
    """A part of a value is wrong: `inside` leads from the value to that part."""

    def __init__(self, message: str, inside: tuple[str | int, ...]) -> None:
        super().__init__(message)
        self.inside = inside


def parse_bytes(value: Any) -> int:
    """Return a number of bytes.

    >>> parse_bytes("8GiB"), parse_bytes("500 MB"), parse_bytes(1024)
    (8589934592, 500000000, 1024)

    Raises
    ------
    ValueError
        If it is not a positive number of bytes, KiB to PiB (1024) or kB to PB (1000).
    """
    if _is_whole(value):
        number = int(value)
    else:
        match = _BYTES.fullmatch(value) if isinstance(value, str) else None
        digits, unit = match.groups() if match else ("", "none")
        _require(unit.lower() in _UNITS, "bytes such as 8GiB, 500MB or 2000000", value)
        number = int(float(digits) * _UNITS[unit.lower()])
    _require(number >= 1, "at least 1 byte", value)
    return number


def location(value: Any) -> str:
    """Return a path or URL; a leading ``~`` is the home folder."""
    if not isinstance(value, str):
        raise ValueError(f"must be a path or URL, found {shown(value)}; put it in quotes")
    _require(value.strip() and "\0" not in value, "a path or URL", value)
    if holds_password(value):
        raise ValueError(PASSWORD)
    return str(Path(value).expanduser()) if value.startswith("~") else value


def locations(value: Any) -> tuple[str, ...]:
    """Return one path, or a list of them, as a tuple."""
    if not isinstance(value, list | tuple):
        return (location(value),)
    return _listed(value, location, "at least one path or URL")


def normalized(path: str) -> str:
    """Return one form of a path or URL for all ways to write it; links are not followed.

    >>> normalized("/data/./in/../out/") == normalized("file:///data/out")
    True
    >>> normalized("s3://bucket//a/")
    's3://bucket/a'
    """
    scheme, mark, rest = path.partition("://")
    if mark and scheme != "file":
        return f"{scheme}://{posixpath.normpath(rest)}"
    return os.path.abspath(rest if mark else path)


def axes(value: Any) -> str:
    """Return the axes of an array, a letter of ``tzyxc`` each; ``s`` (samples) is ``c``."""
    letters = value.strip().lower().replace("s", "c") if isinstance(value, str) else ""
    if not {"y", "x"} <= set(letters) <= set("tzyxc") or len(set(letters)) != len(letters):
        raise ValueError(
            f"must be letters of tzyxc, each once, with y and x, such as zyxc; found {shown(value)}"
        )
    return letters


def channels(value: Any) -> tuple[int | str, ...]:
    """Return channels by index, from 0, or name."""
    chosen = tuple(value) if isinstance(value, list | tuple) else (value,)
    if not chosen:
        raise ValueError("must name at least one channel, found an empty list; null: all")
    for channel in chosen:
        named = isinstance(channel, str) and channel
        _require(named or _is_whole(channel, 0), "indices from 0 or names", channel)
        if chosen.count(channel) > 1:
            raise ValueError(f"names channel {shown(channel)} more than once")
    return chosen


def region(value: Any) -> tuple[Span, ...]:
    """Return start and stop along each axis, None where open.

    >>> region(["0:4096", ":5", "3:", [1, 2], None])
    ((0, 4096), (None, 5), (3, None), (1, 2), (None, None))
    """
    return _listed(value, _span, "a list of start:stop for each axis, such as [0:4096, 0:4096]")


def _span(value: Any) -> Span:
    if value is None:
        return None, None
    ends = value
    if isinstance(value, str):
        match = re.fullmatch(r"\s*([0-9]{0,18})\s*:\s*([0-9]{0,18})\s*", value)
        ends = [int(end) if end else None for end in match.groups()] if match else None
    fits = isinstance(ends, list | tuple) and len(ends) == 2
    fits = fits and all(end is None or _is_whole(end, 0) for end in ends)
    _require(fits, "start:stop in whole pixels from 0", value)
    start, stop = ends
    if stop is not None and (start or 0) >= stop:
        raise ValueError(f"must start before it stops, found {start or 0}:{stop}, which is empty")
    return start, stop


def nodata_values(value: Any) -> float | int | tuple[float | int, ...]:
    """Return one number for all channels, or one per channel; not-a-number is one too."""
    if isinstance(value, list | tuple):
        return _listed(value, _pixel, "a number or one per channel")
    return _pixel(value)


def _pixel(value: Any) -> float | int:
    if isinstance(value, str) and value in ("nan", "inf", "-inf"):
        value = float(value)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    _require(number, "a number or .nan", value)
    # 0 and 0.0 are the same pixel, and must be the same setting
    return int(value) if isinstance(value, float) and value.is_integer() else value


def names(value: Any) -> tuple[str, ...]:
    """Return a name, or several."""
    found = [value] if isinstance(value, str) else value
    fits = isinstance(found, list | tuple) and all(isinstance(n, str) and n for n in found)
    _require(fits, "a list of names", value)
    return tuple(found)


def scale(value: Any) -> str | tuple[float, ...]:
    """Return the name of a scaling, or a weight per channel."""
    if isinstance(value, str) and value in {"none", "standard", "range"}:
        return value
    return _listed(value, _weight, "none, standard, range or a list of a weight per channel")


def _weight(value: Any) -> float:
    _require(_is_finite(value) and value > 0, "a positive number", value)
    return float(value)


def means(value: Any) -> tuple[tuple[float, ...], ...]:
    """Return given initial means, (k, c)."""
    rows = _listed(value, _mean, "a list of means such as [[0], [255]]")
    for index, row in enumerate(rows):
        if len(row) != len(rows[0]):
            raise InsideError(
                f"has {len(row)} channels where the first mean has {len(rows[0])}", (index,)
            )
    return rows


def _mean(value: Any) -> tuple[float, ...]:
    return _listed(value, _number, "a list of a number per channel, such as [0] or [10, 20, 30]")


def _number(value: Any) -> float:
    _require(_is_finite(value), "a finite number", value)
    return float(value)


def edges(value: Any) -> int | tuple[int, ...]:
    """Return the edge of a chunk or shard in pixels, or one per axis."""
    if isinstance(value, list | tuple) and value:
        return _listed(value, _edge, "edges")
    return _edge(value)


def _edge(value: Any) -> int:
    if not _is_whole(value, 1):
        raise ValueError(
            f"must be pixels, a whole number from 1, or one per axis; found {shown(value)}"
        )
    return int(value)


def workers(value: Any) -> int | dict[str, Any]:
    """Return a number of workers, or what a Dask cluster takes for one."""
    if isinstance(value, dict) and value and all(isinstance(key, str) for key in value):
        return value
    if not _is_whole(value, 1):
        raise ValueError(
            f"must be workers, a whole number from 1, or such as {{jobs: 4}}; found {shown(value)}"
        )
    return int(value)


def _require(fits: object, wanted: str, value: Any) -> None:
    """Refuse a value unless it fits."""
    if not fits:
        raise ValueError(f"must be {wanted}, found {shown(value)}")


def _is_whole(value: Any, least: float = -inf) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_finite(value: Any) -> bool:
    try:
        return isinstance(value, float | int) and not isinstance(value, bool) and isfinite(value)
    except OverflowError:  # an integer that no float can hold
        return False


def each_of(
    values: Iterable[tuple[str | int, Any]], parse: Callable[[Any], _Parsed]
) -> Iterator[_Parsed]:
    """Yield every value parsed; an error leads to the key, or the index, that is wrong."""
    for key, value in values:
        try:
            yield parse(value)
        except ValueError as error:
            raise InsideError(str(error), (key, *getattr(error, "inside", ()))) from error


def _listed(value: Any, parse: Callable[[Any], _Parsed], wanted: str) -> tuple[_Parsed, ...]:
    """Return every item parsed, of a list that is not empty."""
    _require(isinstance(value, list | tuple) and value, wanted, value)
    return tuple(each_of(enumerate(value), parse))
