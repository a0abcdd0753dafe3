"""``manifest.csv``: a row per image, with what belongs to it."""

import csv
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import ConfigError
from pipeline.sources.location import is_url, scheme

COLUMNS = ("path", "id", "mask", "channels", "group")


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a manifest."""

    line: int
    """Where it ends in the file, from 1."""
    listed: str
    """The path as it is written there."""
    path: str
    """The path, absolute if it is local."""
    id: str = ""
    mask: str | None = None
    channels: tuple[int | str, ...] | None = None
    group: str | None = None
    extra: Mapping[str, str] = field(default_factory=dict)
    """All other columns."""


def read_manifest(path: str) -> Iterator[Row]:
    """Yield the rows of a manifest; relative paths in it are relative to its folder.

    ``path`` is required. ``id``, ``mask``, ``channels`` (indices or names with ``;`` between
    them) and ``group`` may be missing or empty. Other columns are carried along.

    Raises
    ------
    ConfigError
        If it is no such table; with its line.
    """
    folder = Path(path).resolve().parent
    if not os.path.isfile(path):
        raise ConfigError(f"images.path: {path!r}: no such manifest")
    with open(path, encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        try:
            yield from _rows(reader, path, folder)
        except (csv.Error, UnicodeDecodeError) as error:
            raise ConfigError(
                f"{path}:{reader.line_num + 1}: not readable as CSV: {error}"
            ) from error


def _rows(reader: "csv.DictReader[str]", path: str, folder: Path) -> Iterator[Row]:
    names = list(reader.fieldnames or ())
    if "path" not in names or len(set(names)) < len(names):
        raise ConfigError(
            f"{path}:1: a manifest has a column 'path' and each column once; "
            f"found {', '.join(names) or 'nothing'}"
        )
    for row in reader:
        at = f"{path}:{reader.line_num}"
        if None in row or None in row.values():
            given = len(names) - list(row.values()).count(None)
            more = len(row.get(None) or ())
            raise ConfigError(f"{at}: {given + more} values for {len(names)} columns")
        if not row["path"].strip():
            raise ConfigError(f"{at}: the path is empty")
        yield Row(
            line=reader.line_num,
            listed=row["path"].strip(),
            path=_place(row["path"].strip(), folder),
            id=(row.get("id") or "").strip(),
            mask=_place(mask, folder) if (mask := (row.get("mask") or "").strip()) else None,
            channels=_channels(row.get("channels") or ""),
            group=(row.get("group") or "").strip() or None,
            extra={k: v for k, v in row.items() if k not in COLUMNS},
        )


def _place(path: str, folder: Path) -> str:
    """Return `path`, seen from the manifest's folder."""
    return path if is_url(path) or scheme(path) else os.path.abspath(folder / path)


def _channels(text: str) -> tuple[int | str, ...] | None:
    """Channels between semicolons: whole numbers are indices, the rest names."""
    parts = [part.strip() for part in text.split(";") if part.strip()]
    return tuple(int(p) if p.isdecimal() else p for p in parts) or None
