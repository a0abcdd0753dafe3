"""A manifest, ``.csv`` or ``.parquet``: a row per image, with what belongs to it."""

import csv
import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from math import isnan
from typing import Any, BinaryIO

from chunkmeans.errors import ConfigError, SourceError
from chunkmeans.retry import with_retries
from chunkmeans.secrets import PASSWORD, holds_password
from chunkmeans.sources.files.byte_ranges import open_file, source_filesystem
from chunkmeans.sources.files.paths import absolute, is_url, local, scheme

MANIFEST_COLUMNS = ("path", "id", "mask", "channels", "group")
MANIFEST_SUFFIXES = (".csv", ".parquet")
_NO_COLUMNS: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Entry:
    """One image of a collection, before it is opened."""

    id: str
    """Its name in results: a relative path without suffix, unique, and safe to make files of."""
    path: str
    """Where it is: an absolute path or a URL, for `open_image`."""
    mask: str | None = None
    """Where its mask is."""
    channels: tuple[int | str, ...] | None = None
    """Its own choice of channels, from a manifest."""
    group: str | None = None
    """Its group, from a manifest."""
    extra: Mapping[str, str] = field(default_factory=dict)
    """Other columns of a manifest."""


@dataclass(frozen=True, slots=True)
class ManifestRow(Entry):
    """One row of a manifest; its id is as given there, or empty."""

    line: int = 0
    """Where it ends in the file, from 1; of a Parquet file, which row it is."""
    listed: str = ""
    """The path as it is written there."""


def is_manifest(path: str) -> bool:
    """Whether a path of a config is that of a manifest, by its suffix."""
    return path.lower().endswith(MANIFEST_SUFFIXES)


def read_manifest(
    path: str, storage_options: Mapping[str, Any] | None = None
) -> Iterator[ManifestRow]:
    """Yield the rows of a manifest; relative paths in it are relative to its folder.

    ``path`` is required. ``id``, ``mask``, ``channels`` (indices or names with ``;`` between
    them) and ``group`` may be missing or empty. Other columns are carried along.

    Raises
    ------
    ConfigError
        If it is no such table; with its line.
    """
    if is_url(path):
        folder = path.rpartition("/")[0]
    else:
        try:
            path = local(path)
        except SourceError as error:
            raise ConfigError(f"images.path: {error}") from error
        folder = os.path.dirname(os.path.abspath(path))
        if not os.path.isfile(path):
            raise ConfigError(f"images.path: {path!r}: no such manifest")
    try:
        with _opened(path, storage_options or {}) as file:
            read = _parquet if path.lower().endswith(".parquet") else _csv
            yield from _rows(read(file, path), path, folder)
    except ConfigError:
        raise
    except Exception as error:  # file systems and formats have no common one
        raise ConfigError(f"images.path: {path!r}: cannot be read: {error}") from error


def _opened(path: str, storage_options: Mapping[str, Any]) -> BinaryIO:
    """Open a manifest; one behind a URL is got whole."""
    if not is_url(path):
        return open_file(path, storage_options)

    def got() -> bytes:
        system, inner = source_filesystem(path, storage_options)
        return bytes(system.cat_file(inner))

    return io.BytesIO(with_retries(got))


Line = tuple[int, Sequence[str]]


def _csv(file: Any, path: str) -> Iterator[Line]:
    """Yield the lines of a CSV file that are not empty, the names of its columns first."""
    with io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
        reader = csv.reader(text, strict=True)
        try:
            for cells in reader:
                if cells:
                    yield reader.line_num, cells
        except (csv.Error, UnicodeDecodeError) as error:
            raise ConfigError(
                f"{path}:{reader.line_num + 1}: not readable as CSV: {error}"
            ) from error


def _parquet(file: Any, path: str) -> Iterator[Line]:
    """Yield the names of a Parquet file's columns, then its rows, as a CSV file has them."""
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise ConfigError(
            f"{path}: a manifest in Parquet needs pyarrow: pip install 'chunkmeans[parquet]'"
        ) from error
    try:
        table = parquet.ParquetFile(file)
        yield 0, table.schema_arrow.names
        number = count(1)
        for batch in table.iter_batches():
            columns = [
                list(map(_whole if name in MANIFEST_COLUMNS else _text, column.to_pylist()))
                for name, column in zip(batch.schema.names, batch.columns, strict=True)
            ]
            yield from zip(number, zip(*columns, strict=True), strict=False)
    except ArrowException as error:
        raise ConfigError(f"{path}: not readable as Parquet: {error}") from error


def _whole(cell: Any) -> str:
    """Return a cell of a column of ours, none of which holds fractions, as a CSV file has it.

    Some programs write integers with nulls among them as floats, and the nulls as NaN.
    """
    if isinstance(cell, list):
        return ";".join(map(_whole, cell))
    if isinstance(cell, float):
        cell = None if isnan(cell) else int(cell) if cell.is_integer() else cell
    return _text(cell)


def _text(cell: Any) -> str:
    """Return a cell as a CSV file has it: nothing for null, semicolons between several."""
    if cell is None:
        return ""
    return ";".join(map(_text, cell)) if isinstance(cell, list) else str(cell)


def _rows(lines: Iterable[Line], path: str, folder: str) -> Iterator[ManifestRow]:
    """Yield the rows of a table whose first line names its columns."""
    lines = iter(lines)
    _, names = next(lines, (1, ()))
    if "path" not in names or len(set(names)) < len(names):
        raise ConfigError(
            f"{path}:1: a manifest has a column 'path' and each column once; "
            f"found {', '.join(names) or 'nothing'}"
        )
    own = [names.index(name) if name in names else None for name in MANIFEST_COLUMNS]
    others = [(i, name) for i, name in enumerate(names) if name not in MANIFEST_COLUMNS]
    for line, cells in lines:
        if len(cells) != len(names):
            raise ConfigError(f"{path}:{line}: {len(cells)} values for {len(names)} columns")
        values = ["" if i is None else cells[i].strip() for i in own]
        extra = {name: cells[i] for i, name in others} if others else _NO_COLUMNS
        listed, id, mask, channels, group = values
        if not listed:
            raise ConfigError(f"{path}:{line}: the path is empty")
        if holds_password(listed) or holds_password(mask):
            raise ConfigError(f"{path}:{line}: a URL {PASSWORD}")
        place, mask_place = _place(listed, folder), _place(mask, folder) if mask else None
        yield ManifestRow(
            id, place, mask_place, _channels(channels), group or None, extra, line, listed
        )


def _place(path: str, folder: str) -> str:
    """Return `path`, seen from the manifest's folder."""
    if scheme(path):
        return absolute(path)
    if is_url(folder):
        return path if path.startswith("/") else f"{folder}/{path}"
    if path[0] in "./" or "/." in path or "//" in path:
        return os.path.normpath(os.path.join(folder, path))
    return f"{folder.rstrip('/')}/{path}"


def _channels(text: str) -> tuple[int | str, ...] | None:
    """Channels between semicolons: whole numbers are indices, the rest names."""
    parts = [part.strip() for part in text.split(";") if part.strip()]
    return tuple(int(p) if p.isdecimal() else p for p in parts) or None
