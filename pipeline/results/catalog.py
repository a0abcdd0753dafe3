"""The catalogue of a run: a row per input, as a CSV file that spreadsheets and pandas read."""

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from pipeline.errors import ResultError
from pipeline.results.store import CATALOG, Store

STATES = ("done", "warned", "failed", "skipped")


@dataclass(frozen=True)
class Row:
    """What became of one input. None where there is no such number."""

    id: str
    """Its id in the run."""
    source: str
    """Where it was read from."""
    state: str
    """``done``, ``warned``, ``failed`` or ``skipped``."""
    reason: str = ""
    """Why, if not ``done``; one line."""
    shape: tuple[int, ...] = ()
    """Pixels along each axis."""
    k: int | None = None
    """Labels it got."""
    iterations: int | None = None
    residual: float | None = None
    """E of the last iteration."""
    inertia: float | None = None
    """Sum of squared distances of its pixels to their means."""
    pixels: int | None = None
    """Pixels with a label."""
    nodata: int | None = None
    """Pixels without."""
    seconds: float | None = None
    """Time spent on it."""
    store: str = ""
    """Its results, relative to the output's root; empty if there are none."""
    extra: Mapping[str, str] = field(default_factory=dict)
    """Further columns, such as those of a manifest; an empty text is as good as none."""

    def __post_init__(self) -> None:
        if self.state not in STATES:
            raise ValueError(f"{self.state!r} is not a state; {', '.join(STATES)} are")


COLUMNS = tuple(f.name for f in fields(Row) if f.name != "extra")
_WHOLE = frozenset({"k", "iterations", "pixels", "nodata"})
_REAL = frozenset({"residual", "inertia", "seconds"})


def write_catalog(store: Store, rows: Iterable[Row]) -> None:
    """Write `rows`, in their order, as the catalogue; the file appears whole or not at all.

    Names stand in it as they are: a spreadsheet may take one that begins with ``=`` for a
    formula. Floats are written so that they are read again to the last bit.

    Raises
    ------
    ResultError
        If the output cannot be written.
    """
    store.write_text(CATALOG, catalog_text(list(rows)))


def read_catalog(store: Store) -> list[Row]:
    """Return the rows of the catalogue, in their order.

    Raises
    ------
    ResultError
        If there is no catalogue, or it is damaged.
    """
    return catalog_rows(store.read_text(CATALOG), store.join(CATALOG))


def catalog_text(rows: list[Row]) -> str:
    """Return `rows` as CSV text: fixed columns first, then extra ones as they first occur."""
    extra = list(dict.fromkeys(name for row in rows for name in row.extra))
    if clashing := sorted(set(extra) & set(COLUMNS)):
        raise ValueError(f"extra columns may not be named {', '.join(clashing)}")
    table = [[_cell(getattr(row, name)) for name in COLUMNS] for row in rows]
    for cells, row in zip(table, rows, strict=True):
        cells += [row.extra.get(name, "") for name in extra]
    table.insert(0, [*COLUMNS, *extra])
    # Python 3.11 does not quote a lone carriage return, and could not read it again
    odd = any("\r" in cell for cells in table for cell in cells)
    buffer = io.StringIO(newline="")
    lines = csv.writer(
        buffer, lineterminator="\n", quoting=csv.QUOTE_ALL if odd else csv.QUOTE_MINIMAL
    )
    lines.writerows(table)
    return buffer.getvalue()


def catalog_rows(text: str, path: str) -> list[Row]:
    """Return the rows of a catalogue's text; `path` is what errors name."""
    # names and reasons have no limit of their own; csv's own limit is 131,072 characters
    csv.field_size_limit(max(csv.field_size_limit(), len(text) + 1))
    table = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(table, [])
        if missing := [name for name in COLUMNS if name not in header]:
            raise ResultError(f"{path}: has no column {missing[0]!r}; it is no catalogue of a run")
        return [_row(dict(zip(header, cells, strict=True))) for cells in table]
    except (ValueError, csv.Error) as error:
        raise ResultError(f"{path}:{table.line_num}: cannot be understood: {error}") from error


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, tuple):
        return "x".join(map(str, value))
    return repr(float(value)) if isinstance(value, float) else str(value)


def _row(cells: dict[str, str]) -> Row:
    values: dict[str, Any] = {}
    for name in COLUMNS:
        cell = cells.pop(name)
        if name == "shape":
            values[name] = tuple(int(n) for n in cell.split("x")) if cell else ()
        elif name in _WHOLE:
            values[name] = int(cell) if cell else None
        elif name in _REAL:
            values[name] = float(cell) if cell else None
        else:
            values[name] = cell
    return Row(**values, extra={name: cell for name, cell in cells.items() if cell})
