"""The catalogue of a run: a row per input, as a CSV file that spreadsheets and pandas read.

`write_labels_table` writes the same statistics of labels in long form, a row per image and label,
so that images can be searched by what they show.
"""

import csv
import io
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from itertools import chain
from operator import attrgetter
from typing import Any

from chunkmeans.errors import ResultError
from chunkmeans.results.store.store import CATALOG, LABELS, Store

STATES = ("done", "warned", "failed", "skipped")


@dataclass(frozen=True, slots=True)
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
    fractions: tuple[float, ...] = ()
    """Share of the image's pixels that each label has, label 1 first; the rest has no data."""
    means: tuple[tuple[float, ...], ...] = ()
    """Average of the pixels of each label, a number per channel; none where it has no pixel."""
    fingerprint: str = ""
    """Of the input it was made of, or failed with; empty where that is not known."""
    duplicate_of: str = ""
    """Id of the first image of the run with the same content, if it is another one; known when a
    run has finished."""
    choice: str = ""
    """What was taken of the input: its mask, channels and group, as far as any were named."""
    extra: Mapping[str, str] = field(default_factory=dict)
    """Further columns, such as those of a manifest; an empty text is as good as none."""

    def __post_init__(self) -> None:
        if self.state not in STATES:
            raise ValueError(f"{self.state!r} is not a state; {', '.join(STATES)} are")


COLUMNS = tuple(f.name for f in fields(Row) if f.name != "extra")
_NEW = ("fractions", "means", "fingerprint", "duplicate_of", "choice")
"""Columns that the first catalogues did not have."""
_texts = attrgetter("id", "source", "reason", "store", "fingerprint", "duplicate_of", "choice")
"""What of a row's own columns is free text."""
_NONE = "-"
_ANEW = "delete this file and start the run again: it is made anew of the results"


def write_catalog(store: Store, rows: Collection[Row]) -> None:
    """Write `rows`, in their order, as the catalogue; the file appears whole or not at all.

    Fixed columns come first, then extra ones as they first occur; of these none has the name of a
    fixed one (`chunkmeans.steps.plan.jobs.catalogue_names`).

    Names stand in it as they are: a spreadsheet may take one that begins with ``=`` for a
    formula. Floats are written so that they are read again to the last bit.

    Raises
    ------
    ResultError
        If the output cannot be written.
    """
    extra: dict[str, None] = {}
    odd = False
    for row in rows:
        extra |= dict.fromkeys(row.extra)
        odd = odd or any("\r" in text for text in (*row.extra, *row.extra.values(), *_texts(row)))
    cells = (
        [_cell(getattr(row, name)) for name in COLUMNS] + [row.extra.get(n, "") for n in extra]
        for row in rows
    )
    store.write_lines(CATALOG, _csv_lines(chain([[*COLUMNS, *extra]], cells), odd))


def write_labels_table(store: Store, rows: Collection[Row]) -> None:
    """Write what each label of each image is: ``labels.csv``; whole or not at all.

    Columns: ``id``, ``label`` (from 1, dark to bright), ``pixels``, ``fraction`` of all pixels of
    the image, and ``mean_0``, ``mean_1``, ...: the average of those pixels, a column per channel;
    empty where the label has no pixel.

    Raises
    ------
    ResultError
        If the output cannot be written.
    """
    channels = max((len(means) for row in rows for means in row.means), default=0)
    header = ["id", "label", "pixels", "fraction", *(f"mean_{i}" for i in range(channels))]
    table = chain([header], (cells for row in rows for cells in _labels_of(row, channels)))
    store.write_lines(LABELS, _csv_lines(table, any("\r" in row.id for row in rows)))


def _labels_of(row: Row, channels: int) -> Iterator[list[str]]:
    size = (row.pixels or 0) + (row.nodata or 0)
    for number, (fraction, means) in enumerate(zip(row.fractions, row.means, strict=True), 1):
        cells = [row.id, str(number), str(round(fraction * size)), repr(fraction)]
        yield cells + [repr(m) for m in means] + [""] * (channels - len(means))


def read_catalog(store: Store) -> list[Row]:
    """Return the rows of the catalogue, in their order.

    Raises
    ------
    ResultError
        If there is no catalogue, or it is damaged.
    """
    text, path = store.read_text(CATALOG), store.join(CATALOG)
    # names and reasons have no limit of their own; csv's own limit is 131,072 characters
    csv.field_size_limit(max(csv.field_size_limit(), len(text) + 1))
    table = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(table, [])
        if missing := [name for name in COLUMNS if name not in (*header, *_NEW)]:
            raise ResultError(
                f"{path}: has no column {missing[0]!r}; it is no catalogue of a run, or a "
                f"spreadsheet saved it in its own way; {_ANEW}"
            )
        return [_row(dict(zip(header, cells, strict=True))) for cells in table]
    except (ValueError, csv.Error) as error:
        raise ResultError(
            f"{path}:{table.line_num}: cannot be understood: {error}; {_ANEW}"
        ) from error


def _csv_lines(table: Iterable[list[str]], odd: bool) -> Iterator[str]:
    """Yield a table as CSV; `odd`: whether a cell holds a carriage return.

    Python 3.11 does not quote a lone one, and could not read it again.
    """
    quoting: Any = csv.QUOTE_ALL if odd else csv.QUOTE_MINIMAL
    buffer = io.StringIO(newline="")
    lines = csv.writer(buffer, lineterminator="\n", quoting=quoting)
    for cells in table:
        lines.writerow(cells)
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, tuple):
        if value and isinstance(value[0], tuple):
            return " ".join("/".join(map(repr, inner)) or _NONE for inner in value)
        return (" " if value and isinstance(value[0], float) else "x").join(map(repr, value))
    return repr(float(value)) if isinstance(value, float) else str(value)


def _vectors(cell: str) -> tuple[tuple[float, ...], ...]:
    return tuple(() if m == _NONE else tuple(map(float, m.split("/"))) for m in cell.split())


_VALUE_OF: Mapping[str, Callable[[str], Any]] = {
    "shape": lambda cell: tuple(map(int, cell.split("x"))) if cell else (),
    "fractions": lambda cell: tuple(map(float, cell.split())),
    "means": _vectors,
    **dict.fromkeys(
        ("k", "iterations", "pixels", "nodata"), lambda cell: int(cell) if cell else None
    ),
    **dict.fromkeys(("residual", "inertia", "seconds"), lambda cell: float(cell) if cell else None),
}
"""What reads the cell of a column; other columns are texts."""


def _row(cells: dict[str, str]) -> Row:
    """Return the row of these cells; an older catalogue may lack some columns."""
    values = {name: _VALUE_OF.get(name, str)(cells.pop(name, "")) for name in COLUMNS}
    return Row(**values, extra={name: cell for name, cell in cells.items() if cell})
