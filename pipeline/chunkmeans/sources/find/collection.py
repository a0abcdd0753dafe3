"""From what a config names to the list of its images; no image is opened.

What can be named: a file, a zarr folder, a folder (searched through for known suffixes), a glob,
a manifest (``.csv`` or ``.parquet``), a zip archive, a URL of any of these,
``package://<package>/<file>``; or a list of them.
Hidden files, what is inside a zarr folder, and earlier results are passed over.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from chunkmeans.errors import ConfigError
from chunkmeans.retry import is_transient
from chunkmeans.sources.files.paths import absolute, inside, scheme, without_query
from chunkmeans.sources.find.ids import safe_name, unique_ids
from chunkmeans.sources.find.manifest import Entry, ManifestRow, is_manifest, read_manifest
from chunkmeans.sources.find.search import Found, find
from chunkmeans.sources.registry import suffixes

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


def collect_entries(
    paths: Sequence[str],
    *,
    mask: str | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> tuple[Entry, ...]:
    """List the images that `paths` name, each once, in the order of `paths`, then by name.

    Parameters
    ----------
    paths
        ``images.path`` of a config.
    mask
        ``images.mask``: one mask for all, or a pattern with ``{stem}`` (the image's file name
        without suffix), ``{name}`` (with it), ``{parent}`` (its folder) and ``{id}``. A manifest's
        own column wins. Masks that lie among the images are not images.
    storage_options
        For URLs, handed to fsspec.

    Raises
    ------
    ConfigError
        If some of the paths name no image, a line for each; if a manifest or the mask pattern is
        wrong.

    Notes
    -----
    Lists folders and does not open what is in them, but for manifests.
    """
    listed = _unique(paths, storage_options or {})
    _check_ids(row for _, row in listed if row.id)
    known = suffixes()
    names = [safe_name(row.id or _stem(found.name, known)) for found, row in listed]
    shared = Counter(found.name for found, _ in listed)
    ids = unique_ids(names, [_key(found, row, shared[found.name] > 1) for found, row in listed])
    entries = [
        Entry(
            id=id,
            path=found.path,
            mask=_mask(mask, found.path, id, known) if row.mask is None else row.mask,
            channels=row.channels,
            group=row.group,
            extra=row.extra,
        )
        for id, (found, row) in zip(ids, listed, strict=True)
    ]
    masks = {entry.mask for entry in entries}
    images = tuple(entry for entry in entries if entry.path not in masks)
    if not images:
        raise ConfigError(f"images.mask {mask!r} names every image as a mask, so none is left")
    return images


_Listed = tuple[Found, ManifestRow]
_NO_ROW = ManifestRow(id="", path="")
"""Of an image that no manifest lists."""


def _key(found: Found, row: ManifestRow, shared: bool) -> str:
    """Return what distinguishes an image from those of the same name."""
    return "\0".join([found.name, *[found.path] * shared, *[row.id] * bool(row.id)])


def _unique(paths: Iterable[str], storage_options: Mapping[str, Any]) -> list[_Listed]:
    """Return what the paths of a config name, each image once.

    A file that a manifest lists under two ids is two images. The row of a manifest
    counts, wherever else the file is named.
    """
    seen: dict[tuple[str, str], _Listed] = {}
    problems: list[ConfigError] = []
    for path in paths:
        try:
            for found, row in _listed(path, storage_options):
                first = seen.setdefault((found.path, row.id), (found, row))[1]
                if first is row or row is _NO_ROW:
                    continue
                if first is not _NO_ROW:
                    _check_same(first, row)
                else:
                    seen[found.path, row.id] = (found, row)
        except ConfigError as error:  # collected, so that a user sees all that is missing at once
            problems.append(error)
    if problems:
        cause = next(filter(is_transient, problems), problems[0])
        raise ConfigError("\n".join(dict.fromkeys(map(str, problems)))) from cause
    for path in {path for path, id in seen if id}:
        if seen.get((path, ""), (None, None))[1] is _NO_ROW:
            del seen[path, ""]  # found in a folder too, where it has no id of its own
    return list(seen.values())


def _listed(path: str, storage_options: Mapping[str, Any]) -> Iterator[_Listed]:
    """Yield what one path of a config names."""
    if not is_manifest(path):
        yield from ((found, _NO_ROW) for found in find(path, storage_options))
        return
    row = None
    for row in read_manifest(path, storage_options):
        yield Found(row.path, _named_by(row)), row
    if row is None:
        raise ConfigError(f"{path}: the manifest has no row")


def _check_same(first: ManifestRow, again: ManifestRow) -> None:
    """Refuse two rows of a file that differ and so are two images, but have one id."""
    if replace(first, line=again.line, listed=again.listed) != again:
        raise ConfigError(
            f"{again.listed!r} is listed twice with different columns (lines {first.line} and "
            f"{again.line}); give each row an id of its own"
        )


def _check_ids(rows: Iterable[ManifestRow]) -> None:
    """Refuse ids of a manifest that are given twice, or differ only in what an id cannot have."""
    given: dict[str, ManifestRow] = {}
    for row in rows:
        name = safe_name(row.id)
        first = given.setdefault(name.casefold(), row)
        if first is not row:
            raise ConfigError(
                f"the id {name!r} is given twice: to {first.listed!r} (line {first.line}) and to "
                f"{row.listed!r} (line {row.line})"
            )


def _named_by(row: ManifestRow) -> str:
    """Path that an id is made of: as listed, or the base name of what is absolute."""
    if scheme(row.listed):
        return inside(row.listed).rsplit("/", 1)[-1]
    return row.listed.rsplit("/", 1)[-1] if row.listed.startswith("/") else row.listed


def _stem(name: str, known: Sequence[str]) -> str:
    """Path without its suffix, ``.ome.tif`` and ``.ome.zarr`` being one suffix.

    >>> _stem("a/b.ome.tif", [".tif"]), _stem("a/b.c", [".tif"])
    ('a/b', 'a/b.c')
    """
    found = _ending(tuple(known)).search(name, 1)
    return name[: found.start()] if found else name


@cache
def _ending(known: tuple[str, ...]) -> re.Pattern[str]:
    """Return the pattern of what a name may end in that is no part of its stem."""
    longest_first = sorted(known, key=len, reverse=True)
    return re.compile(rf"(?:\.ome)?(?:{'|'.join(map(re.escape, longest_first))})\Z", re.IGNORECASE)


def _mask(pattern: str | None, path: str, id: str, known: Sequence[str]) -> str | None:
    """Fill in a mask pattern for one image; named as images are, to be known among them."""
    if pattern is None:
        return None
    parent, _, name = without_query(path).rpartition("/")
    values = {"stem": _stem(name, known), "name": name, "parent": parent, "id": id}
    for found in _PLACEHOLDER.findall(pattern):
        if found not in values:
            raise ConfigError(
                f"images.mask {pattern!r} has an unknown {{{found}}}; known are "
                + ", ".join(f"{{{known}}}" for known in values)
            )
    return absolute(_PLACEHOLDER.sub(lambda match: values[match.group(1)], pattern))
